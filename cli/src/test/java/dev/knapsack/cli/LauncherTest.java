package dev.knapsack.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The script that starts Knapsack, in a checkout of its own with a Java and a Maven that tell. */
@Timeout(60)
class LauncherTest {
  @TempDir Path folder;
  private Path home;

  @BeforeEach
  void checkout() throws IOException {
    home = folder.resolve("a check out"); // blanks in paths are usual where people have names
    for (String source : new String[] {"core", "eval", "serve", "cli"}) {
      Files.createDirectories(home.resolve(source).resolve("src/main"));
    }
    Files.createFile(home.resolve("pom.xml"));
    Path script = Path.of(System.getProperty("knapsack.root")).resolve("knapsack");
    Files.copy(script, home.resolve("knapsack"), StandardCopyOption.COPY_ATTRIBUTES);
    Path jdk = folder.resolve("a jdk");
    program(jdk.resolve("bin/java"), "for a in \"$@\"; do echo \"$a\"; done");
    Files.writeString(jdk.resolve("release"), "JAVA_VERSION=\"25.0.1\"\n");
  }

  private static void program(Path file, String text) throws IOException {
    Files.createDirectories(file.getParent());
    Files.writeString(file, "#!/bin/sh\n" + text + "\n");
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  /** A Maven that makes what the build makes, and a line each time. */
  private void maven(String before) throws IOException {
    program(
        folder.resolve("bin/mvn"),
        before
            + "\nmkdir -p cli/target/app; : > cli/target/app/cli-1.jar; : > cli/target/app/x.jar"
            + "\necho build >> '"
            + folder.resolve("builds")
            + "'");
  }

  private Process start(Map<String, String> environment, String... arguments) throws IOException {
    List<String> command = new ArrayList<>(List.of(home.resolve("knapsack").toString()));
    command.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().remove("KNAPSACK_JAVA_OPTS");
    builder.environment().put("JAVA_HOME", folder.resolve("a jdk").toString());
    builder.environment().merge("PATH", folder.resolve("bin").toString(), (a, b) -> b + ":" + a);
    builder.environment().putAll(environment);
    return builder.start();
  }

  private static List<String> lines(Process process) throws Exception {
    List<String> lines =
        new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8)
            .lines()
            .toList();
    assertThat(process.waitFor()).isZero();
    return lines;
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "-m2GiB                  | 128",
        "-m=2GiB                 | 128",
        "-m;2GiB                 | 128",
        "--memory=2GiB           | 128",
        "--memory;2 GiB          | 128",
        "--memory;2147483648     | 128",
        "-m;1.5g                 | 64",
        "-m;100MiB               | 40",
        "-m;1TiB                 | 256",
        "-p;-m;-m3G              | 192",
      })
  void theHeapFitsTheBudget(String arguments, int mebibytes) throws Exception {
    maven("");
    List<String> given =
        lines(start(Map.of("HOME", "/home/some one"), arguments.strip().split(";")));
    assertThat(given).contains("-Xmx" + mebibytes + "m", "-Duser.home=/home/some one");
    assertThat(given).endsWith(arguments.strip().split(";"));
  }

  /** The container's limit, where there is one, as the budget is then. */
  @Test
  void withoutABudgetTheHeapFitsTheContainer() throws Exception {
    maven("");
    long mebibytes = 4096;
    for (String limit : new String[] {"memory.max", "memory/memory.limit_in_bytes"}) {
      Path file = Path.of("/sys/fs/cgroup").resolve(limit);
      String said = Files.isReadable(file) ? Files.readString(file).strip() : "max";
      mebibytes = said.equals("max") ? mebibytes : Long.parseLong(said) >> 20;
    }
    String heap = "-Xmx%dm".formatted(Math.clamp(mebibytes / 16, 40, 256));
    assertThat(lines(start(Map.of(), "run"))).contains(heap);
    assertThat(lines(start(Map.of(), "-p", "tell me of -m5 KiB"))).contains(heap);
  }

  /** In a distribution the runtime, the jars and the cache beside the script are all it needs. */
  @Test
  void aDistributionNeedsNoJdkAndNoMaven() throws Exception {
    Path runtime = home.resolve("runtime/bin");
    Files.createDirectories(runtime);
    Files.copy(
        folder.resolve("a jdk/bin/java"),
        runtime.resolve("java"),
        StandardCopyOption.COPY_ATTRIBUTES);
    Files.createDirectories(home.resolve("app"));
    Files.createFile(home.resolve("app/x.jar"));
    Files.createFile(home.resolve("app/knapsack.aot"));
    List<String> given = lines(start(Map.of("JAVA_HOME", "/nowhere"), "plan"));
    assertThat(given)
        .containsSubsequence(
            "-XX:AOTCache=" + home + "/app/knapsack.aot",
            "-cp",
            home + "/app/x.jar:",
            "dev.knapsack.cli.Main",
            "plan");
    assertThat(home.resolve("cli/target")).doesNotExist();
  }

  @Test
  void pathsMayHaveBlanks() throws Exception {
    maven("");
    List<String> first = lines(start(Map.of(), "run", "-p", "two words"));
    assertThat(first).endsWith("dev.knapsack.cli.Main", "run", "-p", "two words");
    assertThat(first.get(first.indexOf("-cp") + 1))
        .isEqualTo(home + "/cli/target/app/cli-1.jar:" + home + "/cli/target/app/x.jar:");
    lines(start(Map.of(), "plan"));
    assertThat(folder.resolve("builds")).hasContent("build");
  }

  @Test
  void whatTheJvmSaysIsNoAnswer() throws Exception {
    maven("");
    Map<String, String> options =
        Map.of(
            "KNAPSACK_JAVA_OPTS",
            "-Xlog:gc -verbose:gc -Xlog -Xlog:gc*:file=gc.log -verbose -XX:+PrintGC"
                + " -Xlog:gc::uptime -Xlog:gc:log::filecount=2 -Xlog:gc: -Xlog:async -Da=b");
    List<String> given = lines(start(options, "plan"));
    assertThat(given)
        .containsSubsequence(
            "-Xlog:disable",
            "-Xlog:all=warning:stderr",
            "-Xlog:gc:stderr",
            "-Xlog:gc:stderr",
            "-Xlog:all=info:stderr",
            "-Xlog:gc*:file=gc.log",
            "-Xlog:class+load:stderr",
            "-Xlog:class+unload:stderr",
            "-Xlog:gc:stderr",
            "-Xlog:gc:stderr:uptime",
            "-Xlog:gc:log::filecount=2",
            "-Xlog:gc:stderr",
            "-Xlog:async",
            "-Da=b");
  }

  @Test
  void ofTwoFirstStartsOneBuilds() throws Exception {
    Path go = folder.resolve("go");
    maven("until [ -e '" + go + "' ]; do sleep 0.05; done");
    Process first = start(Map.of(), "first");
    Process second = start(Map.of(), "second");
    // Whichever came second says that it waits.
    try (BufferedReader a = first.errorReader();
        BufferedReader b = second.errorReader()) {
      String said = a.readLine() + " " + b.readLine();
      assertThat(said).contains("building (once)").contains("waiting for another start");
      Files.createFile(go);
      assertThat(lines(first)).endsWith("first");
      assertThat(lines(second)).endsWith("second");
    }
    assertThat(folder.resolve("builds")).hasContent("build");
    assertThat(home.resolve("cli/target/building")).doesNotExist();
  }

  @Test
  void aBuildThatWasKilledHoldsNobodyUp() throws Exception {
    maven("");
    Process gone = new ProcessBuilder("true").start();
    gone.waitFor();
    Files.createDirectories(home.resolve("cli/target"));
    Files.createSymbolicLink(
        home.resolve("cli/target/building"), Path.of(Long.toString(gone.pid())));
    assertThat(lines(start(Map.of(), "plan"))).endsWith("plan");
    assertThat(folder.resolve("builds")).hasContent("build");
  }
}

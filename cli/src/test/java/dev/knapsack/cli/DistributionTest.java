package dev.knapsack.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.yaml.snakeyaml.Yaml;
import picocli.CommandLine;

/** Completion, the manual page and the manifest, which packages bring beside the program. */
class DistributionTest {
  @TempDir Path home;

  /** Commands are offered after the first word, and a command's options after it. */
  @Test
  void bashCompletesCommandsAndOptions() throws Exception {
    Path script = home.resolve("completion");
    Files.writeString(script, new Shell(home).run("generate-completion").succeeded().out());
    assertThat(completions(script, "knapsack", "")).contains("run", "serve", "plan", "eval");
    assertThat(completions(script, "knapsack", "pl")).containsOnly("plan");
    assertThat(completions(script, "knapsack", "serve", "--dr")).containsOnly("--drain");
    assertThat(completions(script, "knapsack", "help", "k")).containsOnly("kv");
  }

  private static List<String> completions(Path script, String... words) throws Exception {
    String line = String.join(" ", words);
    String asked =
        """
        source '%s'
        COMP_WORDS=(%s)
        COMP_CWORD=%d
        COMP_LINE='%s'
        COMP_POINT=%d
        $(complete -p knapsack | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        printf '%%s\\n' "${COMPREPLY[@]}"
        """
            .formatted(
                script,
                String.join(" ", Arrays.stream(words).map(word -> "'" + word + "'").toList()),
                words.length - 1,
                line,
                line.length());
    Process bash =
        new ProcessBuilder("bash", "--norc", "-c", asked)
            .redirectError(ProcessBuilder.Redirect.DISCARD) // complaints that nobody is typing
            .start();
    String said = new String(bash.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(bash.waitFor()).as(said).isZero();
    return said.lines().map(String::strip).toList();
  }

  @Test
  void theManualPageHasEveryCommandAndNoLineThatIsTakenForARequest() throws IOException {
    String page = new Shell(home).run("man-page").succeeded().out();
    assertThat(page).startsWith(".TH KNAPSACK 1").contains("\\fB\\-\\-memory\\fR \\fISIZE\\fR");
    CommandLine line = commandLine();
    line.getSubcommands()
        .forEach((name, command) -> {
          if (!command.getCommandSpec().usageMessage().hidden()) {
            assertThat(page).contains(".SS knapsack " + name.replace("-", "\\-"));
          }
        });
    assertThat(page.lines().filter(text -> text.startsWith(".") || text.startsWith("'")))
        .allMatch(text -> text.matches("\\.(TH|SH|SS|PP|TP|B|nf|fi)( .*)?"));
  }

  /** Its arguments are a command line that 'serve' takes, and its periods go together. */
  @Test
  void theManifestForKubernetesStartsTheServer() throws IOException {
    Path file = Path.of(System.getProperty("knapsack.root")).resolve("dist/kubernetes.yaml");
    Map<?, ?> deployment = null;
    Map<?, ?> service = null;
    for (Object document : new Yaml().loadAll(Files.readString(file))) {
      Map<?, ?> map = (Map<?, ?>) document;
      switch ((String) map.get("kind")) {
        case "Deployment" -> deployment = map;
        case "Service" -> service = map;
        default -> throw new AssertionError(map.get("kind"));
      }
    }
    Map<?, ?> pod = map(map(map(deployment, "spec"), "template"), "spec");
    Map<?, ?> container = (Map<?, ?>) ((List<?>) pod.get("containers")).getFirst();
    String[] arguments =
        ((List<?>) container.get("args")).stream().map(Object::toString).toArray(String[]::new);
    CommandLine.ParseResult parsed = commandLine().parseArgs(arguments).subcommand();
    assertThat(parsed.commandSpec().name()).isEqualTo("serve");
    assertThat(parsed.unmatched()).isEmpty();
    int port = parsed.matchedOptionValue("--port", 0);
    List<?> ports = (List<?>) container.get("ports");
    assertThat(map(ports.getFirst(), "").get("containerPort")).isEqualTo(port);
    assertThat((int) pod.get("terminationGracePeriodSeconds"))
        .isGreaterThan(parsed.matchedOptionValue("--drain", 0));
    assertThat(map(map(container, "readinessProbe"), "httpGet").get("path")).isEqualTo("/ready");
    assertThat(map(map(container, "livenessProbe"), "httpGet").get("path")).isEqualTo("/health");
    assertThat(map(container, "securityContext").get("readOnlyRootFilesystem")).isEqualTo(true);
    assertThat(map(map(service, "spec"), "selector"))
        .isEqualTo(map(map(map(map(deployment, "spec"), "template"), "metadata"), "labels"));
  }

  private CommandLine commandLine() {
    return Main.commandLine(new Environment(StandardStreams.ofThisProcess(), Map.of(), home));
  }

  private static Map<?, ?> map(Object of, String key) {
    Map<?, ?> map = (Map<?, ?>) of;
    return key.isEmpty() ? map : (Map<?, ?>) map.get(key);
  }
}

package dev.knapsack.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Types commands as a user does, in a home of its own, and keeps what they print. */
final class Shell {
  /**
   * Shared by all tests, as it is by all runs on a machine: what is measured once is kept here, and
   * the embedded model.
   */
  static final Path CACHE = Path.of("target/shell-cache").toAbsolutePath();

  private final Path home;
  private final Map<String, String> variables = new HashMap<>();
  private String input = "";
  private @Nullable String full;

  Shell(Path home) {
    this.home = home;
    variables.put("XDG_CACHE_HOME", CACHE.toString());
  }

  /** A command in a process of its own, for those that are to be told to end, or killed. */
  static ProcessBuilder process(String... arguments) {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin/java").toString(),
                "--add-modules",
                "jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                "dev.knapsack.cli.Main"));
    command.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().put("XDG_CACHE_HOME", CACHE.toString());
    return builder;
  }

  /** What a command left: its exit code and what it printed. */
  record Result(int code, String out, String err) {
    /** This result, of a command that must have succeeded. */
    Result succeeded() {
      assertThat(code).as("exit code; standard error: %s", err).isZero();
      return this;
    }

    /** This result, of a command that must have failed for a reason it explains. */
    Result failed(int expected, String... explanation) {
      assertThat(code).as("exit code; standard error: %s", err).isEqualTo(expected);
      assertThat(err).startsWith("knapsack: ").contains(explanation);
      assertThat(err).as("no stack trace").doesNotContain("\tat ").doesNotContain("Exception");
      assertThat(out).isEmpty();
      return this;
    }

    JsonObject json() {
      return JsonParser.parseString(out).getAsJsonObject();
    }
  }

  Shell with(String variable, String value) {
    variables.put(variable, value);
    return this;
  }

  /** What the commands that follow read from standard input. */
  Shell input(String text) {
    input = text;
    return this;
  }

  /** From now on nothing can be written to standard output, for this reason. */
  Shell full(String reason) {
    full = reason;
    return this;
  }

  private PrintStream output(ByteArrayOutputStream out) {
    String reason = full;
    return reason == null
        ? new PrintStream(out, false, UTF_8)
        : StandardStreams.print(
            new OutputStream() {
              @Override
              public void write(int b) throws IOException {
                throw new IOException(reason);
              }
            },
            false,
            UTF_8);
  }

  Result run(Object... line) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    StandardStreams streams =
        new StandardStreams(
            new ByteArrayInputStream(input.getBytes(UTF_8)),
            output(out),
            new PrintStream(err, true, UTF_8),
            false,
            false,
            false);
    String[] arguments = new String[line.length];
    for (int i = 0; i < line.length; i++) {
      arguments[i] = line[i].toString();
    }
    int code = Main.run(new Environment(streams, Map.copyOf(variables), home), arguments);
    return new Result(code, out.toString(UTF_8), withoutProgress(err.toString(UTF_8)));
  }

  /** Without the lines about work that took long: how long it takes is not ours to say. */
  private static String withoutProgress(String err) {
    return err.replaceAll("(?m)^(loading|pulling|writing|quantizing|\\S+\\.gguf) .*B/s\n", "");
  }

  /** A file of the shared test data, such as {@code models/stories260K.gguf}. */
  static Path data(String name) {
    String variable = System.getenv("KNAPSACK_DATA");
    Path root =
        Path.of(
            variable != null ? variable : System.getProperty("knapsack.data", "../../shared/data"));
    Path path = root.resolve(name);
    if (!Files.exists(path)) {
      if (System.getenv("CI") != null) {
        fail("CI needs the shared test data, and " + path + " is not there; set KNAPSACK_DATA");
      }
      assumeTrue(false, "no shared test data at " + path);
    }
    return path;
  }
}

package dev.knapsack.cli;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What is wrong is named, with what would work and the documented exit code. */
class BadInputTest {
  private static final String[] COMMANDS = {
    "run",
    "plan",
    "inspect",
    "tokenize",
    "logits",
    "bench",
    "synth",
    "quantize",
    "pull",
    "list",
    "rm"
  };

  @TempDir Path home;
  private Shell shell;

  @BeforeEach
  void openShell() {
    shell = new Shell(home);
  }

  @ParameterizedTest
  @ValueSource(strings = {"run", "plan", "inspect", "tokenize", "bench"})
  void aMissingFile(String command) {
    shell
        .input("Hello")
        .run(command, "none.gguf")
        .failed(4, "'none.gguf' is no file here", "hf:OWNER/REPO", "knapsack list");
  }

  @ParameterizedTest
  @ValueSource(strings = {"run", "plan", "inspect", "tokenize", "bench"})
  void aTruncatedFile(String command) throws IOException {
    byte[] whole = Files.readAllBytes(Shell.data("models/stories260K.gguf"));
    for (int length : new int[] {0, 3, 20, 5000, whole.length - 1}) {
      Path file = home.resolve("cut.gguf");
      Files.write(file, Arrays.copyOf(whole, length));
      boolean headerIsWhole = length == whole.length - 1;
      Shell.Result result = shell.input("Hello").run(command, file);
      if (!headerIsWhole || !command.startsWith("tokenize")) {
        result.failed(4, file.toString());
      }
    }
  }

  /** What cannot be run cannot be planned either: both hold the vocabulary when they plan. */
  @ParameterizedTest
  @ValueSource(strings = {"run", "plan", "tokenize"})
  void aFileWithoutATokenizer(String command) throws IOException {
    String whole = Files.readString(Shell.data("models/stories260K.gguf"), ISO_8859_1);
    Path file = home.resolve("mute.gguf");
    Files.writeString(
        file, whole.replace("tokenizer.ggml.model", "tokenizer.ggml.modem"), ISO_8859_1);
    shell.input("Hello").run(command, file).failed(4, file.toString(), "tokenizer.ggml.model");
  }

  @Test
  void aFileOfAnotherKind() throws IOException {
    Path file = Files.writeString(home.resolve("letter.txt"), "Dear all, this is no model.");
    shell.run("run", file, "-p", "x").failed(4, file.toString(), "GGUF");
    shell.run("run", home, "-p", "x").failed(4, home.toString());
  }

  @ParameterizedTest
  @CsvSource({
    "--memory, lots, Not a size: 'lots', 512MiB",
    "--memory, -1GiB, Not a size: '-1GiB', 512MiB",
    "--memory, 0, more than 0 bytes, 0",
    "--kv-format, q9, 'q9', Q8_0",
    "--kv, magic, 'magic', streaming",
    "--kv, q8_0, not which, --kv-format q8_0",
    "--kv, score=streaming(4), lacks budget, uniform(TOKENS)",
    "--kernels, gpu, gpu, SCALAR",
    "--context, many, many, --context",
  })
  void aBadValue(String option, String value, String wrong, String works) {
    shell.run("run", "-p", "x", option, value).failed(2, option, wrong, works);
  }

  @Test
  void anUnknownOption() {
    Shell.Result result = shell.run("run", "--memroy", "1GiB", "-p", "x");
    result.failed(2, "--memroy", "--memory", "knapsack run --help");
  }

  @Test
  void anUnknownCommand() {
    shell
        .run("rnu")
        .failed(2, "rnu", "run, serve, batch, embed, rerank, plan, inspect", "knapsack --help");
  }

  @Test
  void noCommand() {
    shell.run().failed(2, "run, serve, batch, embed, rerank, plan, inspect", "knapsack --help");
  }

  @Test
  void aFormatThatDoesNotFitTheKvCache() {
    shell.run("run", "-p", "x", "--kv-format", "q4_k").failed(2, "Q4_K");
  }

  @Test
  void helpNamesEveryCommandAndExitCode() {
    String help = shell.run("--help").succeeded().out();
    assertThat(help).contains(COMMANDS).contains("Exit codes:", "130").contains("0", "3", "4", "5");
    for (String command : COMMANDS) {
      assertThat(shell.run(command, "--help").succeeded().out())
          .as(command)
          .contains("Usage: knapsack " + command)
          .contains("Exit codes:");
    }
  }

  @ParameterizedTest
  @CsvSource({
    "-n, 0, 'may have 0 tokens; give 1 or more'",
    "-n, -3, 'may have -3 tokens'",
    "--temp, -1, 'give 0 to 100'",
    "--top-p, 2, 'give above 0 to 1'",
    "--shift, -1, 'give 0 or more'",
  })
  void whatCannotBeAskedForIsRefusedBeforeLoading(String option, String value, String message)
      throws IOException {
    // A model of which there is no more than the header: whoever loads it says something else.
    byte[] whole = Files.readAllBytes(Shell.data("models/stories260K.gguf"));
    Path model = home.resolve("header.gguf");
    Files.write(model, Arrays.copyOf(whole, whole.length - 64 * 512 * 4));
    shell.run("run", model, "-p", "Hi", option + "=" + value).failed(2, message);
  }

  @ParameterizedTest
  @CsvSource({
    "--threads, 2147483647, 'give 1 to 1,024'",
    "--threads, 0, 'give 1 to 1,024'",
    "--ctx, 0, '0 tokens of context were asked for; give 1 or more'",
    "--sequences, -1, '-1 sequences were asked for'",
    "--prefill-chunk, 0, '0 tokens in one step'",
  })
  void whatNoModelCanBeOpenedWithIsRefusedBeforeOneIsFetched(
      String option, String value, String message) {
    for (String command : new String[] {"run -p Hi", "plan", "bench", "eval kv", "calibrate"}) {
      List<Object> line = new ArrayList<>(List.of((Object[]) command.split(" ")));
      line.addAll(List.of("none.gguf", option + "=" + value));
      shell.run(line.toArray()).failed(2, message);
    }
  }

  @Test
  void aPlanForTooManyThreads() throws IOException {
    Path model = Shell.data("models/stories260K.gguf");
    Path plan = home.resolve("plan.json");
    shell.run("plan", model, "--threads", 1, "--save", plan).succeeded();
    String text = Files.readString(plan);
    Files.writeString(plan, text.replaceFirst("\"workers\": *1", "\"workers\": 2147483647"));
    shell.run("run", model, "--plan", plan, "-p", "Hi").failed(4, "workers", "1024");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"run", "run --json", "plan", "plan --json", "list", "inspect", "tokenize --json"})
  void anOutputThatCannotBeWritten(String command) throws IOException {
    Path model = Shell.data("models/stories260K.gguf");
    Path store = Files.createDirectories(home.resolve("store/hf/o/r"));
    Files.copy(model, store.resolve("m-Q8_0.gguf"));
    shell.with("KNAPSACK_MODELS", home.resolve("store").toString());
    List<Object> line = new ArrayList<>(List.of((Object[]) command.split(" ")));
    if (!command.equals("list")) {
      line.add(model);
    }
    if (command.startsWith("run") || command.startsWith("tokenize")) {
      line.addAll(List.of("-p", "Once"));
    }
    if (command.startsWith("run")) {
      line.addAll(List.of("--raw", "-n", "5"));
    }
    shell
        .full("No space left on device")
        .run(line.toArray())
        .failed(4, "standard output", "No space left on device");
    shell.full("Broken pipe");
    assertThat(shell.run(line.toArray()).code()).isZero(); // whoever read has read enough
  }
}

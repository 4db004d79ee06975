package dev.knapsack.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.knapsack.kernel.KernelProvider;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code knapsack run} as typed, with the embedded model and a trained one that tells stories. */
class RunCommandTest {
  private static final String NOTES =
      "Dan put the blue ring in the library. Where is the blue ring?";
  private static final String ANSWER = "The blue ring is in the library.\n";

  @TempDir Path home;
  private Shell shell;

  @BeforeEach
  void openShell() {
    shell = new Shell(home);
  }

  private static Path stories() {
    return Shell.data("models/stories260K.gguf");
  }

  @Test
  void theAnswerAloneGoesToStandardOutput() {
    Shell.Result result = shell.run("run", "-p", NOTES).succeeded();
    assertThat(result.out()).isEqualTo(ANSWER);
    assertThat(result.err()).isEmpty();
  }

  @Test
  void aPromptIsFoundAgainInAFolder() {
    Path folder = home.resolve("prefixes");
    String prompt = "Once upon a time there was a girl. ".repeat(20);
    List<Object> command =
        List.of("run", stories(), "--raw", "-p", prompt, "-n", 4, "--json", "--seed", 1);
    Shell.Result without = shell.run(all(command)).succeeded();
    List<Object> kept = List.of("--cache-dir", folder, "--cache-disk", "64MiB");
    Shell.Result first = shell.run(all(command, kept)).succeeded();
    Shell.Result second = shell.run(all(command, kept)).succeeded();
    assertThat(first.out()).contains("\"cachedTokens\":0");
    assertThat(second.out()).containsPattern("\"cachedTokens\":(64|128|192|256)\\b");
    assertThat(List.of(first.json().get("text"), second.json().get("text")))
        .containsOnly(without.json().get("text"));
    shell.run("run", "-p", NOTES, "--cache-disk", "much").failed(2, "Not a size: 'much'");
  }

  @Test
  void aModelThatDenoisesAnswersToo() {
    Path llada = Shell.data("golden/llada/model.gguf");
    List<Object> command =
        List.of("run", llada, "--raw", "-p", "Once upon a time", "-n", 24, "--ignore-end");
    List<Object> steps = List.of("--block-length", 12, "--denoising-steps", 4, "--stats");
    Shell.Result result = shell.run(all(command, steps)).succeeded();
    assertThat(result.out()).isNotBlank();
    assertThat(result.err()).containsPattern("answer tokens +24\n").containsPattern("steps +8\n");
    Shell.Result drafted = shell.run(all(command, steps, List.of("--drafts", 2))).succeeded();
    assertThat(drafted.out()).isEqualTo(result.out());
    shell.run(all(command, List.of("--shift"))).failed(2, "cannot go on when the context is full");
    shell.run("bench", llada).failed(2, "golden-llada denoises texts");
    shell
        .run("run", stories(), "--raw", "-p", "Once", "-n", 3, "--drafts", 1)
        .failed(2, "writes token by token");
  }

  /** Where the likeliest is taken unless said otherwise, and an answer has its usual length. */
  @Test
  void aModelThatDenoisesHasItsOwnDefaults() {
    Path dream = Shell.data("golden/dream/model.gguf");
    Object[] command = {"run", dream, "--raw", "-p", "Once", "--ignore-end", "--json"};
    JsonObject one = shell.run(command).succeeded().json();
    JsonObject other = shell.run(command).succeeded().json();
    assertThat(one.get("tokens")).isEqualTo(other.get("tokens"));
    assertThat(one.getAsJsonArray("tokens")).hasSize(128);
    assertThat(one.getAsJsonObject("measured").get("steps").getAsInt()).isEqualTo(128);
  }

  private static Object[] all(List<?>... parts) {
    return Arrays.stream(parts).flatMap(part -> part.stream()).toArray();
  }

  @Test
  void thePromptMayComeFromStandardInput() {
    assertThat(shell.input(NOTES + "\n").run("run").succeeded().out()).isEqualTo(ANSWER);
  }

  @Test
  void statsGoToStandardErrorWithWhatWasPredicted() {
    Shell.Result result = shell.run("run", "-p", NOTES, "--stats").succeeded();
    assertThat(result.out()).isEqualTo(ANSWER);
    assertThat(result.err())
        .containsPattern("predicted +measured")
        .containsPattern("peak resident +[\\d.]+ MiB +[\\d.]+ [MG]iB")
        .containsPattern("decode, tokens/s +[\\d.]+ +[\\d.]+")
        .containsPattern("context and steps full +[\\d.]+ MiB")
        .startsWith("kernels: " + KernelProvider.best().reason());
    assertThat(shell.run("run", "-p", NOTES).succeeded().err()).doesNotContain("kernels:");
  }

  @Test
  void rawContinuesAsPublished() throws IOException {
    String expected = Files.readString(Shell.data("models/stories260K.expected.txt"));
    Shell.Result result =
        shell
            .run(
                "run",
                stories(),
                "--raw",
                "-p",
                "",
                "--greedy",
                "-n",
                200,
                "--ignore-end",
                "--kv-format",
                "f32")
            .succeeded();
    assertThat(result.out().strip()).isEqualTo(expected.strip());
  }

  @Test
  void rawReadsStandardInput() {
    Shell.Result result =
        shell
            .input("Once upon a time\n")
            .run("run", stories(), "--raw", "--greedy", "-n", 8)
            .succeeded();
    assertThat(result.out()).startsWith(", there was a");
  }

  @Test
  void jsonHoldsTheAnswerAndTheFigures() {
    JsonObject object =
        shell
            .run("run", stories(), "--raw", "-p", "Once", "--seed", 5, "-n", 12, "--json")
            .succeeded()
            .json();
    assertThat(object.keySet())
        .containsExactly(
            "text",
            "tokens",
            "finish",
            "seed",
            "reproducible",
            "kernels",
            "notes",
            "predicted",
            "measured");
    assertThat(object.get("text").getAsString()).isNotBlank();
    assertThat(object.getAsJsonArray("tokens")).hasSize(12);
    assertThat(object.get("finish").getAsString()).isEqualTo("max_tokens");
    assertThat(object.get("seed").getAsLong()).isEqualTo(5);
    assertThat(object.getAsJsonObject("predicted").keySet())
        .contains("bytes", "prefillTokensPerSecond", "decodeTokensPerSecond");
    // Of a full context only what was used is expected to be resident.
    JsonObject predicted = object.getAsJsonObject("predicted");
    assertThat(predicted.get("peakResidentBytes").getAsLong())
        .isPositive()
        .isLessThan(predicted.get("bytes").getAsLong());
    JsonObject measured = object.getAsJsonObject("measured");
    assertThat(measured.get("answerTokens").getAsInt()).isEqualTo(12);
    assertThat(measured.get("peakResidentBytes").getAsLong()).isPositive();
    assertThat(measured.get("decodeTokensPerSecond").getAsDouble()).isPositive();
  }

  @Test
  void answersAreHeldToAForm() throws IOException {
    Path grammar = Files.writeString(home.resolve("date.gbnf"), "root ::= [0-9]{4} \"-\" [0-9]{2}");
    Path schema =
        Files.writeString(
            home.resolve("schema.json"), "{\"type\": \"integer\", \"minimum\": 7, \"maximum\": 9}");
    assertThat(run("--grammar", grammar)).matches("\\d{4}-\\d{2}\\s*");
    assertThat(run("--json-schema", schema)).matches("[789]\\s*");
    assertThat(run("--regex", "(ja|nein)!")).matches("(ja|nein)!\\s*");
    Shell.Result both =
        shell.run("run", stories(), "-p", "Once", "--regex", "a", "--grammar", grammar);
    assertThat(both.err()).contains("give one");
  }

  private String run(String option, Object value) {
    return shell
        .run("run", stories(), "--raw", "-p", "Once", "--seed", 1, option, value)
        .succeeded()
        .out();
  }

  @Test
  void aSeedRepeatsAnAnswer() {
    List<String> texts =
        List.of(5, 5, 6).stream()
            .map(seed ->
                shell
                    .run("run", stories(), "--raw", "-p", "Once", "--seed", seed, "-n", 30)
                    .succeeded()
                    .out())
            .toList();
    assertThat(texts.get(0)).isEqualTo(texts.get(1)).isNotEqualTo(texts.get(2));
  }

  @Test
  void samplesAreSeparateAnswers() {
    Shell.Result result =
        shell
            .run(
                "run",
                stories(),
                "--raw",
                "-p",
                "Once",
                "--samples",
                3,
                "--seed",
                1,
                "-n",
                20,
                "--json")
            .succeeded();
    List<String> texts =
        result
            .out()
            .lines()
            .map(line -> JsonParser.parseString(line).getAsJsonObject().get("text").getAsString())
            .toList();
    assertThat(texts).hasSize(3).doesNotHaveDuplicates();

    result =
        shell
            .run("run", stories(), "--raw", "-p", "Once", "--samples", 2, "--seed", 1, "-n", 4)
            .succeeded();
    assertThat(result.out().lines()).hasSize(2);
    assertThat(result.err()).isEqualTo("--- 1 of 2\n--- 2 of 2\n");
  }

  @Test
  void stopsEndAnAnswerBeforeThem() {
    Shell.Result result =
        shell
            .run(
                "run",
                stories(),
                "--raw",
                "-p",
                "",
                "--greedy",
                "--stop",
                "never said",
                "--stop",
                " girl named",
                "-n",
                50)
            .succeeded();
    assertThat(result.out()).isEqualTo("Once upon a time, there was a little\n");
  }

  @Test
  void specialTokensInAMessageAreTextUnlessAskedFor() {
    Object[] run = {"run", stories(), "-p", "</s></s></s>", "-n", 1, "--json"};
    Object[] special = Arrays.copyOf(run, run.length + 1);
    special[run.length] = "--parse-special";
    // "</s>" is a token, and otherwise several.
    assertThat(promptTokens(run) - promptTokens(special)).isGreaterThan(3);
  }

  @Test
  void systemInstructionsComeBeforeThePrompt() {
    int without = promptTokens("run", "-p", "Where is Dan?", "--json");
    int with =
        promptTokens("run", "-p", "Where is Dan?", "--json", "--system", "Dan is in the garden.");
    assertThat(with).isGreaterThan(without);
  }

  @Test
  void toolsAreReadBeforeTheModel() throws IOException {
    Path tools = Files.writeString(home.resolve("tools.json"), "{}");
    shell
        .run("run", home.resolve("no.gguf"), "--tools", tools, "-p", "Hi")
        .failed(4, "tools.json", "no list of tools");
  }

  @Test
  void toolsThatTheModelCannotHaveAreSaid() throws IOException {
    Path tools =
        Files.writeString(
            home.resolve("tools.json"),
            "[{\"type\": \"function\", \"function\": {\"name\": \"weather\"}}]");
    Shell.Result result = shell.run("run", "-p", NOTES, "--tools", tools).succeeded();
    assertThat(result.out()).isEqualTo(ANSWER);
    assertThat(result.err()).contains("takes no tools");
  }

  private int promptTokens(Object... line) {
    return shell
        .run(line)
        .succeeded()
        .json()
        .getAsJsonObject("measured")
        .get("promptTokens")
        .getAsInt();
  }

  @Test
  void aFullContextEndsTheAnswerAndSaysWhatHelps() {
    Shell.Result full =
        shell
            .run("run", stories(), "--raw", "-p", "", "--greedy", "--ctx", 16, "--ignore-end")
            .succeeded();
    assertThat(full.err()).contains("the context of 16 tokens is full", "--ctx", "--shift");
    Shell.Result shifted =
        shell
            .run(
                "run",
                stories(),
                "--raw",
                "-p",
                "",
                "--greedy",
                "--ctx",
                16,
                "--shift",
                "--ignore-end",
                "-n",
                40)
            .succeeded();
    assertThat(shifted.out()).startsWith(full.out().strip()).hasSizeGreaterThan(80);
    assertThat(shifted.err()).isEmpty();
  }

  @Test
  void aPromptLongerThanTheContext() {
    shell
        .run("run", stories(), "--raw", "-p", "Once upon a time ".repeat(20), "--ctx", 16)
        .failed(2, "tokens", "a context of", "16", "Shorten the prompt");
  }

  @Test
  void anAnswerThatNobodyReadsEnds() {
    OutputStream closed =
        new OutputStream() {
          @Override
          public void write(int b) throws IOException {
            throw new IOException("Broken pipe");
          }
        };
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    StandardStreams streams =
        new StandardStreams(
            InputStream.nullInputStream(),
            StandardStreams.print(closed, false, UTF_8),
            new PrintStream(err, true, UTF_8),
            false,
            false,
            false);
    Environment environment =
        new Environment(streams, Map.of("XDG_CACHE_HOME", Shell.CACHE.toString()), home);
    String[] line = {"run", stories().toString(), "--raw", "-p", "Once", "--stats", "--ignore-end"};
    assertThat(Main.run(environment, line)).isZero();
    assertThat(err.toString(UTF_8)).containsPattern("answer tokens +\\d\\d?\n");
  }

  @Test
  void anEmptyPrompt() {
    shell.run("run").failed(2, "The prompt is empty", "-p", "standard input");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"--samples=0", "-n=0", "--temp=-1", "--threads=0", "--ctx=0", "--top-p=2"})
  void optionsOutOfTheirRange(String option) {
    shell.run("run", stories(), "--raw", "-p", "Once", option).failed(2, "0");
  }
}

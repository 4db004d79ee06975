package dev.knapsack.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The measurements of quality, as typed. */
class EvalCommandsTest {
  @TempDir Path home;
  private Shell shell;

  @BeforeEach
  void openShell() {
    shell = new Shell(home);
  }

  @Test
  void perplexityOfAText() {
    Path stories = Shell.data("models/stories260K.gguf");
    Path text = Shell.data("text/tinyshakespeare.txt");
    Shell.Result json =
        shell
            .run(
                "eval",
                "perplexity",
                stories,
                text,
                "--bytes",
                2048,
                "--context",
                64,
                "--kv-format",
                "f8_e4m3",
                "--json")
            .succeeded();
    JsonObject measured = json.json();
    assertThat(measured.get("context").getAsInt()).isEqualTo(64);
    assertThat(measured.get("keyFormat").getAsString()).isEqualTo("F8_E4M3");
    int passages = measured.get("tokens").getAsInt() / 64;
    assertThat(measured.get("passages").getAsInt()).isEqualTo(passages).isPositive();
    assertThat(measured.get("scored").getAsInt()).isEqualTo(31 * passages);
    double perplexity = measured.get("perplexity").getAsDouble();
    assertThat(Math.log(perplexity))
        .isEqualTo(measured.get("natsPerToken").getAsDouble(), within(1e-9));
    assertThat(perplexity).isBetween(20.0, 300.0);

    assertThat(
            shell
                .run("eval", "perplexity", stories, text, "--bytes", 2048, "--context", 64)
                .succeeded()
                .out())
        .startsWith("perplexity ")
        .contains("of tinyshakespeare.txt by stories260K", "passages of 64", "cache in F16");
    shell.run("eval", "perplexity", stories).failed(2, "FILE");
    shell.run("eval", "perplexity", stories, home.resolve("none")).failed(4, "there is no such");
    shell
        .run("eval", "perplexity", stories, text, "--bytes", 9)
        .failed(4, "fewer than one passage of");
  }

  @Test
  void formatsOfTheCacheOnTheModelInside() throws IOException {
    Path report = home.resolve("report");
    Shell.Result result =
        shell
            .run(
                "eval",
                "kv-formats",
                "--formats",
                "q8_0,Q4_0",
                "--limit",
                2,
                "--report",
                report,
                "--json")
            .succeeded();
    List<JsonObject> lines =
        result.out().lines().map(l -> JsonParser.parseString(l).getAsJsonObject()).toList();
    assertThat(lines)
        .extracting(l -> l.get("form").getAsString())
        .containsExactly("f16", "q8_0", "q4_0");
    assertThat(lines.getFirst().get("right").getAsInt()).isEqualTo(2);
    assertThat(lines.get(1).get("shareOfF16").getAsDouble()).isBetween(0.5, 0.56);
    assertThat(report.resolve("kv-formats.jsonl")).hasContent(result.out());
    assertThat(Files.readString(report.resolve("kv-formats.md")))
        .contains("notes-2.6m-q8_0.gguf", "questions inside");
  }

  @Test
  void recipesOfTheCacheOnTheModelInside() throws IOException {
    Path report = home.resolve("report");
    Shell.Result result =
        shell
            .run(
                "eval",
                "kv",
                "--recipes",
                "snapkv;full+q8_0",
                "--budgets",
                "50%,25",
                "--limit",
                2,
                "--visible",
                "--report",
                report,
                "--json")
            .succeeded();
    List<JsonObject> lines =
        result.out().lines().map(l -> JsonParser.parseString(l).getAsJsonObject()).toList();
    assertThat(lines)
        .extracting(l -> l.get("recipe").getAsString() + " " + l.get("question").getAsString())
        .containsExactly(
            "full hidden",
            "snapkv hidden",
            "snapkv hidden",
            "full+q8_0 hidden",
            "full visible",
            "snapkv visible",
            "snapkv visible",
            "full+q8_0 visible");
    assertThat(lines.get(2).get("budgetPercent").getAsInt()).isEqualTo(25);
    assertThat(lines.get(2).get("shareOfF16").getAsDouble()).isBetween(0.25, 0.27);
    assertThat(report.resolve("kv.jsonl")).hasContent(result.out());
    assertThat(Files.readString(report.resolve("kv.md"))).contains("questions inside");
  }

  @Test
  void whatCannotBeMeasured() throws IOException {
    Path stories = Shell.data("models/stories260K.gguf");
    shell.run("eval").failed(2, "perplexity, kv, kv-formats");
    shell.run("eval", "kv-formats", "--formats", "q9").failed(2, "'q9' is no format of a KV cache");
    shell.run("eval", "kv-formats", "--limit", 0).failed(2, "--limit must be 1 or more");
    shell.run("eval", "kv-formats", stories).failed(4, "give questions, a text, or both");
    shell.run("eval", "kv", stories).failed(4, "give questions");
    shell.run("eval", "kv", "--recipes", "snap").failed(2, "There is no KV recipe 'snap");
    shell.run("eval", "kv", "--budgets", "half").failed(2, "--budgets takes whole percents");
    Path questions = home.resolve("q.jsonl");
    Files.writeString(questions, "{\"answer\": \"x\"}");
    shell
        .run("eval", "kv-formats", stories, "--questions", questions)
        .failed(4, questions + ", line 1", "'context' is missing");
  }
}

package dev.knapsack.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The commands that look into models, measure them and make them, as typed. */
class ModelCommandsTest {
  @TempDir Path home;
  private Shell shell;
  private Path stories;

  @BeforeEach
  void openShell() {
    shell = new Shell(home);
    stories = Shell.data("models/stories260K.gguf");
  }

  @Test
  void inspectShowsWhatAFileHolds() {
    String out = shell.run("inspect", stories).succeeded().out();
    assertThat(out)
        .startsWith(stories.toString())
        .containsPattern("general\\.architecture +\"llama\"")
        .contains("512 in all]")
        .containsPattern("F32 +47 tensors")
        .doesNotContain("token_embd.weight");
    assertThat(shell.run("inspect", stories, "--tensors").out())
        .containsPattern("token_embd\\.weight +F32 +64 × 512");
    JsonObject json = shell.run("inspect", stories, "--json").succeeded().json();
    assertThat(json.getAsJsonArray("tensors")).hasSize(47);
    assertThat(json.getAsJsonObject("metadata").getAsJsonArray("tokenizer.ggml.tokens").get(0))
        .isEqualTo(JsonParser.parseString("'<unk>'"));
  }

  @Test
  void tokenizeShowsPiecesThatMakeUpTheText() {
    String text = "Once upon a time, Lily ran.";
    Shell.Result shown = shell.run("tokenize", stories, "-p", text, "--no-bos").succeeded();
    String pieces =
        shown
            .out()
            .lines()
            .map(line -> line.substring(line.indexOf('\'') + 1, line.length() - 1))
            .collect(Collectors.joining());
    assertThat(pieces.strip()).isEqualTo(text);
    assertThat(shown.err()).isEqualTo(shown.out().lines().count() + " tokens\n");

    Shell.Result json = shell.input(text).run("tokenize", stories, "--json").succeeded();
    assertThat(json.err()).isEmpty();
    int withEnds = JsonParser.parseString(json.out()).getAsJsonArray().size();
    assertThat(withEnds).isEqualTo(shown.out().lines().count() + 1);
  }

  @Test
  void logitsAreThoseOfTheReference() throws IOException {
    Path golden = Shell.data("golden/llama");
    Path out = home.resolve("out.f32");
    Shell.Result result =
        shell
            .run(
                "logits",
                golden.resolve("model.gguf"),
                "--tokens",
                golden.resolve("tokens.json"),
                "-o",
                out,
                "--kv-format",
                "f32")
            .succeeded();
    assertThat(result.err()).isEqualTo("48 × 320 logits\n");
    FloatBuffer logits = floats(out);
    FloatBuffer reference = floats(golden.resolve("logits.f32"));
    assertThat(logits.remaining()).isEqualTo(48 * 320).isEqualTo(reference.remaining());
    double error = 0;
    double power = 0;
    while (logits.hasRemaining()) {
      float x = logits.get();
      double y = reference.get();
      error += (x - y) * (x - y);
      power += y * y;
    }
    assertThat(error / power).isLessThan(1e-9); // a NaN is not less
  }

  @Test
  void logitsAreThoseOfTheContextThatIsUsual() throws IOException {
    Path golden = Shell.data("golden/phi3_long");
    Path ids = Files.writeString(home.resolve("ids.json"), "[1, 17, 30, 42]");
    byte[] usual = logits(golden, ids);
    // The model turns otherwise beyond the 128 tokens that it was first trained for.
    assertThat(usual)
        .isEqualTo(logits(golden, ids, "--ctx", "129"))
        .isNotEqualTo(logits(golden, ids, "--ctx", "128"));
  }

  private byte[] logits(Path golden, Path ids, String... more) throws IOException {
    Path out = home.resolve("out.f32");
    List<Object> words =
        new ArrayList<>(
            List.of("logits", golden.resolve("model.gguf"), "--tokens", ids, "-o", out));
    words.addAll(List.of(more));
    shell.run(words.toArray()).succeeded();
    return Files.readAllBytes(out);
  }

  private static FloatBuffer floats(Path file) throws IOException {
    return ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer();
  }

  @Test
  void logitsOfWhatIsNoTokens() throws IOException {
    Path ids = home.resolve("ids.json");
    Path out = home.resolve("out.f32");
    for (String wrong :
        new String[] {"[]", "{}", "[1, \"x\"]", "[1, 512]", "[-1]", "[1", "[1.5]"}) {
      Files.writeString(ids, wrong);
      shell.run("logits", stories, "--tokens", ids, "-o", out).failed(2, "oken");
    }
    shell
        .run("logits", stories, "--tokens", home.resolve("none.json"), "-o", out)
        .failed(4, "none.json: there is no such file");
    Files.writeString(ids, "[1]");
    shell
        .run("logits", stories, "--tokens", ids, "-o", home.resolve("no/such/folder/out"))
        .failed(4, "no/such/folder", "no such file or folder");
    assertThat(home).isDirectoryNotContaining("glob:**out*");
  }

  @Test
  void logitsThroughALink() throws IOException {
    Path ids = Files.writeString(home.resolve("ids.json"), "[1]");
    Path file = Files.createFile(home.resolve("file.f32"));
    Path link = Files.createSymbolicLink(home.resolve("link.f32"), file);
    shell.run("logits", stories, "--tokens", ids, "-o", link).succeeded();
    assertThat(link).isSymbolicLink();
    assertThat(file).hasSize(512 * Float.BYTES);
    shell.run("logits", stories, "--tokens", ids, "-o", home).failed(4, "a folder", "name a file");
  }

  @Test
  void benchMeasuresAFile() {
    Object[] line = {"bench", stories, "--prompt", 8, "--decode", 4, "--rounds", 1};
    assertThat(shell.run(line).succeeded().out())
        .containsPattern("predicted +measured")
        .containsPattern("prefill of 8 tokens, tokens/s +[\\d.]+ +[\\d.]+ +\\d+ %")
        .containsPattern("decode of 4 tokens, tokens/s +[\\d.]+ +[\\d.]+ +\\d+ %")
        .containsPattern("memory [\\d.]+ GB/s, arithmetic [\\d.]+ G multiply-adds/s")
        .doesNotContain("after");
  }

  @Test
  void benchMeasuresAtDepths() {
    Object[] line = {
      "bench", stories, "--prompt", 8, "--decode", 4, "--rounds", 1, "--json", "--depths", "96,0,32"
    };
    JsonObject object = shell.run(line).succeeded().json();
    List<JsonObject> depths =
        object.getAsJsonArray("depths").asList().stream()
            .map(JsonElement::getAsJsonObject)
            .toList();
    assertThat(depths).extracting(at -> at.get("depth").getAsInt()).containsExactly(0, 32, 96);
    // stories260K: 5 layers of 8 heads of 8 numbers, 4 of which are cached, in F16
    double cachedBytes = 5 * 2 * 4 * 8 * 2;
    double bytes = depths.getFirst().get("decodeBytesPerToken").getAsDouble();
    double reads = depths.getFirst().get("decodeMultiplyAddsPerToken").getAsDouble();
    for (JsonObject at : depths) {
      int depth = at.get("depth").getAsInt();
      assertThat(at.get("decodeBytesPerToken").getAsDouble() - bytes)
          .isEqualTo(cachedBytes * depth);
      assertThat(at.get("decodeMultiplyAddsPerToken").getAsDouble() - reads)
          .isEqualTo(5.0 * 2 * 8 * 8 * depth);
      double decode = at.get("decode").getAsDouble();
      double share = at.get("decodeShareOfMemory").getAsDouble();
      double memory = at.get("memoryBytesPerSecond").getAsDouble();
      assertThat(decode).isPositive();
      assertThat(at.get("prefill").getAsDouble()).isPositive();
      assertThat(at.get("prefillShareOfArithmetic").getAsDouble()).isBetween(0.0, 1.0);
      assertThat(share)
          .isCloseTo(decode * at.get("decodeBytesPerToken").getAsDouble() / memory, within(1e-9));
    }
  }

  @Test
  void benchFillsTheCacheWithRandomNumbers() {
    Object[] line = {
      "bench",
      stories,
      "--prompt",
      8,
      "--decode",
      4,
      "--rounds",
      1,
      "--depths",
      "0,96",
      "--random-cache"
    };
    assertThat(shell.run(line).succeeded().out())
        .containsPattern("after 96 tokens +[\\d.]+ +\\d+ %");
  }

  /** Going back in a sequence whose sliding windows have been freed means reading it again. */
  @Test
  void benchMeasuresBehindASlidingWindow() {
    Path gemma = Shell.data("golden/gemma2/model.gguf");
    Object[] line = {
      "bench", gemma, "--prompt", 8, "--decode", 8, "--rounds", 1, "--depths", "40,80"
    };
    assertThat(shell.run(line).succeeded().out())
        .containsPattern(
            "decode of 8 tokens, tokens/s *\n"
                + "  after 40 tokens +[\\d.]+ +\\d+ %\n"
                + "  after 80 tokens");
  }

  @Test
  void benchMeasuresAShapeThatItKeeps() throws IOException {
    Path kept = Shell.CACHE.resolve("knapsack/synthetic/stories-15m-q8_0.gguf");
    Files.deleteIfExists(kept);
    Object[] line = {
      "bench", "--shape", "stories-15m:q8_0", "--prompt", 4, "--decode", 2, "--rounds", 1, "--json"
    };
    Shell.Result first = shell.run(line).succeeded();
    assertThat(first.err()).contains("kept for the next time: " + kept);
    assertThat(kept).isNotEmptyFile();
    JsonObject object = first.json();
    assertThat(object.get("file").getAsString()).isEqualTo(kept.toString());
    for (String figure : new String[] {"prefill", "decode", "predictedDecode", "predictedBytes"}) {
      assertThat(object.get(figure).getAsDouble()).as(figure).isPositive();
    }
    assertThat(shell.run(line).succeeded().err()).isEmpty();
  }

  @Test
  void benchOfWhatCannotBeMeasured() {
    shell.run("bench", stories, "--rounds", 0).failed(2, "--rounds");
    shell.run("bench", stories, "--depths", -1).failed(2, "--depths", "-1");
    shell
        .run("bench", stories, "--prompt", 8, "--decode", 4, "--depths", "0,504")
        .failed(2, "--depths 504", "trained for 512", "0 to 502");
    shell.run("bench", stories, "--depths", "deep").failed(2, "--depths", "deep");
    shell.run("bench", stories, "--shape", "stories-15m").failed(2, "--shape");
    shell.run("bench", "--shape", "gpt-9").failed(2, "gpt-9", "llama-3.2-1b");
  }

  @Test
  void synthWritesAModelThatRuns() throws IOException {
    assertThat(shell.run("synth").succeeded().out().lines()).contains("stories-15m", "qwen3-0.6b");
    Path one = home.resolve("one.gguf");
    Path two = home.resolve("two.gguf");
    shell.run("synth", "stories-15m:q8_0", "-o", one).succeeded();
    shell.run("synth", "stories-15m:q8_0", "-o", two, "--seed", 2).succeeded();
    assertThat(Files.size(one)).isEqualTo(Files.size(two));
    assertThat(Files.mismatch(one, two)).isNotNegative();
    JsonObject answer =
        shell
            .run("run", one, "-p", "Hello", "-n", 5, "--ignore-end", "--greedy", "--json")
            .succeeded()
            .json();
    assertThat(answer.getAsJsonArray("tokens").asList().stream().map(JsonElement::getAsInt))
        .hasSize(5)
        .allMatch(id -> id >= 0 && id < 32000);
  }

  @Test
  void synthOfWhatIsNotKnown() {
    shell.run("synth", "gpt-9").failed(2, "gpt-9", "llama-3.2-1b");
    shell.run("synth", "stories-15m:q9").failed(2, "q9", "Q8_0");
    shell
        .run("synth", "stories-15m", "-o", home.resolve("no/folder.gguf"))
        .failed(4, "no/folder.gguf", "its folder is not there");
  }

  @Test
  void quantizeWritesAModelThatRuns() {
    Path out = home.resolve("q8.gguf");
    assertThat(shell.run("quantize", stories, "q8_0", "-o", out).succeeded().err())
        .contains(out + ": ");
    assertThat(shell.run("inspect", out).out()).contains("Q8_0");
    assertThat(
            shell
                .run("run", out, "--raw", "-p", "Once upon a time", "--greedy", "-n", 4)
                .succeeded()
                .out())
        .isEqualTo(", there was a\n");
  }

  @Test
  void quantizeToWhatIsNotKnown() {
    Path out = home.resolve("out.gguf");
    shell.run("quantize", stories, "q9", "-o", out).failed(2, "q9", "supported are", "Q8_0");
    shell.run("quantize", stories, "q8_0").failed(2, "--output");
    assertThat(out).doesNotExist();
  }
}

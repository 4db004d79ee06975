package dev.knapsack.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.knapsack.Knapsack;
import dev.knapsack.Options;
import dev.knapsack.kernel.Compute;
import dev.knapsack.memory.Budget;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class KvFormatsTest {
  @TempDir Path folder;

  private final Budget budget = Budget.of("96MiB");

  private KvFormats.Opener opener(Path model) {
    return (form, context) ->
        Knapsack.open(
            model,
            Data.host(budget),
            form.apply(
                Options.usual()
                    .withContext(context)
                    // Eight bits would be most of the noise.
                    .withPrecision(Compute.Precision.FLOAT)));
  }

  private List<KvFormatResult> measure(KvFormats work, Path model, String forms)
      throws IOException {
    List<String> progress = new ArrayList<>();
    List<KvFormatResult> results =
        work.measure(
            CacheForm.list(forms),
            opener(model),
            folder.resolve("scratch"),
            (done, all) -> progress.add(done + "/" + all));
    assertThat(progress).hasSize(results.size()).endsWith(results.size() + "/" + results.size());
    assertThat(budget.used()).isZero();
    try (Stream<Path> left = Files.list(folder.resolve("scratch"))) {
      assertThat(left).isEmpty();
    }
    return results;
  }

  @Test
  void questionsOfTheNotesModel() throws IOException {
    Path model = Data.path("notes/notes-2.6m-q8_0.gguf");
    // The first are short ones.
    KvFormats work = KvFormats.of(model, Questions.ofNotes(1), Optional.empty(), 64);
    List<KvFormatResult> results = measure(work, model, "f32,q8_0,q2_1,q8_0/q4_0+rotate,qjl/q8_0");
    assertThat(results)
        .extracting(KvFormatResult::form)
        .containsExactly("f16", "f32", "q8_0", "q2_1", "q8_0/q4_0+rotate", "qjl/q8_0");
    KvFormatResult mixed = results.get(4);
    assertThat(mixed.text().divergence()).isBetween(1e-6, results.get(3).text().divergence() / 3);
    assertThat(mixed.keyFormat()).isEqualTo("Q8_0");
    assertThat(mixed.valueFormat()).isEqualTo("Q4_0");
    // 64 signs and a scale for 32 channels of a key
    assertThat(results.get(5).bytes().numbers()).isEqualTo(256 / 32 * 10 + 256 * 34 / 32);
    KvFormatResult f16 = results.get(0);
    assertThat(f16.text()).isEqualTo(new Agreement(f16.text().positions(), 0, 1));
    assertThat(f16.answers()).isEqualTo(new Agreement(f16.answers().positions(), 0, 1));
    assertThat(f16.right()).isEqualTo(1);
    assertThat(f16.shareOfFull()).isEqualTo(1);
    KvFormatResult f32 = results.get(1);
    KvFormatResult q8 = results.get(2);
    KvFormatResult q2 = results.get(3);
    assertThat(f32.right()).isEqualTo(1);
    assertThat(q8.right()).isEqualTo(1);
    // Fewer bits are further away.
    assertThat(f32.text().divergence()).isPositive().isLessThan(q8.text().divergence() / 10);
    assertThat(q8.text().divergence()).isLessThan(q2.text().divergence() / 10);
    assertThat(q2.text().same()).isLessThan(q8.text().same());
    assertThat(q2.perplexity()).isGreaterThan(q8.perplexity());
    assertThat(f16.bytes().numbers()).isEqualTo(1024);
    assertThat(q8.bytes().numbers()).isEqualTo(1024 * 17 / 32);
    assertThat(f32.shareOfFull()).isEqualTo(2, within(0.02));
    assertThat(f16.answers().positions()).isEqualTo(q2.answers().positions()).isPositive();
    assertThat(f16.decodeTokensPerSecond()).isPositive();

    KvFormatsReport report = new KvFormatsReport("notes", results);
    assertThat(report.table().text().lines()).hasSize(7).anyMatch(l -> l.startsWith("q2_1 "));
    assertThat(report.jsonLines().lines()).hasSize(6).allMatch(l -> l.contains("\"recall\":"));
    report.write(folder.resolve("report"));
    assertThat(folder.resolve("report/kv-formats.md"))
        .content()
        .contains("| f16 |", "(divergence.svg)", "(recall.svg)");
    for (String picture : List.of("divergence", "recall")) {
      assertThat(folder.resolve("report/" + picture + ".svg")).content().contains("<svg");
      assertThat(Files.readAllBytes(folder.resolve("report/" + picture + ".png")))
          .startsWith(0x89, 'P', 'N', 'G');
    }
  }

  @Test
  void aTextAlone() throws IOException {
    Path model = Data.path("models/stories260K.gguf");
    Text text = Text.read(Data.path("text/tinyshakespeare.txt"), 2048);
    KvFormats work = KvFormats.of(model, List.of(), Optional.of(text), 128);
    assertThat(work.context()).isEqualTo(128);
    List<KvFormatResult> results = measure(work, model, "f8_e5m2,f8_e5m2+recent=16");
    double alone;
    try (Knapsack full = opener(model).open(CacheForm.FULL, 128)) {
      alone = Perplexity.of(full, text, 128, Perplexity.Progress.NONE).value();
    }
    assertThat(results.get(0).perplexity()).isEqualTo(alone, within(1e-9));
    assertThat(results.get(1).perplexity())
        .isNotEqualTo(alone)
        .isEqualTo(alone, within(0.1 * alone));
    assertThat(results.get(1).text().divergence()).isPositive();
    // Recent tokens are few, and the others are seen as they are stored.
    assertThat(results.get(2).text().divergence())
        .isBetween(1e-4, 0.9 * results.get(1).text().divergence());
    assertThat(results.get(1).asked()).isZero();
    assertThat(new KvFormatsReport("stories", results).table().text()).doesNotContain("recall");
  }

  @Test
  void whatCannotBeMeasuredWith() {
    Path model = Data.path("notes/notes-2.6m-q8_0.gguf");
    assertThatThrownBy(() -> KvFormats.of(model, List.of(), Optional.empty(), 64))
        .isInstanceOf(TextException.class)
        .hasMessageContaining("give questions, a text, or both");
    Question tooLong = new Question("q", "1".repeat(2100), "2", "");
    assertThatThrownBy(() -> KvFormats.of(model, List.of(tooLong), Optional.empty(), 64))
        .isInstanceOf(TextException.class)
        .hasMessageContaining("Question q")
        .hasMessageContaining("trained for 2,048");
    Path stories = Data.path("models/stories260K.gguf");
    Question brief = new Question("q", "One", "two", "");
    KvFormats work = KvFormats.of(stories, List.of(brief), Optional.empty(), 64);
    assertThatThrownBy(() -> measure(work, stories, "f32,q8_0"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("heads of 8 numbers")
        .hasMessageContaining("q8_0");
    assertThatThrownBy(() -> CacheForm.of("q4_0+fast"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("'+fast' says nothing of a KV cache");
    for (String name :
        List.of("f16", "q8_0/q4_0+rotate+recent=64", "bfp4+reorder", "q4_0+recent=7")) {
      assertThat(CacheForm.of(name).name()).isEqualTo(name);
    }
    assertThatThrownBy(() -> CacheForm.of("q4_0+rotate+reorder"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("exclude each other");
    assertThatThrownBy(() -> CacheForm.of("q9"))
        .hasMessageContaining("'q9' is no format of a KV cache")
        .hasMessageContaining("q8_0");
  }
}

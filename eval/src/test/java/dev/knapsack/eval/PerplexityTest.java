package dev.knapsack.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.knapsack.Knapsack;
import dev.knapsack.Options;
import dev.knapsack.memory.Budget;
import dev.knapsack.plan.KvChoice;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.io.IOException;
import org.junit.jupiter.api.Test;

/** Of a model and a text for which the figure is known from elsewhere. */
class PerplexityTest {
  private static final int BYTES = 20_480;

  private Knapsack stories(Format cacheFormat) {
    return Knapsack.open(
        Data.path("models/stories260K.gguf"),
        Data.host(Budget.of("64MiB")),
        Options.usual().withContext(256).withCacheFormat(KvChoice.of(cacheFormat)));
  }

  private static Text shakespeare() throws IOException {
    return Text.read(Data.path("text/tinyshakespeare.txt"), BYTES);
  }

  @Test
  void itIsTheFigureOfTheReference() throws IOException {
    try (Knapsack model = stories(Formats.F32)) {
      Perplexity measured = Perplexity.of(model, shakespeare(), 256, Perplexity.Progress.NONE);
      assertThat(measured.tokens()).isEqualTo(12_683);
      assertThat(measured.passages()).isEqualTo(49);
      assertThat(measured.scored()).isEqualTo(49 * 127);
      assertThat(measured.value()).isEqualTo(98.5365, within(0.0005)); // in float64
    }
    try (Knapsack model = stories(Formats.F16)) {
      Perplexity measured = Perplexity.of(model, shakespeare(), 256, Perplexity.Progress.NONE);
      // Halves are rounded the same everywhere, sums are not: 98.549 in a C++ engine.
      assertThat(measured.value()).isEqualTo(98.549, within(0.02));
    }
  }

  @Test
  void aTextOfLessThanAPassage() throws IOException {
    try (Knapsack model = stories(Formats.F16)) {
      Text text = Text.read(Data.path("text/tinyshakespeare.txt"), 100);
      assertThatThrownBy(() -> Perplexity.of(model, text, 256, Perplexity.Progress.NONE))
          .isInstanceOf(TextException.class)
          .hasMessageContaining("tinyshakespeare.txt")
          .hasMessageContaining("fewer than one passage of 256");
    }
  }
}

package dev.knapsack.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class PassageTest {
  private static final int[] TOKENS = IntStream.rangeClosed(1, 21).toArray();

  @Test
  void aTextIsCutAndItsRestIsLeftOut() {
    List<Passage> passages = Passage.ofText(TOKENS, 8, -1);
    assertThat(passages).hasSize(2);
    assertThat(passages.get(0).tokens()).containsExactly(1, 2, 3, 4, 5, 6, 7, 8);
    assertThat(passages.get(1).tokens()).containsExactly(9, 10, 11, 12, 13, 14, 15, 16);
    // After tokens 4, 5 and 6 the next are predicted: of 8 tokens the last three are scored.
    assertThat(passages.get(1).first()).isEqualTo(4);
    assertThat(passages.get(1).scored()).isEqualTo(3);
  }

  @Test
  void everyPassageBeginsWithWhatBeginsASequence() {
    List<Passage> passages = Passage.ofText(TOKENS, 8, 1);
    assertThat(passages.get(0).tokens()).containsExactly(1, 2, 3, 4, 5, 6, 7, 8);
    assertThat(passages.get(1).tokens()).containsExactly(1, 10, 11, 12, 13, 14, 15, 16);
  }

  @Test
  void shortTextsAndContexts() {
    assertThat(Passage.ofText(TOKENS, 22, 1)).isEmpty();
    assertThatThrownBy(() -> Passage.ofText(TOKENS, 3, 1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("at least 4 tokens, not 3");
  }
}

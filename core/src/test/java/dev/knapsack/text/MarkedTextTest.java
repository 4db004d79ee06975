package dev.knapsack.text;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.Test;

/** Characters keep their marks wherever they go. */
class MarkedTextTest {
  /** A marked text and what it should be: control characters are capitals, input is small. */
  private static final Random RANDOM = new Random(7);

  private static MarkedText random(StringBuilder expected) {
    MarkedText.Builder builder = new MarkedText.Builder();
    for (int part = RANDOM.nextInt(4); part > 0; part--) {
      boolean control = RANDOM.nextBoolean();
      String text = (control ? "ABC" : "abc").substring(RANDOM.nextInt(3));
      builder.add(text, control);
      expected.append(text);
    }
    return builder.build();
  }

  private static void check(MarkedText text, CharSequence expected) {
    assertThat(text.text()).isEqualTo(expected.toString());
    for (int from = 0; from < text.length(); from++) {
      for (int to = from + 1; to <= text.length(); to++) {
        String part = text.text().substring(from, to);
        assertThat(text.isControl(from, to)).isEqualTo(part.equals(part.toUpperCase()));
        assertThat(text.runEnd(from) >= to)
            .isEqualTo(part.equals(part.toUpperCase()) || part.equals(part.toLowerCase()));
      }
    }
  }

  @Test
  void marksFollowTheirCharacters() {
    for (int round = 0; round < 300; round++) {
      StringBuilder expected = new StringBuilder();
      MarkedText text = random(expected);
      check(text, expected);
      int from = RANDOM.nextInt(text.length() + 1);
      int to = from + RANDOM.nextInt(text.length() - from + 1);
      MarkedText slice = text.slice(from, to);
      check(slice, expected.substring(from, to));
      StringBuilder more = new StringBuilder();
      MarkedText other = random(more);
      check(slice.plus(other), expected.substring(from, to) + more);
      MarkedText.Builder repeated = new MarkedText.Builder().add(slice).repeat(other, 3);
      check(repeated.build(), expected.substring(from, to) + more.toString().repeat(3));
    }
  }

  @Test
  void equalTextsAreEqualWhateverTheirMarks() {
    assertThat(MarkedText.control("a"))
        .isEqualTo(MarkedText.input("a"))
        .hasSameHashCodeAs(MarkedText.input("a"))
        .isNotEqualTo(MarkedText.control("b"));
    assertThat(MarkedText.input("")).isSameAs(MarkedText.EMPTY);
  }
}

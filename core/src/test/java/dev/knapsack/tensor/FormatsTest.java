package dev.knapsack.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.UnsupportedFormatException;
import java.util.Locale;
import org.junit.jupiter.api.Test;

class FormatsTest {
  @Test
  void findsEachByNameAndByNumber() {
    for (Format format : Formats.all()) {
      assertThat(Formats.byName(format.name())).isSameAs(format);
      assertThat(Formats.byName(format.name().toLowerCase(Locale.ROOT))).isSameAs(format);
      assertThat(Formats.byGgufType(format.ggufType())).isSameAs(format);
    }
  }

  @Test
  void knowsThePublishedNumbersAndSizes() {
    assertThat(Formats.all())
        .extracting(f -> f.ggufType() + " " + f + " " + f.blockValues() + "/" + f.blockBytes())
        .containsExactlyInAnyOrder(
            "0 F32 1/4",
            "1 F16 1/2",
            "2 Q4_0 32/18",
            "3 Q4_1 32/20",
            "6 Q5_0 32/22",
            "7 Q5_1 32/24",
            "8 Q8_0 32/34",
            "10 Q2_K 256/84",
            "11 Q3_K 256/110",
            "12 Q4_K 256/144",
            "13 Q5_K 256/176",
            "14 Q6_K 256/210",
            "20 IQ4_NL 32/18",
            "23 IQ4_XS 256/136",
            "30 BF16 1/2",
            "34 TQ1_0 256/54",
            "35 TQ2_0 256/66",
            "39 MXFP4 32/17",
            "41 Q1_0 128/18");
  }

  @Test
  void knowsTheFormatsOfTheCacheAndTheirSizes() {
    assertThat(Formats.cache())
        .extracting(f -> f + " " + f.blockValues() + "/" + f.blockBytes())
        .containsExactlyInAnyOrder(
            "F32 1/4",
            "F16 1/2",
            "BF16 1/2",
            "F8_E4M3 1/1",
            "F8_E5M2 1/1",
            "Q8_0 32/34",
            "Q5_1 32/24",
            "Q5_0 32/22",
            "Q4_1 32/20",
            "Q4_0 32/18",
            "Q2_1 32/12",
            "BFP6 32/25",
            "BFP6_64 64/49",
            "BFP4 32/17",
            "BFP4_64 64/33",
            "SIGNS 64/10");
    for (Format format : Formats.cache()) {
      assertThat(Formats.byName(format.name().toLowerCase(Locale.ROOT))).isSameAs(format);
    }
  }

  @Test
  void planesAreOfOneToEightBits() {
    for (int bits = 1; bits <= 8; bits++) {
      Format format = Formats.planes(bits);
      assertThat(format + " " + format.blockValues() + "/" + format.blockBytes())
          .isEqualTo("P" + bits + " 32/" + (4 + 4 * bits));
      assertThat(Formats.byName("p" + bits)).isSameAs(format);
      assertThat(Formats.weights()).contains(format);
      assertThatThrownBy(() -> Formats.checkInFiles(format))
          .isInstanceOf(UnsupportedFormatException.class);
    }
  }

  @Test
  void formatsOfTheCacheAloneAreNotForFiles() {
    for (Format format : Formats.all()) {
      assertThat(Formats.checkInFiles(format)).isSameAs(format);
    }
    for (Format format : Formats.cache()) {
      if (!Formats.all().contains(format)) {
        assertThat(format.ggufType()).isEqualTo(-1);
        assertThatThrownBy(() -> Formats.checkInFiles(format))
            .isInstanceOf(UnsupportedFormatException.class)
            .hasMessageContaining("'" + format.name() + "'")
            .hasMessageContaining("Q4_K");
      }
    }
    assertThatThrownBy(() -> Formats.byGgufType(-1)).isInstanceOf(UnsupportedFormatException.class);
  }

  @Test
  void namesWhatItKnowsWhenAskedForSomethingElse() {
    assertThatThrownBy(() -> Formats.byName("q9_z"))
        .isInstanceOf(UnsupportedFormatException.class)
        .hasMessageContaining("'q9_z'")
        .hasMessageContaining("Q4_K");
    assertThatThrownBy(() -> Formats.byGgufType(16))
        .isInstanceOf(UnsupportedFormatException.class)
        .hasMessageContaining("number 16")
        .hasMessageContaining("Q4_K (12)");
  }
}

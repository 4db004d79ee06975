package dev.knapsack.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class RopeTest {
  private static final Rope.Pairs PAIRS = Rope.Pairs.ADJACENT;

  @Test
  void plainAnglesFallByAFixedRatio() {
    Rope rope = Rope.plain(PAIRS, 8, 10_000);
    assertThat(rope.frequencies())
        .containsExactly(new double[] {1, 0.1, 0.01, 0.001}, within(1e-15));
    assertThat(rope.magnitude()).isEqualTo(1);
  }

  @Test
  void linearScalingDividesAllAngles() {
    assertThat(Rope.linear(PAIRS, 4, 100, 4).frequencies())
        .containsExactly(new double[] {0.25, 0.025}, within(1e-15));
  }

  @Test
  void llama3KeepsShortWavesAndDividesLongOnes() {
    double[] plain = Rope.plain(PAIRS, 128, 500_000).frequencies();
    double[] scaled = Rope.llama3(PAIRS, 128, 500_000, 8, 1, 4, 8192).frequencies();
    for (int i = 0; i < 64; i++) {
      double wave = 2 * Math.PI / plain[i];
      if (wave < 8192.0 / 4) {
        assertThat(scaled[i]).isEqualTo(plain[i]);
      } else if (wave > 8192) {
        assertThat(scaled[i]).isCloseTo(plain[i] / 8, within(1e-18));
      } else {
        assertThat(scaled[i]).isBetween(plain[i] / 8, plain[i]);
      }
    }
    // The rope_freqs tensor of the published 8B model: 1 up to pair 28, 8 from pair 35.
    assertThat(plain[28] / scaled[28]).isEqualTo(1);
    assertThat(plain[35] / scaled[35]).isCloseTo(8, within(1e-9));
  }

  @Test
  void yarnKeepsFastPairsAndInterpolatesSlowOnes() {
    double[] plain = Rope.plain(PAIRS, 64, 150_000).frequencies();
    Rope rope = Rope.yarn(PAIRS, 64, 150_000, 32, 4096, 32, 1, true, Rope.yarnMagnitude(32));
    // Pairs 8 and 18 bound the ramp: 64 ln(4096 / (2π β)) / (2 ln 150000) = 8.09 and 17.40.
    assertThat(rope.frequencies()[8]).isEqualTo(plain[8]);
    assertThat(rope.frequencies()[18]).isCloseTo(plain[18] / 32, within(1e-18));
    assertThat(rope.frequencies()[13])
        .isCloseTo(plain[13] * 0.5 + plain[13] / 32 * 0.5, within(1e-18));
    assertThat(rope.magnitude()).isCloseTo(1.3465736f, within(1e-6f));
    double[] exact = Rope.yarn(PAIRS, 64, 150_000, 32, 4096, 32, 1, false, 1).frequencies();
    double first = 32 * Math.log(4096 / (64 * Math.PI)) / Math.log(150_000);
    double last = 32 * Math.log(4096 / (2 * Math.PI)) / Math.log(150_000);
    double ramp = (13 - first) / (last - first);
    assertThat(exact[8]).isEqualTo(plain[8]);
    assertThat(exact[13]).isCloseTo(plain[13] * (1 - ramp) + plain[13] / 32 * ramp, within(1e-12));
  }

  @Test
  void factorsDivideEachPair() {
    Rope rope = Rope.plain(PAIRS, 4, 100).dividedBy(new float[] {2, 4});
    assertThat(rope.frequencies()).containsExactly(new double[] {0.5, 0.025}, within(1e-15));
    assertThatThrownBy(() -> rope.dividedBy(new float[3]))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("needs 2 factors; got 3");
  }

  @Test
  void longropeMagnitudeGrowsWithTheContext() {
    assertThat(Rope.longropeMagnitude(4096, 4096)).isEqualTo(1);
    assertThat(Rope.longropeMagnitude(131_072, 4096)).isCloseTo(1.1902381f, within(1e-6f));
  }

  @ParameterizedTest
  @EnumSource
  void aNumberTurnsWithItsPartnerAlone(Rope.Pairs pairs) {
    Rope rope = Rope.plain(pairs, 8, 100);
    for (int i = 0; i < 12; i++) {
      float[] head = new float[12];
      head[i] = 1;
      MemorySegment data = Arena.ofAuto().allocate(4L * head.length, 4);
      data.copyFrom(MemorySegment.ofArray(head));
      new ScalarRows().rope(new Matrix(Formats.F32, 1, 12, data), 12, rope, new int[] {1}, 0, 1);
      float[] turned = data.toArray(ValueLayout.JAVA_FLOAT);
      List<Integer> touched = IntStream.range(0, 12).filter(n -> turned[n] != 0).boxed().toList();
      assertThat(touched).isEqualTo(Stream.of(i, rope.partner(i)).distinct().sorted().toList());
      assertThat(touched).hasSize(i < 8 ? 2 : 1);
    }
  }

  @Test
  void oddDimensionsAreRefused() {
    assertThatThrownBy(() -> Rope.plain(PAIRS, 7, 100))
        .isInstanceOf(IllegalArgumentException.class);
  }
}

package dev.knapsack.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What every format promises. */
class FormatContractTest {
  /** Normalised mean square error of normally distributed numbers, at the most. */
  private static final Map<String, Double> LOSS =
      Map.ofEntries(
          Map.entry("F32", 0.0),
          Map.entry("F16", 1e-7),
          Map.entry("BF16", 1e-5),
          Map.entry("Q8_ACT", 5e-5),
          Map.entry("Q8_0", 5e-5),
          Map.entry("Q6_K", 5e-4),
          Map.entry("Q5_K", 2e-3),
          Map.entry("Q5_0", 2.5e-3),
          Map.entry("Q5_1", 2e-3),
          Map.entry("Q4_K", 7e-3),
          Map.entry("Q4_0", 1e-2),
          Map.entry("Q4_1", 9e-3),
          Map.entry("IQ4_NL", 8e-3),
          Map.entry("IQ4_XS", 8e-3),
          Map.entry("MXFP4", 2.5e-2),
          Map.entry("Q3_K", 2.5e-2),
          Map.entry("Q2_K", 9e-2),
          Map.entry("F8_E4M3", 8e-4),
          Map.entry("F8_E5M2", 3e-3),
          Map.entry("BFP6", 1.1e-3),
          Map.entry("BFP6_64", 1.3e-3),
          Map.entry("BFP4", 1.4e-2),
          Map.entry("BFP4_64", 1.6e-2),
          Map.entry("Q2_1", 0.1),
          Map.entry("SIGNS", 0.6),
          Map.entry("P8", 3e-5),
          Map.entry("P7", 1e-4),
          Map.entry("P6", 4e-4),
          Map.entry("P5", 1.6e-3),
          Map.entry("P4", 6.5e-3),
          Map.entry("P3", 2.5e-2),
          Map.entry("P2", 0.1),
          Map.entry("P1", 0.37),
          Map.entry("TQ1_0", 1.0),
          Map.entry("TQ2_0", 1.0),
          Map.entry("Q1_0", 0.38));

  static Stream<Format> formats() {
    Stream<Format> stored = Stream.concat(Formats.weights().stream(), Formats.cache().stream());
    return Stream.concat(stored.distinct(), Stream.of(Q8Activations.FORMAT));
  }

  static Stream<BlockFormat> blockFormats() {
    return formats().filter(BlockFormat.class::isInstance).map(BlockFormat.class::cast);
  }

  static Stream<Format> scalarFormats() {
    return formats().filter(f -> f.blockValues() == 1);
  }

  static Stream<BlockFormat> cacheBlockFormats() {
    return blockFormats().filter(Formats.cache()::contains);
  }

  @ParameterizedTest
  @MethodSource("formats")
  void losesLittleOfNormalNumbers(Format format) {
    assertThat(loss(format, normal(8 * 256, 1))).isLessThanOrEqualTo(LOSS.get(format.name()));
  }

  /** Keys and values are not of one size as weights are. */
  @ParameterizedTest
  @MethodSource("cacheBlockFormats")
  void losesAsLittleOfSmallAndLargeNumbers(BlockFormat format) {
    for (float size : new float[] {1e-2f, 0.7f, 1e3f, 1.2e4f}) {
      float[] x = normal(8 * 256, 8);
      for (int i = 0; i < x.length; i++) {
        x[i] *= size;
      }
      assertThat(loss(format, x)).as("%s", size).isLessThanOrEqualTo(1.1 * LOSS.get(format.name()));
    }
  }

  @ParameterizedTest
  @MethodSource("cacheBlockFormats")
  void keepsNumbersThatAreAllTheSame(BlockFormat format) {
    // A power of two, which is a level of every symmetric format too.
    for (float value : new float[] {-0.25f, 2, -65504}) {
      float[] x = new float[512];
      Arrays.fill(x, value);
      for (float y : decode(format, encode(format, x))) {
        assertThat(y / value).isBetween(0.87f, 1.01f);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("scalarFormats")
  void encodesWhatItDecodesToTheSameBytes(Format format) {
    int codes = format.blockBytes() == 1 ? 256 : 65536;
    byte[] all = new byte[codes * format.blockBytes()];
    new Random(9).nextBytes(all);
    if (format.blockBytes() == 1) {
      for (int i = 0; i < codes; i++) {
        all[i] = (byte) i;
      }
    }
    float[] x = decode(format, all);
    float[] again = decode(format, encode(format, x));
    for (int i = 0; i < codes; i++) {
      if (Float.isFinite(x[i])) {
        assertThat(Float.floatToIntBits(again[i])).isEqualTo(Float.floatToIntBits(x[i]));
      }
    }
  }

  /** What went wrong in a model stays visible, as long as the format has a word for it. */
  @ParameterizedTest
  @MethodSource("scalarFormats")
  void keepsNotANumberAndPutsInfinityAtTheEnd(Format format) {
    float[] x = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, 3.4e38f, -0.0f};
    float[] y = decode(format, encode(format, x));
    assertThat(y[0]).isNaN();
    assertThat(y[1]).isGreaterThanOrEqualTo(y[3]).isGreaterThanOrEqualTo(448);
    assertThat(y[2]).isEqualTo(-y[1]);
    assertThat(Float.floatToRawIntBits(y[4])).isEqualTo(Float.floatToRawIntBits(-0.0f));
  }

  @ParameterizedTest
  @MethodSource("formats")
  void keepsMinusOneZeroAndOneTimesAScale(Format format) {
    Random random = new Random(2);
    float[] x = new float[512];
    for (int i = 0; i < x.length; i++) {
      x[i] = 0.5f * (random.nextInt(3) - 1);
    }
    float[] y = decode(format, encode(format, x));
    // One bit has no third number.
    float allowed =
        switch (format.name()) {
          case "TQ1_0", "TQ2_0" -> 0;
          case "P1", "SIGNS", "Q1_0" -> 0.6f;
          default -> 0.13f;
        };
    float worst = 0;
    for (int i = 0; i < x.length; i++) {
      worst = Math.max(worst, Math.abs(x[i] - y[i]));
    }
    assertThat(worst).isLessThanOrEqualTo(allowed);
  }

  @ParameterizedTest
  @MethodSource("formats")
  void keepsZeros(Format format) {
    float[] y = decode(format, encode(format, new float[512]));
    float worst = 0;
    for (float value : y) {
      worst = Math.max(worst, Math.abs(value));
    }
    assertThat(worst).isZero();
  }

  @ParameterizedTest
  @MethodSource("formats")
  void respectsOffsetsAndWritesNothingOutside(Format format) {
    float[] x = normal(512, 3);
    byte[] plain = encode(format, x);
    MemorySegment source = MemorySegment.ofArray(new byte[512 * 4 + 7]);
    MemorySegment.copy(MemorySegment.ofArray(x), 0, source, 5, 512 * 4);
    byte[] target = new byte[plain.length + 16];
    Arrays.fill(target, (byte) 0x5A);
    format.encode(source, 5, MemorySegment.ofArray(target), 9, 512);
    assertThat(Arrays.copyOfRange(target, 9, 9 + plain.length)).isEqualTo(plain);
    assertThat(Arrays.copyOfRange(target, 0, 9)).containsOnly(0x5A);
    assertThat(Arrays.copyOfRange(target, 9 + plain.length, target.length)).containsOnly(0x5A);

    byte[] decoded = new byte[512 * 4 + 16];
    Arrays.fill(decoded, (byte) 0x5A);
    format.decode(MemorySegment.ofArray(target), 9, MemorySegment.ofArray(decoded), 3, 512);
    assertThat(Arrays.copyOfRange(decoded, 3, 3 + 512 * 4))
        .isEqualTo(MemorySegment.ofArray(decode(format, plain)).toArray(ValueLayout.JAVA_BYTE));
    assertThat(Arrays.copyOfRange(decoded, 0, 3)).containsOnly(0x5A);
    assertThat(Arrays.copyOfRange(decoded, 3 + 512 * 4, decoded.length)).containsOnly(0x5A);
  }

  @ParameterizedTest
  @MethodSource("formats")
  void blocksDoNotDependOnTheirNeighbours(Format format) {
    float[] x = normal(1024, 4);
    byte[] whole = encode(format, x);
    int half = whole.length / 2;
    assertThat(encode(format, Arrays.copyOfRange(x, 512, 1024)))
        .isEqualTo(Arrays.copyOfRange(whole, half, 2 * half));
  }

  @ParameterizedTest
  @MethodSource("formats")
  void countsBytes(Format format) {
    assertThat(format.bytes(0)).isZero();
    assertThat(format.bytes(256L * 1_000_000_000L))
        .isEqualTo(256L / format.blockValues() * format.blockBytes() * 1_000_000_000L);
    if (format.blockValues() > 1) {
      assertThatThrownBy(() -> format.bytes(format.blockValues() + 1))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining(format.name())
          .hasMessageContaining(Integer.toString(format.blockValues() + 1));
    }
  }

  @ParameterizedTest
  @MethodSource("blockFormats")
  void decodingIsCodeTimesScalePlusOffset(BlockFormat format) {
    Random random = new Random(5);
    int n = format.blockValues();
    byte[] block = new byte[format.blockBytes()];
    byte[] codes = new byte[2 * n];
    float[] scales = new float[2 * n / BlockFormat.GROUP];
    float[] offsets = new float[2 * n / BlockFormat.GROUP];
    for (int round = 0; round < 200; round++) {
      random.nextBytes(block);
      Arrays.fill(codes, (byte) 99);
      Arrays.fill(scales, 99);
      Arrays.fill(offsets, 99);
      format.unpack(MemorySegment.ofArray(block), 0, codes, scales, offsets, n);
      float[] y = decode(format, block);
      float[] expected = new float[n];
      for (int i = 0; i < n; i++) {
        int group = (n + i) / BlockFormat.GROUP;
        expected[i] = codes[n + i] * scales[group] + offsets[group];
      }
      assertThat(y).isEqualTo(expected);
      assertThat(Arrays.copyOf(codes, n)).containsOnly(99);
      assertThat(Arrays.copyOf(scales, n / BlockFormat.GROUP)).containsOnly(99);
      assertThat(Arrays.copyOf(offsets, n / BlockFormat.GROUP)).containsOnly(99);
    }
  }

  @ParameterizedTest
  @MethodSource("blockFormats")
  void oneBadNumberSpoilsNothingElse(BlockFormat format) {
    float[] bad = {Float.NaN, Float.POSITIVE_INFINITY, -Float.MAX_VALUE, Float.MIN_VALUE, -1e-40f};
    for (float value : bad) {
      float[] x = normal(1024, 6);
      byte[] plain = encode(format, x);
      x[300] = value;
      byte[] spoiled = encode(format, x);
      float sum = 0;
      for (float y : decode(format, spoiled)) {
        sum += y;
      }
      assertThat(sum).as("sum with %s", value).isFinite();
      int first = 300 / format.blockValues() * format.blockBytes();
      int last = first + format.blockBytes();
      assertThat(Arrays.copyOfRange(spoiled, 0, first))
          .isEqualTo(Arrays.copyOfRange(plain, 0, first));
      assertThat(Arrays.copyOfRange(spoiled, last, plain.length))
          .isEqualTo(Arrays.copyOfRange(plain, last, plain.length));
    }
  }

  @ParameterizedTest
  @MethodSource("blockFormats")
  void numbersTooSmallForAScaleBecomeZero(BlockFormat format) {
    Random random = new Random(7);
    float[] x = new float[256];
    for (int i = 0; i < x.length; i++) {
      x[i] = (float) random.nextGaussian() * 1e-41f;
    }
    float worst = 0;
    for (float y : decode(format, encode(format, x))) {
      worst = Math.max(worst, Math.abs(y));
    }
    assertThat(worst).isLessThan(1e-37f);
  }

  /** Normalised mean square error. */
  private static double loss(Format format, float[] x) {
    float[] y = decode(format, encode(format, x));
    double error = 0;
    double power = 0;
    for (int i = 0; i < x.length; i++) {
      error += Math.pow(x[i] - y[i], 2);
      power += Math.pow(x[i], 2);
    }
    return error / power;
  }

  private static float[] normal(int n, long seed) {
    Random random = new Random(seed);
    float[] x = new float[n];
    for (int i = 0; i < n; i++) {
      x[i] = (float) random.nextGaussian();
    }
    return x;
  }

  private static byte[] encode(Format format, float[] x) {
    byte[] blocks = new byte[(int) format.bytes(x.length)];
    format.encode(MemorySegment.ofArray(x), 0, MemorySegment.ofArray(blocks), 0, x.length);
    return blocks;
  }

  private static float[] decode(Format format, byte[] blocks) {
    float[] x = new float[blocks.length / format.blockBytes() * format.blockValues()];
    format.decode(MemorySegment.ofArray(blocks), 0, MemorySegment.ofArray(x), 0, x.length);
    return x;
  }
}

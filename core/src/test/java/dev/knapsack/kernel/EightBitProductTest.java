package dev.knapsack.kernel;

import static dev.knapsack.kernel.Operands.floats;
import static org.assertj.core.api.Assertions.fail;

import dev.knapsack.kernel.x86.EmulatedKernels;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import dev.knapsack.tensor.Q8Activations;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Random;
import java.util.function.DoubleBinaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Products of weights of any bytes and 8-bit activations in random shapes, with all codes at their
 * ends among them, where sums in 16 bits would overflow first.
 */
class EightBitProductTest {
  private static final ValueLayout.OfShort I16 =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt I32 =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private static final Kernels DEFINITION = ScalarKernels.open();

  /**
   * Of the largest weight · Σ|x|, which an output cannot exceed: float rounding many times over.
   */
  private static final double TOLERANCE = 3e-6;

  /** Bytes that hold the largest and the smallest codes, of either sign and of any width. */
  private static final byte[] EXTREMES = {0, -1, -128, 127, -127, 15, -16};

  static Stream<Arguments> providersAndFormats() {
    Stream<Kernels> here =
        KernelProvider.here().stream()
            .filter(provider -> provider != KernelProvider.SCALAR)
            .map(provider -> provider.open().kernels());
    return Stream.concat(here, EmulatedKernels.all())
        .flatMap(kernels ->
            Formats.weights().stream()
                .filter(format -> format.blockValues() > 1)
                .map(format -> Arguments.of(kernels, format)));
  }

  @ParameterizedTest
  @MethodSource("providersAndFormats")
  void isTheDefinitions(Kernels kernels, Format format) {
    for (int round = 0; round < 28; round++) {
      try (Arena arena = Arena.ofConfined()) {
        Guard guard = Guard.values()[(round + round / 14) % 2];
        Operands operands = new Operands(round * 31L + format.name().hashCode(), guard, arena);
        int tokens = 1 + round % 14;
        int rows = operands.between(1, 40);
        int columns =
            format.blockValues() * operands.between(1, format.blockValues() < 256 ? 12 : 2);
        Matrix w = weights(operands, format, rows, columns);
        Matrix x = activations(operands, tokens, columns);
        int from = round % 3 == 0 ? 0 : operands.between(0, rows - 1);
        int to = round % 3 == 0 ? rows : operands.between(from, rows);
        check(kernels, operands, w, x, from, to);
      }
    }
  }

  private static void check(
      Kernels kernels, Operands operands, Matrix w, Matrix x, int from, int to) {
    KernelLimits limits = new KernelLimits(x.rows(), x.columns(), 1, 1, 1);
    Matrix expected = operands.poisoned(x.rows(), w.rows());
    Matrix actual = operands.copy(expected);
    for (Kernels each : List.of(DEFINITION, kernels)) {
      each.products()
          .matmul(
              w,
              x,
              MatrixProducts.Tokens.of(x.rows()),
              each == DEFINITION ? expected : actual,
              from,
              to,
              Operands.scratch(each, limits));
    }
    float[] weights = decoded(operands, w);
    float[] activations = decoded(operands, x);
    float[] values = floats(actual);
    float[] wanted = floats(expected);
    double[] largest = perRow(weights, w.rows(), Math::max);
    double[] magnitude = perRow(activations, x.rows(), Double::sum);
    for (int t = 0; t < x.rows(); t++) {
      for (int r = 0; r < w.rows(); r++) {
        int at = t * w.rows() + r;
        boolean asked = r >= from && r < to;
        double error = Math.abs((double) values[at] - wanted[at]);
        if (asked ? !(error <= TOLERANCE * largest[r] * magnitude[t]) : !Float.isNaN(values[at])) {
          fail(
              "rows %d to %d of %d × %d, %d tokens: row %d of token %d is %s, not %s"
                  .formatted(
                      from, to, w.rows(), w.columns(), x.rows(), r, t, values[at], wanted[at]));
        }
      }
    }
  }

  private static float[] decoded(Operands operands, Matrix m) {
    Matrix out = operands.poisoned(m.rows(), m.columns());
    for (int row = 0; row < m.rows(); row++) {
      m.decodeRow(row, out.data(), out.rowOffset(row));
    }
    return floats(out);
  }

  /** The magnitudes of each row, taken together. */
  private static double[] perRow(float[] numbers, int rows, DoubleBinaryOperator together) {
    double[] result = new double[rows];
    int columns = numbers.length / rows;
    for (int i = 0; i < numbers.length; i++) {
      result[i / columns] = together.applyAsDouble(result[i / columns], Math.abs(numbers[i]));
    }
    return result;
  }

  private static Matrix weights(Operands operands, Format format, int rows, int columns) {
    MemorySegment data = operands.memory(format.bytes(columns) * rows);
    for (long block = 0; block < data.byteSize(); block += format.blockBytes()) {
      MemorySegment bytes = data.asSlice(block, format.blockBytes());
      fill(operands.random(), bytes);
      scales(operands.random(), format, bytes);
    }
    return new Matrix(format, rows, columns, data);
  }

  /** All one extreme, some of each, or anything. */
  private static void fill(Random random, MemorySegment bytes) {
    int style = random.nextInt(4);
    byte all = EXTREMES[random.nextInt(EXTREMES.length)];
    for (long i = 0; i < bytes.byteSize(); i++) {
      byte value =
          switch (style) {
            case 0, 1 -> all;
            case 2 -> EXTREMES[random.nextInt(EXTREMES.length)];
            default -> (byte) random.nextInt();
          };
      bytes.set(ValueLayout.JAVA_BYTE, i, value);
    }
  }

  /**
   * What any bytes would make infinite or not a number; and, where all codes might stand for 0,
   * that of the largest number, which as in any file is not.
   */
  private static void scales(Random random, Format format, MemorySegment block) {
    switch (format.name()) {
      case "Q4_0", "Q5_0", "IQ4_NL", "IQ4_XS", "Q1_0" -> half(random, block, 0);
      case "Q8_0" -> {
        half(random, block, 0);
        block.set(ValueLayout.JAVA_BYTE, 2 + random.nextInt(32), (byte) -127);
      }
      case "Q4_1", "Q5_1", "Q4_K", "Q5_K" -> {
        half(random, block, 0);
        half(random, block, 2);
      }
      case "P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8" -> {
        half(random, block, 0);
        half(random, block, 2);
        int number = random.nextInt(32);
        for (long plane = 4; plane < block.byteSize(); plane += Integer.BYTES) {
          int bits = block.get(I32, plane) | 1 << number;
          block.set(I32, plane, bits);
        }
      }
      case "Q2_K" -> {
        half(random, block, 80);
        half(random, block, 82);
      }
      case "Q3_K" -> half(random, block, 108);
      case "Q6_K" -> half(random, block, 208);
      case "TQ1_0" -> {
        half(random, block, 52);
        block.set(ValueLayout.JAVA_BYTE, random.nextInt(48), (byte) 0);
      }
      case "TQ2_0" -> half(random, block, 64);
      case "MXFP4" -> {
        // The first powers of two are subnormal.
        int e = random.nextBoolean() ? random.nextInt(4) : 120 + random.nextInt(10);
        block.set(ValueLayout.JAVA_BYTE, 0, (byte) e);
        block.set(ValueLayout.JAVA_BYTE, 1 + random.nextInt(16), (byte) 0x7F);
      }
      default -> throw new AssertionError("Where are the scales of " + format.name() + "?");
    }
  }

  private static void half(Random random, MemorySegment block, long at) {
    float value = (0.5f + random.nextFloat()) * (random.nextBoolean() ? 1 : -1);
    block.set(I16, at, Float.floatToFloat16(value));
  }

  private static Matrix activations(Operands operands, int tokens, int columns) {
    Format format = Q8Activations.FORMAT;
    MemorySegment data = operands.memory(format.bytes(columns) * tokens);
    Random random = operands.random();
    for (long block = 0; block < data.byteSize(); block += format.blockBytes()) {
      int style = random.nextInt(5);
      int[] halves = new int[2];
      for (int i = 0; i < format.blockValues(); i++) {
        int code =
            switch (style) {
              case 0 -> 127;
              case 1 -> -127;
              case 2 -> i % 2 == 0 ? 127 : -127;
              case 3 -> random.nextBoolean() ? 127 : -127;
              default -> random.nextInt(255) - 127;
            };
        data.set(ValueLayout.JAVA_BYTE, block + i, (byte) code);
        halves[i / 16] += code;
      }
      float scale = 0.5f + random.nextFloat();
      data.set(Floats.F32, block + Q8Activations.SCALE, scale);
      data.set(Floats.F32, block + Q8Activations.SUM, scale * (halves[0] + halves[1]));
      data.set(Floats.F32, block + Q8Activations.HALF_SUMS, scale * halves[0]);
      data.set(Floats.F32, block + Q8Activations.HALF_SUMS + 4, scale * halves[1]);
    }
    return new Matrix(format, tokens, columns, data);
  }
}

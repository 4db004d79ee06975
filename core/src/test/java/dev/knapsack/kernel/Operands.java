package dev.knapsack.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.function.LongFunction;

/** Random operands for kernels, in memory of exactly the size they need. */
final class Operands {
  private final Random random;
  private final LongFunction<MemorySegment> memory;

  Operands(long seed) {
    random = random(seed);
    memory = bytes -> Arena.ofAuto().allocate(bytes, 64);
  }

  /** In memory beside a page that nobody may touch. */
  Operands(long seed, Guard guard, Arena arena) {
    random = random(seed);
    memory = bytes -> guard.allocate(bytes, arena);
  }

  /** Of a kind that is several times as fast as {@link Random}'s own. */
  private static Random random(long seed) {
    return Random.from(new SplittableRandom(seed));
  }

  Random random() {
    return random;
  }

  /** Between {@code low} and {@code high}, both included. */
  int between(int low, int high) {
    return low + random.nextInt(high - low + 1);
  }

  MemorySegment memory(long bytes) {
    return memory.apply(bytes);
  }

  /** Normal numbers. */
  Matrix floats(int rows, int columns) {
    return floats(rows, columns, 1);
  }

  Matrix floats(int rows, int columns, double scale) {
    Matrix x = new Matrix(Formats.F32, rows, columns, memory(4L * rows * columns));
    float[] values = new float[rows * columns];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (random.nextGaussian() * scale);
    }
    MemorySegment.copy(values, 0, x.data(), Floats.F32, 0, values.length);
    return x;
  }

  /** Any bytes, with scales that are tame: encoded where the format can, else patched. */
  Matrix encoded(Format format, int rows, int columns) {
    Matrix x = floats(rows, columns);
    Matrix out = new Matrix(format, rows, columns, memory(format.bytes(columns) * rows));
    for (int r = 0; r < rows; r++) {
      format.encode(x.data(), x.rowOffset(r), out.data(), out.rowOffset(r), columns);
    }
    return out;
  }

  /** NaN everywhere: what a kernel does not write stays so. */
  Matrix poisoned(int rows, int columns) {
    Matrix x = new Matrix(Formats.F32, rows, columns, memory(4L * rows * columns));
    x.data().fill((byte) -1);
    return x;
  }

  Matrix copy(Matrix x) {
    MemorySegment data = memory(x.data().byteSize()).copyFrom(x.data());
    return new Matrix(x.format(), x.rows(), x.columns(), data);
  }

  /** Of the size that a provider asks for. */
  static Scratch scratch(Kernels kernels, KernelLimits limits) {
    Scratch scratch = Scratch.of(kernels.scratchBytes(limits));
    scratch.segment().fill((byte) -1);
    return scratch;
  }

  static float[] floats(Matrix x) {
    float[] values = new float[x.rows() * x.columns()];
    MemorySegment.copy(x.data(), Floats.F32, 0, values, 0, values.length);
    return values;
  }

  /** The same bits, all of them written. */
  static void assertSame(Matrix actual, Matrix expected) {
    assertSame(floats(actual), floats(expected));
  }

  static void assertSame(float[] actual, float[] expected) {
    assertThat(Arrays.mismatch(actual, expected)).as("where they differ").isEqualTo(-1);
    for (float number : actual) {
      if (Float.isNaN(number)) {
        fail("a number is missing");
      }
    }
  }

  /** Normalised mean square error of {@code actual} at most {@code tolerance}; same NaN. */
  static void assertClose(Matrix actual, Matrix expected, double tolerance) {
    assertClose(floats(actual), floats(expected), tolerance);
  }

  static void assertClose(float[] actual, float[] expected, double tolerance) {
    double error = 0;
    double power = 0;
    assertThat(actual).hasSameSizeAs(expected);
    for (int i = 0; i < actual.length; i++) {
      if (Float.isNaN(actual[i]) != Float.isNaN(expected[i])) {
        fail("number %d is %s, expected %s".formatted(i, actual[i], expected[i]));
      }
      if (!Float.isNaN(actual[i])) {
        double d = (double) actual[i] - expected[i];
        error += d * d;
        power += (double) expected[i] * expected[i];
      }
    }
    assertThat(error).as("error of power %s", power).isLessThanOrEqualTo(tolerance * power + 1e-30);
  }
}

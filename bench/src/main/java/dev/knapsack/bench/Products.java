package dev.knapsack.bench;

import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.KernelLimits;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.kernel.Kernels;
import dev.knapsack.tensor.BlockFormat;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import dev.knapsack.tensor.Q8Activations;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;

/**
 * Matrix products alone, by one thread: each format with one token, whose weights come from memory,
 * and with 128 tokens, which share them.
 *
 * <p>Usage: {@code bench/measure Products [FORMAT...]}. Prints a Markdown table: bytes of weights
 * per second, multiply-adds per second, and the ratios of the two providers.
 */
public final class Products {
  private static final int COLUMNS = 2048;
  private static final int DECODE_ROWS = 8192;
  private static final int PREFILL_ROWS = 2048;
  private static final int PREFILL_TOKENS = 128;
  private static final double SECONDS = 2;
  private static final double WARM_SECONDS = 1;

  private Products() {}

  public static void main(String[] args) {
    List<String> formats =
        args.length > 0
            ? List.of(args)
            : List.of("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K", "Q5_K", "Q6_K");
    System.out.println(
        "| format | one token: `vector`, GB/s | `x86` | ratio |"
            + " 128 tokens: `vector`, G multiply-adds/s | `x86` | ratio |");
    System.out.println("|---|---|---|---|---|---|---|");
    for (String name : formats) {
      double[] vector = rates(KernelProvider.VECTOR, Formats.byName(name));
      double[] x86 = rates(KernelProvider.X86, Formats.byName(name));
      System.out.printf(
          Locale.ROOT,
          "| %s | %.1f | %.1f | %.1f | %.0f | %.0f | %.1f |%n",
          name,
          vector[0],
          x86[0],
          x86[0] / vector[0],
          vector[1],
          x86[1],
          x86[1] / vector[1]);
    }
  }

  /** Gigabytes of weights per second with one token; billions of multiply-adds with many. */
  private static double[] rates(KernelProvider provider, Format format) {
    Kernels kernels = provider.open().kernels();
    double one = bytes(format, DECODE_ROWS) / seconds(kernels, format, DECODE_ROWS, 1);
    double products = (double) PREFILL_ROWS * COLUMNS * PREFILL_TOKENS;
    double many = products / seconds(kernels, format, PREFILL_ROWS, PREFILL_TOKENS);
    return new double[] {one / 1e9, many / 1e9};
  }

  private static double bytes(Format format, int rows) {
    return (double) format.bytes(COLUMNS) * rows;
  }

  /** The median of a product's times, once the JVM has compiled what it compiles. */
  private static double seconds(Kernels kernels, Format format, int rows, int tokens) {
    try (Arena arena = Arena.ofConfined()) {
      Random random = new Random(1);
      Matrix w = matrix(format, rows, arena, random);
      Matrix x = matrix(Formats.F32, tokens, arena, random);
      if (format instanceof BlockFormat && kernels.precision() == Compute.Precision.EIGHT_BIT) {
        Matrix codes = new Matrix(Q8Activations.FORMAT, tokens, COLUMNS, memory(arena, tokens));
        kernels.quantise(x, codes, 0, tokens);
        x = codes;
      }
      MemorySegment outputs = arena.allocate((long) rows * tokens * Float.BYTES, 64);
      Matrix out = new Matrix(Formats.F32, tokens, rows, outputs);
      long bytes = kernels.scratchBytes(new KernelLimits(tokens, COLUMNS, 1, 1));
      MemorySegment scratch = MemorySegment.ofArray(new float[Math.toIntExact(bytes / 4) + 1]);
      double[] times = new double[100_000];
      int count = 0;
      long start = System.nanoTime();
      while (since(start) < WARM_SECONDS + SECONDS && count < times.length) {
        long from = System.nanoTime();
        kernels.matmul(w, x, out, 0, rows, scratch);
        if (since(start) > WARM_SECONDS) {
          times[count++] = since(from);
        }
      }
      Arrays.sort(times, 0, count);
      return times[count / 2];
    }
  }

  private static MemorySegment memory(Arena arena, int tokens) {
    return arena.allocate(Q8Activations.FORMAT.bytes(COLUMNS) * tokens, 64);
  }

  /** Random numbers; after 64 rows they repeat. */
  private static Matrix matrix(Format format, int rows, Arena arena, Random random) {
    long rowBytes = format.bytes(COLUMNS);
    MemorySegment data = arena.allocate(rowBytes * rows, 64);
    MemorySegment numbers = arena.allocate((long) COLUMNS * Float.BYTES, 64);
    for (int r = 0; r < rows; r++) {
      if (r < 64) {
        for (int c = 0; c < COLUMNS; c++) {
          numbers.setAtIndex(ValueLayout.JAVA_FLOAT, c, (float) random.nextGaussian());
        }
        format.encode(numbers, 0, data, r * rowBytes, COLUMNS);
      } else {
        MemorySegment.copy(data, r % 64 * rowBytes, data, r * rowBytes, rowBytes);
      }
    }
    return new Matrix(format, rows, COLUMNS, data);
  }

  private static double since(long from) {
    return (System.nanoTime() - from) / 1e9;
  }
}

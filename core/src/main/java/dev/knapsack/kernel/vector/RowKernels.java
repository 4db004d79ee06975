package dev.knapsack.kernel.vector;

import dev.knapsack.tensor.BlockFormat;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Q8Activations;
import java.util.HashMap;
import java.util.Map;

/** The row kernel of each format. */
final class RowKernels {
  static final F32Row F32 = new F32Row();
  private final Map<Format, RowKernel> kernels = new HashMap<>();

  RowKernels() {
    for (Format format : Formats.all()) {
      kernels.put(format, make(format));
    }
    kernels.put(Q8Activations.FORMAT, new Q8ActivationsRow());
  }

  RowKernel of(Format format) {
    RowKernel kernel = kernels.get(format);
    if (kernel == null) {
      throw new IllegalArgumentException("No vector kernel for the format " + format.name());
    }
    return kernel;
  }

  private static RowKernel make(Format format) {
    return switch (format.name()) {
      case "F32" -> F32;
      case "F16" -> new F16Row();
      case "BF16" -> new BF16Row();
      case "Q8_0" -> new Q8_0Row();
      case "Q4_0" -> new Q4_0Row();
      default -> new BlockRow((BlockFormat) format);
    };
  }
}

package dev.knapsack.kernel.vector;

import dev.knapsack.tensor.BlockFormat;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Q8Activations;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The row kernel of each format. */
final class RowKernels {
  private final Map<Format, RowKernel> kernels = new HashMap<>();

  RowKernels() {
    for (Format format : Formats.weights()) {
      kernels.put(format, make(format));
    }
    for (Format format : Formats.cache()) {
      kernels.computeIfAbsent(format, RowKernels::make);
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

  /** Of these formats, those whose numbers are unpacked one by one, as the format defines them. */
  List<Format> without(List<Format> formats) {
    return formats.stream()
        .filter(format -> of(format) instanceof BlockRow || of(format) instanceof DecodedRow)
        .toList();
  }

  static RowKernel make(Format format) {
    return switch (format.name()) {
      case "F32" -> new F32Row();
      case "F16" -> new F16Row();
      case "BF16" -> new BF16Row();
      case "Q8_0" -> new Q8_0Row();
      case "Q4_0" -> new Q4_0Row();
      case "Q4_1" -> new Q4_1Row();
      case "Q5_0" -> new Q5_0Row();
      case "Q5_1" -> new Q5_1Row();
      case "Q2_K" -> new Q2_KRow();
      case "Q3_K" -> new Q3_KRow();
      case "Q4_K" -> new Q4_KRow();
      case "Q5_K" -> new Q5_KRow();
      case "Q6_K" -> new Q6_KRow();
      case "IQ4_NL" -> new IQ4_NLRow();
      case "IQ4_XS" -> new IQ4_XSRow();
      case "MXFP4" -> new MXFP4Row();
      case "TQ2_0" -> new TQ2_0Row();
      case "Q1_0" -> new Q1_0Row();
      default -> format instanceof BlockFormat f ? new BlockRow(f) : new DecodedRow(format);
    };
  }
}

package dev.knapsack.kernel.x86;

import dev.knapsack.kernel.ChunkedAttention;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.kernel.Kernels;
import dev.knapsack.kernel.MissingCode;
import dev.knapsack.kernel.MissingCode.Operation;
import dev.knapsack.kernel.RowOperations;
import dev.knapsack.tensor.Formats;
import java.util.EnumSet;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The provider in machine code: matrix products, with 8-bit activations where weights are in a
 * block format, attention, and what most models do to rows between them.
 */
public final class X86Kernels {
  private static final MissingCode MISSING =
      new MissingCode(
          Formats.weights().stream().filter(f -> !X86Products.has(f)).toList(),
          Formats.cache().stream().filter(f -> PageCode.of(f.name()) == null).toList(),
          EnumSet.complementOf(EnumSet.copyOf(ActivationCode.ALL)),
          EnumSet.complementOf(
              EnumSet.of(
                  Operation.QUANTISE,
                  Operation.RMS_NORM,
                  Operation.LAYER_NORM,
                  Operation.ADD,
                  Operation.ADD_BIAS)));

  private X86Kernels() {}

  /**
   * Generates the code.
   *
   * @param others does what is not generated
   * @throws UnsupportedOperationException if this processor or system cannot, with the reason
   */
  public static Kernels open(Kernels others) {
    if (!System.getProperty("os.arch", "").equals("amd64")) {
      throw new UnsupportedOperationException("the processor is not an x86-64");
    }
    return open(others, Isa.of(Cpu.detect()), NativeCode::new);
  }

  static Kernels open(Kernels others, Isa isa, Code.Loader loader) {
    Map<Compute.Precision, OnesCode> ones = new ConcurrentHashMap<>();
    RowOperations rows = new X86Rows(others.rows(), loader);
    return new Kernels(
        KernelProvider.X86,
        "x86 (%s)".formatted(isa),
        MISSING,
        new X86Products(others.products(), isa, loader),
        rows,
        new X86Gate(others.gatedActivation(), loader),
        new ChunkedAttention(new AttentionSteps(loader), rows),
        others.recurrences(),
        precision ->
            ones.computeIfAbsent(precision, p -> new OnesCode(isa, p, loader)).multiplyAdd());
  }
}

package dev.knapsack.kernel;

import dev.knapsack.error.NativeMemoryException;
import dev.knapsack.kernel.vector.VectorKernels;
import dev.knapsack.kernel.x86.X86Kernels;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A provider of {@link Kernels}, and the choice of the fastest that works here. */
public enum KernelProvider {
  SCALAR,
  VECTOR,
  X86;

  /** Vectors of fewer bits than this are slower than plain code. */
  private static final int LEAST_BITS = 128;

  /**
   * The kernels that were chosen, and why.
   *
   * @param kernels the provider
   * @param reason one line: which, and why not a faster one
   */
  public record Choice(Kernels kernels, String reason) {}

  /** The fastest provider that works in this JVM on this machine. */
  public static Choice best() {
    try {
      return X86.open();
    } catch (IllegalStateException e) {
      String missing = missing();
      return missing == null
          ? new Choice(VectorKernels.open(ScalarKernels.open()), vector() + "; " + e.getMessage())
          : new Choice(ScalarKernels.open(), "scalar, which is slow: " + missing);
    }
  }

  /** The providers that work in this JVM on this machine, the slowest first. */
  public static List<KernelProvider> here() {
    return Arrays.stream(values()).filter(KernelProvider::works).toList();
  }

  private boolean works() {
    try {
      open();
      return true;
    } catch (IllegalStateException missing) {
      return false;
    }
  }

  /**
   * Opens this provider.
   *
   * @throws IllegalStateException if it does not work here, with what is missing
   */
  public Choice open() {
    return switch (this) {
      case SCALAR -> new Choice(ScalarKernels.open(), "scalar: the slow definition, as asked for");
      case VECTOR -> {
        String missing = missing();
        if (missing != null) {
          throw new IllegalStateException("The vector kernels do not work here: " + missing);
        }
        yield new Choice(VectorKernels.open(ScalarKernels.open()), vector());
      }
      case X86 -> {
        boolean vectors = missing() == null;
        try {
          Kernels scalar = ScalarKernels.open();
          Kernels kernels = X86Kernels.open(vectors ? VectorKernels.open(scalar) : scalar);
          yield new Choice(
              kernels,
              "%s: machine code for this processor, with %s for the rest"
                  .formatted(kernels, vectors ? "vector" : "scalar"));
        } catch (UnsupportedOperationException | NativeMemoryException e) {
          throw new IllegalStateException("The x86 kernels do not work here: " + e.getMessage(), e);
        }
      }
    };
  }

  private static String vector() {
    return "vector: the JDK's Vector API with %d-bit vectors".formatted(VectorKernels.vectorBits());
  }

  /**
   * The reason why the vector provider does not work here, or null; looks before the first class
   * that needs it.
   */
  private static @Nullable String missing() {
    if (ModuleLayer.boot().findModule("jdk.incubator.vector").isEmpty()) {
      return "the module jdk.incubator.vector is not there;"
          + " start Java with --add-modules jdk.incubator.vector";
    }
    int bits = VectorKernels.vectorBits();
    return bits >= LEAST_BITS ? null : "this processor has vectors of %d bits only".formatted(bits);
  }
}

package dev.knapsack.kernel;

/** Which {@link Kernels} to use, and why. */
public enum KernelProvider {
  SCALAR,
  VECTOR;

  /**
   * What was chosen.
   *
   * @param kernels the provider
   * @param reason one line: which, and why not a faster one
   */
  public record Choice(Kernels kernels, String reason) {}

  /** The fastest provider that works in this JVM on this machine. */
  public static Choice best() {
    return SCALAR.open();
  }

  /**
   * This provider.
   *
   * @throws IllegalStateException if it does not work here, with what is missing
   */
  public Choice open() {
    return switch (this) {
      case SCALAR -> new Choice(new ScalarKernels(), "scalar: the slow definition, as asked for");
      case VECTOR -> throw new IllegalStateException("The vector provider is not there yet");
    };
  }
}

package dev.knapsack.kernel;

/** The probe of the rate that no matrix product of a provider can exceed. */
@FunctionalInterface
public interface Peak {
  /**
   * Multiplies and adds ones for some ten microseconds, in registers alone and with the instruction
   * that matrix products are made of.
   *
   * @param precision of the activations that such products are of
   * @return the sum of the ones: how many multiply-adds were done
   */
  double multiplyAddOnes(Compute.Precision precision);
}

package dev.knapsack.tensor;

/**
 * 8-bit floating point with 5 bits of exponent and 2 of fraction: the upper byte of a
 * half-precision number, up to ±57,344. Infinities are read; encoding saturates and writes none.
 */
final class F8_E5M2 extends Float8 {
  F8_E5M2() {
    super("F8_E5M2", 2, 0x7B, true);
  }
}

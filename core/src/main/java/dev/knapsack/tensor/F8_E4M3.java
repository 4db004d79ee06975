package dev.knapsack.tensor;

/**
 * 8-bit floating point with 4 bits of exponent and 3 of fraction: up to ±448 in steps of at most
 * 1/8 of the number; no infinities, NaN is 0x7F and 0xFF.
 *
 * <p>This is E4M3 of OFP8 (E4M3FN elsewhere), not the FNUZ variant whose largest number is 240.
 */
final class F8_E4M3 extends Float8 {
  F8_E4M3() {
    super("F8_E4M3", 3, 0x7E, false);
  }
}

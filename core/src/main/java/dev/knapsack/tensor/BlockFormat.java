package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/**
 * A quantised format: each number is {@code code · scale + offset}, with an 8-bit integer code for
 * each number and a scale and an offset for each group of 16 numbers.
 *
 * <p>Every block format of the field fits this one shape, so decoding, kernels and code generators
 * need only {@link #unpack}.
 */
public interface BlockFormat extends Format {
  /** Numbers that share a scale and an offset in the unpacked shape. */
  int GROUP = 16;

  /**
   * Unpacks one block.
   *
   * @param source the block, from byte {@code sourceOffset}
   * @param codes receives {@link #blockValues()} codes, from index {@code at}
   * @param scales receives a scale for each group of 16, from index {@code at / 16}
   * @param offsets receives an offset for each group of 16 (0 for symmetric formats), from index
   *     {@code at / 16}
   */
  void unpack(
      MemorySegment source,
      long sourceOffset,
      byte[] codes,
      float[] scales,
      float[] offsets,
      int at);
}

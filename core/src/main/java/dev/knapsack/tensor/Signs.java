package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/**
 * 64 numbers of which the signs remain, and one size: {@code ±d}.
 *
 * <p>Block: d (F16), 8 bytes of signs: bit i of byte j is 1 if number 8j + i is negative.
 *
 * <p>d is {@code Σx² / Σ|x|}: a block's inner product with itself is what it was. The mean of the
 * magnitudes would be nearer to the numbers, but makes all products smaller, by a third for
 * normally distributed numbers, and the softmax of attention flatter with them. Of keys that were
 * {@linkplain SketchMatrix projected} at random, products with queries that were projected alike
 * are without bias then: what a query has across the key is as likely to add as to take away. (QJL,
 * Zandieh, Daliri and Han, arXiv 2406.03482, has {@code √(π/2) · ‖x‖ / √n}, which is that in
 * expectation; to put the product that came about in its place is how RaBitQ, Gao and Long, arXiv
 * 2405.12497, estimates.)
 */
final class Signs extends AbstractBlockFormat {
  private static final int BITS = 2;

  Signs() {
    super("SIGNS", -1, 64, BITS + 8);
  }

  @Override
  public void unpack(
      MemorySegment source, long offset, byte[] codes, float[] scales, float[] offsets, int at) {
    for (int i = 0; i < blockValues(); i++) {
      int negative = LittleEndian.bits(source, offset, BITS + i / 8, i % 8, 1);
      codes[at + i] = (byte) (1 - 2 * negative);
    }
    fill(scales, offsets, at, LittleEndian.f16(source, offset), NO_OFFSET);
  }

  @Override
  void encodeBlock(float[] x, MemorySegment target, long offset) {
    double squares = 0;
    double sizes = 0;
    for (int from = 0; from < x.length; from += 8) {
      int negative = 0;
      for (int i = 0; i < 8; i++) {
        float value = x[from + i];
        squares += (double) value * value;
        sizes += Math.abs(value);
        negative |= value < 0 ? 1 << i : 0;
      }
      LittleEndian.putU8(target, offset + BITS + from / 8, negative);
    }
    LittleEndian.putF16(target, offset, sizes == 0 ? 0 : (float) (squares / sizes));
  }
}

package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * 32 numbers in 8 bits: {@code q · d}.
 *
 * <p>Block: d (F16), 32 signed bytes. The scale maps the largest magnitude to 127; halves round
 * away from zero.
 */
final class Q8_0 extends AbstractBlockFormat {
  Q8_0() {
    super("Q8_0", 8, 32, 34);
  }

  @Override
  public void unpack(
      MemorySegment source, long offset, byte[] codes, float[] scales, float[] offsets, int at) {
    MemorySegment.copy(source, ValueLayout.JAVA_BYTE, offset + 2, codes, at, 32);
    fill(scales, offsets, at, LittleEndian.f16(source, offset), NO_OFFSET);
  }

  @Override
  void encodeBlock(float[] x, MemorySegment target, long offset) {
    float d = Math.abs(extreme(x, 0, 32)) / 127;
    float inverse = Rounding.inverse(d);
    LittleEndian.putF16(target, offset, d);
    for (int i = 0; i < 32; i++) {
      LittleEndian.putU8(target, offset + 2 + i, Rounding.halfAway(x[i] * inverse));
    }
  }
}

package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Activations in 8 bits, in blocks of 32: 32 signed codes, and four float32 numbers: the scale, and
 * {@code scale · Σ codes} over the block, over its first half and over its second; 48 bytes a
 * block.
 *
 * <p>The scale is the largest magnitude / 127; codes are {@code x · (127 / largest)} rounded to the
 * nearest integer, halves to the even one. A block whose scale is below the normal numbers has
 * codes of 0. A block with NaN has a scale of NaN, one with an infinity decodes to NaN or infinity:
 * what went wrong in a model stays visible.
 *
 * <p>The sums serve weight formats with offsets: Σ(s·q+o)·x = s·Σq·x + o·Σx.
 */
public final class Q8Activations implements Format {
  public static final Q8Activations FORMAT = new Q8Activations();

  private static final int BLOCK_VALUES = 32;
  private static final int BLOCK_BYTES = 48;

  /** Offset of the scale in a block. */
  public static final int SCALE = 32;

  /** Offset of the sum over a block. */
  public static final int SUM = 36;

  /** Offset of the sums over a block's halves. */
  public static final int HALF_SUMS = 40;

  private Q8Activations() {}

  @Override
  public String name() {
    return "Q8_ACT";
  }

  @Override
  public int ggufType() {
    return -1;
  }

  @Override
  public int blockValues() {
    return BLOCK_VALUES;
  }

  @Override
  public int blockBytes() {
    return BLOCK_BYTES;
  }

  @Override
  public void decode(
      MemorySegment source,
      long sourceOffset,
      MemorySegment target,
      long targetOffset,
      long values) {
    long blocks = bytes(values) / BLOCK_BYTES;
    for (long block = 0; block < blocks; block++) {
      long from = sourceOffset + block * BLOCK_BYTES;
      long to = targetOffset + block * BLOCK_VALUES * Float.BYTES;
      float scale = LittleEndian.f32(source, from + SCALE);
      for (int i = 0; i < BLOCK_VALUES; i++) {
        byte code = source.get(ValueLayout.JAVA_BYTE, from + i);
        LittleEndian.putF32(target, to + (long) i * Float.BYTES, code * scale);
      }
    }
  }

  @Override
  public void encode(
      MemorySegment source,
      long sourceOffset,
      MemorySegment target,
      long targetOffset,
      long values) {
    long blocks = bytes(values) / BLOCK_BYTES;
    for (long block = 0; block < blocks; block++) {
      long from = sourceOffset + block * BLOCK_VALUES * Float.BYTES;
      encodeBlock(source, from, target, targetOffset + block * BLOCK_BYTES);
    }
  }

  private static void encodeBlock(MemorySegment source, long from, MemorySegment target, long to) {
    float largest = 0;
    for (int i = 0; i < BLOCK_VALUES; i++) {
      // max, unlike a comparison, lets NaN through
      largest =
          Math.max(largest, Math.abs(LittleEndian.f32(source, from + (long) i * Float.BYTES)));
    }
    float scale = largest / 127;
    float inverse = scale < Float.MIN_NORMAL ? 0 : 127 / largest;
    LittleEndian.putF32(target, to + SCALE, scale);
    int all = 0;
    for (int half = 0; half < 2; half++) {
      int sum = 0;
      for (int i = half * 16; i < half * 16 + 16; i++) {
        float x = LittleEndian.f32(source, from + (long) i * Float.BYTES);
        int code = Rounding.halfEven(x * inverse);
        sum += code;
        LittleEndian.putU8(target, to + i, code);
      }
      LittleEndian.putF32(target, to + HALF_SUMS + 4L * half, scale * sum);
      all += sum;
    }
    LittleEndian.putF32(target, to + SUM, scale * all);
  }

  @Override
  public String toString() {
    return name();
  }
}

package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * The common part of block formats: decoding by {@link #unpack}, and encoding block by block.
 *
 * <p>Encoding counts NaN as 0 and takes magnitudes above 65,504, the largest half-precision number,
 * for 65,504: one bad weight costs its block some accuracy and nothing else.
 */
abstract class AbstractBlockFormat implements BlockFormat {
  /**
   * The offset of a symmetric group. Negative zero is the one number that leaves every float as it
   * is when added, -0.0 included.
   */
  static final float NO_OFFSET = -0.0f;

  /** Numbers that are decoded at a time. */
  private static final int CHUNK = 1024;

  private final String name;
  private final int ggufType;
  private final int blockValues;
  private final int blockBytes;

  AbstractBlockFormat(String name, int ggufType, int blockValues, int blockBytes) {
    this.name = name;
    this.ggufType = ggufType;
    this.blockValues = blockValues;
    this.blockBytes = blockBytes;
  }

  /**
   * Encodes one block.
   *
   * @param x {@link #blockValues()} finite numbers, at most 65,504 in magnitude; may be overwritten
   * @param target receives the block, from byte {@code offset}
   */
  abstract void encodeBlock(float[] x, MemorySegment target, long offset);

  @Override
  public final String name() {
    return name;
  }

  @Override
  public final int ggufType() {
    return ggufType;
  }

  @Override
  public final int blockValues() {
    return blockValues;
  }

  @Override
  public final int blockBytes() {
    return blockBytes;
  }

  @Override
  public final void decode(
      MemorySegment source,
      long sourceOffset,
      MemorySegment target,
      long targetOffset,
      long values) {
    long blocks = bytes(values) / blockBytes;
    byte[] codes = new byte[blockValues];
    float[] scales = new float[blockValues / GROUP];
    float[] offsets = new float[blockValues / GROUP];
    for (long block = 0; block < blocks; block++) {
      unpack(source, sourceOffset + block * blockBytes, codes, scales, offsets, 0);
      long to = targetOffset + block * blockValues * Float.BYTES;
      for (int i = 0; i < blockValues; i++) {
        float value = codes[i] * scales[i / GROUP] + offsets[i / GROUP];
        LittleEndian.putF32(target, to + (long) i * Float.BYTES, value);
      }
    }
  }

  @Override
  public final void decode(
      MemorySegment source, long sourceOffset, float[] target, int at, int values) {
    int blocks = Math.toIntExact(bytes(values) / blockBytes);
    int together = Math.min(blocks, Math.max(1, CHUNK / blockValues));
    byte[] codes = new byte[together * blockValues];
    float[] scales = new float[codes.length / GROUP];
    float[] offsets = new float[scales.length];
    for (int from = 0; from < blocks; from += together) {
      int count = Math.min(together, blocks - from);
      for (int b = 0; b < count; b++) {
        long block = sourceOffset + (long) (from + b) * blockBytes;
        unpack(source, block, codes, scales, offsets, b * blockValues);
      }
      int to = at + from * blockValues;
      for (int group = 0; group < count * blockValues / GROUP; group++) {
        decodeGroup(codes, group * GROUP, scales[group], offsets[group], target, to);
      }
    }
  }

  /** Apart, so that compilers find several numbers to decode at a time. */
  private static void decodeGroup(
      byte[] codes, int group, float scale, float offset, float[] target, int to) {
    for (int i = group; i < group + GROUP; i++) {
      target[to + i] = codes[i] * scale + offset;
    }
  }

  @Override
  public final void encode(
      MemorySegment source,
      long sourceOffset,
      MemorySegment target,
      long targetOffset,
      long values) {
    long blocks = bytes(values) / blockBytes;
    float[] x = new float[blockValues];
    for (long block = 0; block < blocks; block++) {
      long from = sourceOffset + block * blockValues * Float.BYTES;
      for (int i = 0; i < blockValues; i++) {
        float value = LittleEndian.f32(source, from + (long) i * Float.BYTES);
        x[i] =
            Float.isNaN(value) ? 0 : Math.clamp(value, -LittleEndian.MAX_F16, LittleEndian.MAX_F16);
      }
      encodeBlock(x, target, targetOffset + block * blockBytes);
    }
  }

  @Override
  public final String toString() {
    return name;
  }

  /** Fills the groups of one block, whose first number is {@code at}, with one scale and offset. */
  final void fill(float[] scales, float[] offsets, int at, float scale, float offset) {
    int from = at / GROUP;
    int to = from + blockValues / GROUP;
    Arrays.fill(scales, from, to, scale);
    Arrays.fill(offsets, from, to, offset);
  }

  /**
   * The number of largest magnitude in {@code x[from, to)}, with its sign; the first of several.
   */
  static float extreme(float[] x, int from, int to) {
    float extreme = 0;
    for (int i = from; i < to; i++) {
      if (Math.abs(x[i]) > Math.abs(extreme)) {
        extreme = x[i];
      }
    }
    return extreme;
  }

  static float min(float[] x, int from, int to) {
    float min = x[from];
    for (int i = from + 1; i < to; i++) {
      if (x[i] < min) {
        min = x[i];
      }
    }
    return min;
  }

  static float max(float[] x, int from, int to) {
    float max = x[from];
    for (int i = from + 1; i < to; i++) {
      if (x[i] > max) {
        max = x[i];
      }
    }
    return max;
  }
}

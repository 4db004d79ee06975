package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * 256 numbers in 4 bits that choose one of 16 unevenly spaced levels, in 8 groups of 32 with 6-bit
 * scales: {@code level[q] · (d · (scale − 32))}.
 *
 * <p>Block: d (F16), 16 bits with the upper two bits of each scale, 4 bytes with the lower four
 * (the low half first), 128 bytes of codes: byte 16g + i holds numbers 32g + i (low half) and 32g +
 * 16 + i (high half).
 */
final class IQ4_XS extends AbstractBlockFormat {
  IQ4_XS() {
    super("IQ4_XS", 23, 256, 136);
  }

  @Override
  public void unpack(
      MemorySegment source, long offset, byte[] codes, float[] scales, float[] offsets, int at) {
    float d = LittleEndian.f16(source, offset);
    int high = LittleEndian.u16(source, offset + 2);
    for (int group = 0; group < 8; group++) {
      int low = LittleEndian.bits(source, offset, 4 + group / 2, group % 2 * 4, 4);
      float scale = d * ((low | (((high >> (2 * group)) & 3) << 4)) - 32);
      scales[at / GROUP + 2 * group] = scale;
      scales[at / GROUP + 2 * group + 1] = scale;
    }
    Arrays.fill(offsets, at / GROUP, at / GROUP + 16, NO_OFFSET);
    for (int i = 0; i < 256; i++) {
      int q = LittleEndian.bits(source, offset, 8 + i / 32 * 16 + i % 16, i / 16 % 2 * 4, 4);
      codes[at + i] = Levels.IQ4.value(q);
    }
  }

  @Override
  void encodeBlock(float[] x, MemorySegment target, long offset) {
    float[] scales = new float[8];
    for (int group = 0; group < 8; group++) {
      scales[group] = Levels.IQ4.scale(x, 32 * group, 32 * group + 32);
    }
    float d = -extreme(scales, 0, 8) / 32;
    float inverse = Rounding.inverse(d);
    LittleEndian.putF16(target, offset, d);
    int high = 0;
    int low = 0;
    for (int group = 0; group < 8; group++) {
      int scale = Rounding.clamp(Rounding.halfEven(inverse, scales[group]), -32, 31);
      low |= ((scale + 32) & 0xF) << (4 * group);
      high |= ((scale + 32) >> 4) << (2 * group);
      float groupInverse = Rounding.inverse(d * scale);
      Levels.IQ4.pack(x, 32 * group, groupInverse, target, offset + 8 + 16L * group);
    }
    LittleEndian.putU16(target, offset + 2, high);
    LittleEndian.putI32(target, offset + 4, low);
  }
}

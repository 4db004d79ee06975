package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/**
 * Rotates heads with the Walsh–Hadamard transform, so that a few large channels become many small
 * differences, which coarse formats keep better.
 *
 * <p>The rotation is orthogonal and its own inverse: rotating twice gives the numbers back, but for
 * rounding. Queries and keys that are both rotated, after their position is rotated in, have the
 * inner products they had; of rotated values, attention's weighted sum is rotated back once.
 *
 * <p>A size that is no power of two is rotated in blocks of the largest power of two that divides
 * it: 80 in five blocks of 16; an odd size stays as it is.
 */
public final class Hadamard {
  private Hadamard() {}

  /** Numbers in a block for a head of this size. */
  public static int block(int size) {
    return Integer.lowestOneBit(size);
  }

  /** Rotates {@code x[from, from + size)} in place. */
  public static void rotate(float[] x, int from, int size) {
    int block = block(size);
    float scale = (float) (1 / Math.sqrt(block));
    for (int start = from; start < from + size; start += block) {
      for (int half = 1; half < block; half *= 2) {
        for (int pair = start; pair < start + block; pair += 2 * half) {
          for (int i = pair; i < pair + half; i++) {
            float a = x[i];
            float b = x[i + half];
            x[i] = a + b;
            x[i + half] = a - b;
          }
        }
      }
    }
    for (int i = from; i < from + size; i++) {
      x[i] *= scale;
    }
  }

  /** Rotates {@code size} float32 numbers in place, from byte {@code offset}. */
  public static void rotate(MemorySegment x, long offset, int size) {
    int block = block(size);
    float scale = (float) (1 / Math.sqrt(block));
    for (int start = 0; start < size; start += block) {
      for (int half = 1; half < block; half *= 2) {
        for (int pair = start; pair < start + block; pair += 2 * half) {
          for (int i = pair; i < pair + half; i++) {
            long first = offset + (long) i * Float.BYTES;
            long second = first + (long) half * Float.BYTES;
            float a = LittleEndian.f32(x, first);
            float b = LittleEndian.f32(x, second);
            LittleEndian.putF32(x, first, a + b);
            LittleEndian.putF32(x, second, a - b);
          }
        }
      }
    }
    for (long i = offset; i < offset + (long) size * Float.BYTES; i += Float.BYTES) {
      LittleEndian.putF32(x, i, LittleEndian.f32(x, i) * scale);
    }
  }
}

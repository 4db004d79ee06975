package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/**
 * Keys in one bit a direction (QJL: Zandieh, Daliri and Han, arXiv 2406.03482): of a key k there
 * remain its norm and the signs of k·S, for a random matrix S. Inner products with a query are
 * estimated from them, without bias; the key is not decoded.
 *
 * <p>{@code ⟨q, k⟩ ≈ c/m · ‖k‖ · ⟨q·S, sign(k·S)⟩} for m bits. As in the published code, S is an
 * orthogonalised Gaussian matrix: that lowers the error, relative to ‖q‖ · ‖k‖, from 1.25/√m to
 * 0.76/√m. Its columns have one length then, for which √(π/2), the published c, is too large by 1
 * in 4 · head size; here c is the exact value, and the estimate unbiased at every size.
 *
 * <p>NaN counts as 0, and magnitudes above 65,504 as 65,504, as in block formats. Instances are
 * immutable, and hold {@code 4 · headSize · bits} bytes of heap.
 */
public final class KeySketch {
  private final int headSize;
  private final int bits;

  /** Row c, {@link #bits} numbers long, is what channel c adds to the directions. */
  private final float[] matrix;

  private final float factor;

  /**
   * @param headSize numbers in a key
   * @param bits directions, a multiple of 8
   * @param seed of the matrix: keys and queries need the same
   */
  public KeySketch(int headSize, int bits, long seed) {
    if (headSize < 1 || bits < 8 || bits % 8 != 0) {
      throw new IllegalArgumentException(
          "A sketch takes a head size of at least 1 and a positive multiple of 8 bits, not %d and %d"
              .formatted(headSize, bits));
    }
    this.headSize = headSize;
    this.bits = bits;
    matrix = SketchMatrix.of(headSize, bits, seed);
    factor = (float) (1 / meanProjection(headSize));
  }

  /**
   * The mean of |⟨u, s⟩| for a unit vector u and a random s of length √size: √(2/π) · (1 + 1/(4 ·
   * size) + …).
   */
  private static double meanProjection(int size) {
    // On the unit sphere: 1 for size 1, 2/π for size 2, and E(n + 2) = E(n) · n / (n + 1).
    double mean = size % 2 == 1 ? 1 : 2 / Math.PI;
    for (int n = size % 2 == 1 ? 1 : 2; n < size; n += 2) {
      mean *= n / (n + 1.0);
    }
    return mean * Math.sqrt(size);
  }

  public int headSize() {
    return headSize;
  }

  public int bits() {
    return bits;
  }

  /** Bytes of the signs of one key. */
  public int bytes() {
    return bits / 8;
  }

  /**
   * Writes the signs of a key's directions and returns its norm.
   *
   * @param key {@link #headSize()} float32 numbers, from byte {@code offset}
   * @param signs receives {@link #bytes()} bytes, from byte {@code signsOffset}: bit i of byte j is
   *     direction 8j + i, 1 if positive
   * @param scratch at least {@link #bits()} numbers
   */
  public float encode(
      MemorySegment key, long offset, MemorySegment signs, long signsOffset, float[] scratch) {
    project(key, offset, scratch);
    putSigns(scratch, bits, signs, signsOffset);
    double squares = 0;
    for (int c = 0; c < headSize; c++) {
      float x = number(key, offset, c);
      squares += (double) x * x;
    }
    return (float) Math.sqrt(squares);
  }

  /**
   * Computes {@code x·S}.
   *
   * @param x {@link #headSize()} float32 numbers, from byte {@code offset}
   * @param target receives {@link #bits()} numbers
   */
  public void project(MemorySegment x, long offset, float[] target) {
    for (int j = 0; j < bits; j++) {
      target[j] = 0;
    }
    for (int c = 0; c < headSize; c++) {
      add(c, number(x, offset, c), target);
    }
  }

  /**
   * Estimates the inner product of a query and an encoded key.
   *
   * @param projected the query, {@linkplain #project projected}
   * @param signs what {@link #encode} wrote, from byte {@code offset}
   * @param norm what it returned
   */
  public float score(float[] projected, MemorySegment signs, long offset, float norm) {
    return factor / bits * norm * signedSum(projected, bits, signs, offset);
  }

  /** The factor c of the estimate. */
  float factor() {
    return factor;
  }

  /** Adds what a channel of this value does to the directions. */
  void add(int channel, float value, float[] target) {
    int row = channel * bits;
    for (int j = 0; j < bits; j++) {
      target[j] += value * matrix[row + j];
    }
  }

  /** Channel {@code c} of the head at {@code offset}, made finite. */
  static float number(MemorySegment x, long offset, int c) {
    float value = LittleEndian.f32(x, offset + (long) c * Float.BYTES);
    return Float.isNaN(value) ? 0 : Math.clamp(value, -LittleEndian.MAX_F16, LittleEndian.MAX_F16);
  }

  static void putSigns(float[] x, int count, MemorySegment signs, long offset) {
    for (int at = 0; at < count; at += 8) {
      int packed = 0;
      for (int i = 0; i < 8; i++) {
        packed |= x[at + i] > 0 ? 1 << i : 0;
      }
      LittleEndian.putU8(signs, offset + at / 8, packed);
    }
  }

  /** The sum of {@code x[0, count)}, those whose bit is 0 negated. */
  static float signedSum(float[] x, int count, MemorySegment signs, long offset) {
    float sum = 0;
    for (int at = 0; at < count; at += 8) {
      int negative = ~LittleEndian.u8(signs, offset + at / 8);
      for (int i = 0; i < 8; i++) {
        sum += Float.intBitsToFloat(Float.floatToRawIntBits(x[at + i]) ^ (negative >> i << 31));
      }
    }
    return sum;
  }
}

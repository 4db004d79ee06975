package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * Groups of 32 keys in one bit a direction, the largest channels of each group apart: {@link
 * KeySketch} as the published code applies it.
 *
 * <p>A few channels of keys are many times larger than the others, the same ones for tokens near
 * each other. They would take up the whole norm, and with it the error. So the channels with the
 * largest norms over the group are sketched by themselves, in the first directions of the same
 * matrix, and the estimate is the sum of both parts'.
 *
 * <p>A group's bytes: the outlier channels (16 bits each); for each token the norm of its other
 * channels (F16), then for each that of its outliers (F16); for each token the signs of its other
 * channels, then for each those of its outliers. The published code stores the norm of the whole
 * key in place of the first and takes the difference of squares, which cancels.
 *
 * <p>Tokens that do not fill a group yet are the caller's to keep; the published code keeps up to
 * 128 in full precision. Published sizes for heads of 128: 8 outlier channels; 256 bits and 256 for
 * the outliers, in the first 15 layers 512 and 128.
 */
public final class KeyGroupSketch {
  /** Tokens in a group. */
  public static final int TOKENS = 32;

  private final KeySketch sketch;
  private final int outlierBits;
  private final int outliers;
  private final int norms;
  private final int outlierNorms;
  private final int signs;
  private final int outlierSigns;
  private final int bytes;

  /**
   * @param outlierBits directions of the outlier channels, a multiple of 8, at most those of the
   *     sketch; 0 without outliers
   * @param outliers outlier channels of a group, fewer than a head has; 0 for none
   */
  public KeyGroupSketch(KeySketch sketch, int outlierBits, int outliers) {
    if (outliers < 0 || outliers >= Math.min(sketch.headSize(), 1 << 16)) {
      throw new IllegalArgumentException(
          "%d outlier channels in heads of %d; there can be 0 to %d"
              .formatted(outliers, sketch.headSize(), sketch.headSize() - 1));
    }
    if (outlierBits % 8 != 0
        || outlierBits > sketch.bits()
        || (outliers == 0 ? outlierBits != 0 : outlierBits < 8)) {
      throw new IllegalArgumentException(
          "%d bits for %d outlier channels; there must be a multiple of 8, 8 to %d, or 0 for no channels"
              .formatted(outlierBits, outliers, sketch.bits()));
    }
    this.sketch = sketch;
    this.outlierBits = outlierBits;
    this.outliers = outliers;
    norms = outliers * Short.BYTES;
    outlierNorms = norms + TOKENS * Short.BYTES;
    signs = outlierNorms + (outliers == 0 ? 0 : TOKENS * Short.BYTES);
    outlierSigns = signs + TOKENS * sketch.bytes();
    bytes = outlierSigns + TOKENS * outlierBits / 8;
  }

  /** Bytes of a group of {@link #TOKENS} keys. */
  public int bytes() {
    return bytes;
  }

  /**
   * Encodes a group.
   *
   * @param keys {@link #TOKENS} keys of float32 numbers, from byte {@code offset}
   * @param stride bytes from a key to the next
   * @param target receives {@link #bytes()} bytes, from byte {@code targetOffset}
   */
  public void encode(
      MemorySegment keys, long offset, long stride, MemorySegment target, long targetOffset) {
    boolean[] outlier = outliers(keys, offset, stride);
    int listed = 0;
    for (int c = 0; c < outlier.length; c++) {
      if (outlier[c]) {
        LittleEndian.putU16(target, targetOffset + (long) Short.BYTES * listed++, c);
      }
    }
    float[] rest = new float[sketch.bits()];
    float[] apart = new float[sketch.bits()];
    for (int t = 0; t < TOKENS; t++) {
      Arrays.fill(rest, 0);
      Arrays.fill(apart, 0);
      double restSquares = 0;
      double apartSquares = 0;
      for (int c = 0; c < outlier.length; c++) {
        float x = KeySketch.number(keys, offset + t * stride, c);
        if (outlier[c]) {
          apartSquares += (double) x * x;
          sketch.add(c, x, apart);
        } else {
          restSquares += (double) x * x;
          sketch.add(c, x, rest);
        }
      }
      putNorm(target, targetOffset + norms, t, restSquares);
      long at = targetOffset + signs + (long) t * sketch.bytes();
      KeySketch.putSigns(rest, sketch.bits(), target, at);
      if (outliers > 0) {
        putNorm(target, targetOffset + outlierNorms, t, apartSquares);
        long apartAt = targetOffset + outlierSigns + (long) t * outlierBits / 8;
        KeySketch.putSigns(apart, outlierBits, target, apartAt);
      }
    }
  }

  private static void putNorm(MemorySegment target, long offset, int token, double squares) {
    float norm = (float) Math.min(LittleEndian.MAX_F16, Math.sqrt(squares));
    LittleEndian.putF16(target, offset + (long) Short.BYTES * token, norm);
  }

  /** The channels with the largest norms over the group; of equal ones the first. */
  private boolean[] outliers(MemorySegment keys, long offset, long stride) {
    double[] squares = new double[sketch.headSize()];
    for (int t = 0; t < TOKENS; t++) {
      for (int c = 0; c < squares.length; c++) {
        float x = KeySketch.number(keys, offset + t * stride, c);
        squares[c] += (double) x * x;
      }
    }
    boolean[] outlier = new boolean[squares.length];
    for (int i = 0; i < outliers; i++) {
      int largest = -1;
      for (int c = 0; c < squares.length; c++) {
        if (!outlier[c] && (largest < 0 || squares[c] > squares[largest])) {
          largest = c;
        }
      }
      outlier[largest] = true;
    }
    return outlier;
  }

  /** A query to score groups with; one thread uses it at a time, for query after query. */
  public Query query() {
    return new Query();
  }

  /** A query and its projection. */
  public final class Query {
    private final float[] head = new float[sketch.headSize()];
    private final float[] projected = new float[sketch.bits()];
    private final float[] rest = new float[sketch.bits()];
    private final float[] apart = new float[sketch.bits()];

    private Query() {}

    /**
     * Takes another query.
     *
     * @param query a head of float32 numbers, from byte {@code offset}
     */
    public void set(MemorySegment query, long offset) {
      for (int c = 0; c < head.length; c++) {
        head[c] = KeySketch.number(query, offset, c);
      }
      sketch.project(query, offset, projected);
    }

    /**
     * Estimates the inner products with the keys of a group.
     *
     * @param group what {@link #encode} wrote, from byte {@code offset}
     * @param scores receives {@link #TOKENS} numbers, from index {@code at}
     */
    public void scores(MemorySegment group, long offset, float[] scores, int at) {
      Arrays.fill(apart, 0);
      for (int i = 0; i < outliers; i++) {
        int channel = channel(group, offset + (long) Short.BYTES * i);
        sketch.add(channel, head[channel], apart);
      }
      for (int j = 0; j < rest.length; j++) {
        rest[j] = projected[j] - apart[j];
      }
      for (int t = 0; t < TOKENS; t++) {
        float norm = LittleEndian.f16(group, offset + norms + (long) Short.BYTES * t);
        long from = offset + signs + (long) t * sketch.bytes();
        float score = sketch.score(rest, group, from, norm);
        if (outliers > 0) {
          float apartNorm = LittleEndian.f16(group, offset + outlierNorms + (long) Short.BYTES * t);
          long apartFrom = offset + outlierSigns + (long) t * outlierBits / 8;
          score +=
              sketch.factor()
                  / outlierBits
                  * apartNorm
                  * KeySketch.signedSum(apart, outlierBits, group, apartFrom);
        }
        scores[at + t] = score;
      }
    }

    private int channel(MemorySegment group, long offset) {
      int channel = LittleEndian.u16(group, offset);
      if (channel >= head.length) {
        throw new IllegalArgumentException(
            "A group of keys names channel %d; heads have %d: the group was made for another size"
                .formatted(channel, head.length));
      }
      return channel;
    }
  }
}

package dev.knapsack.kernel;

import dev.knapsack.tensor.Matrix;

/**
 * Attention of query rows over a part of their tokens: a softmax under way, and the values weighted
 * by it, not divided yet by the sum of weights. Sinks take part at the end, in {@link #merge}.
 *
 * <p>Parts over tokens that have none in common are put together whoever computed them, wherever
 * the tokens lay (Milakov and Gimelshein, arXiv 1805.02867).
 *
 * @param values F32, tokens × (heads · valueSize): {@code Σ_j e^(s_j − m) v_j}
 * @param softmax F32, tokens × (heads · {@value #STATE}): for each head the largest score {@code m}
 *     (−{@link Float#MAX_VALUE} or less when no token was seen) and {@code Σ_j e^(s_j − m)}
 */
public record PartialAttention(Matrix values, Matrix softmax) {
  /** Numbers of a head's softmax. */
  public static final int STATE = 2;

  /** Nothing seen yet. */
  public void clear() {
    values.data().asSlice(0, values.rows() * values.rowBytes()).fill((byte) 0);
    for (int row = 0; row < softmax.rows(); row++) {
      for (int c = 0; c < softmax.columns(); c++) {
        float start = c % STATE == 0 ? Float.NEGATIVE_INFINITY : 0;
        softmax.data().set(Floats.F32, softmax.rowOffset(row) + 4L * c, start);
      }
    }
  }

  /** Offset of a head's softmax, in bytes. */
  long softmaxOffset(int row, int head) {
    return softmax.rowOffset(row) + (long) head * STATE * Float.BYTES;
  }

  /** Offset of a head's values, in bytes. */
  long valuesOffset(AttentionShape shape, int row, int head) {
    return values.rowOffset(row) + (long) head * shape.valueSize() * Float.BYTES;
  }

  float max(int row, int head) {
    return softmax.data().get(Floats.F32, softmaxOffset(row, head));
  }

  float sum(int row, int head) {
    return softmax.data().get(Floats.F32, softmaxOffset(row, head) + Float.BYTES);
  }

  private float value(AttentionShape shape, int row, int head, int column) {
    return values.data().get(Floats.F32, valuesOffset(shape, row, head) + 4L * column);
  }

  /** Share of the weights that is left when measured by the maximum of all parts. */
  private float share(int row, int head, float max) {
    float own = max(row, head);
    return own == Float.NEGATIVE_INFINITY ? 0 : (float) Math.exp((double) own - max);
  }

  /**
   * Attention of row {@code row} with one KV head over the tokens of all parts.
   *
   * @param out receives it; may be the values of the first part
   */
  static void merge(
      AttentionShape shape, int kvHead, PartialAttention[] parts, Matrix out, int row) {
    int group = shape.heads() / shape.kvHeads();
    for (int head = kvHead * group; head < (kvHead + 1) * group; head++) {
      float max = Float.NEGATIVE_INFINITY;
      for (PartialAttention part : parts) {
        max = Math.max(max, part.max(row, head));
      }
      float sum = 0;
      for (PartialAttention part : parts) {
        sum += part.share(row, head, max) * part.sum(row, head);
      }
      float weight = ChunkedAttention.weight(shape, head, max, sum);
      long at = out.rowOffset(row) + (long) head * shape.valueSize() * Float.BYTES;
      for (int p = 0; p < parts.length; p++) {
        float factor = parts[p].share(row, head, max) * weight;
        for (int c = 0; c < shape.valueSize(); c++) {
          float value = parts[p].value(shape, row, head, c);
          float before = p == 0 ? 0 : out.data().get(Floats.F32, at + 4L * c);
          out.data().set(Floats.F32, at + 4L * c, Math.fma(factor, value, before));
        }
      }
    }
  }
}

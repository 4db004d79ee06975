package dev.knapsack.kernel;

import dev.knapsack.tensor.Matrix;

/**
 * Attention of query rows {@code [from, to)} with one KV head, over tokens where they lie: in the
 * pages of a cache, or in the rows of the step.
 *
 * <p>Row {@code t} stands at {@code firstPosition + t}; it sees tokens at positions {@code p} with
 * {@code p ≤ firstPosition + t} (when causal) and {@code |firstPosition + t − p| < window} (when
 * there is a window that slides; in the same chunk, when it does not). Queries are F32, tokens ×
 * (heads · keySize).
 */
public interface Attention {
  /**
   * For each query head of the group, {@code out = Σ_j softmax_j(scale · q·k_j) v_j} over the
   * tokens that the row may see.
   *
   * @param out F32, tokens × (heads · valueSize)
   */
  void attend(
      AttentionShape shape,
      Matrix q,
      int firstPosition,
      KvSpan[] spans,
      int kvHead,
      Matrix out,
      int from,
      int to,
      Scratch scratch);

  /**
   * A part of {@link #attend}: takes some of the spans into what the rows have seen so far, so that
   * the tokens of a long context can be met piece by piece, by whoever has them.
   */
  void attendPart(
      AttentionShape shape,
      Matrix q,
      int firstPosition,
      KvSpan[] spans,
      int kvHead,
      PartialAttention part,
      int from,
      int to,
      Scratch scratch);

  /**
   * The attention weights themselves, for those who want to know which tokens matter: a second
   * reading of the keys, and none of the values.
   *
   * @param out F32, a row for each query row of {@code [from, to)} and, within it, query head of
   *     the group; a column for each token of the spans, 0 where it is not seen
   */
  void weights(
      AttentionShape shape,
      Matrix q,
      int firstPosition,
      KvSpan[] spans,
      int kvHead,
      Matrix out,
      int from,
      int to,
      Scratch scratch);

  /** Scratch bytes that one call needs at the most. */
  long scratchBytes(KernelLimits limits);
}

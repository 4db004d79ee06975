package dev.knapsack.kernel;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * The shape of one layer's attention.
 *
 * @param heads query heads; {@code heads / kvHeads} of them share a KV head
 * @param keySize numbers in a query or key head
 * @param valueSize numbers in a value head
 * @param scale factor of the scores, usually {@code 1/√keySize}
 * @param softCap scores become {@code cap · tanh(score / cap)}; 0 for none
 * @param window sliding window in tokens, as far back as ahead; 0 for none
 * @param chunked whether the window does not slide: a token sees those in the same of the chunks of
 *     {@code window} positions that a sequence is cut into
 * @param causal whether a token sees only tokens up to itself
 * @param sinks F32 logit per query head that takes part in the denominator alone; null for none
 * @param slopes F32 number per query head, by which a score falls for each position that a token is
 *     away; null for none
 */
public record AttentionShape(
    int heads,
    int kvHeads,
    int keySize,
    int valueSize,
    float scale,
    float softCap,
    int window,
    boolean chunked,
    boolean causal,
    @Nullable MemorySegment sinks,
    @Nullable MemorySegment slopes) {
  /** With a window that slides, if any. */
  public AttentionShape(
      int heads,
      int kvHeads,
      int keySize,
      int valueSize,
      float scale,
      float softCap,
      int window,
      boolean causal,
      @Nullable MemorySegment sinks) {
    this(heads, kvHeads, keySize, valueSize, scale, softCap, window, false, causal, sinks, null);
  }

  /** The first position that a token at this one sees, or one before the sequence's first. */
  long first(int position) {
    return chunked ? position - position % window : (long) position - window + 1;
  }

  /** One past the last position that a token at this one sees, were it not causal. */
  long end(int position) {
    return chunked ? first(position) + window : (long) position + window;
  }
}

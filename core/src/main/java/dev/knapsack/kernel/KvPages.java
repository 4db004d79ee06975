package dev.knapsack.kernel;

import dev.knapsack.tensor.Format;
import java.lang.foreign.MemorySegment;

/**
 * One layer's cached keys and values of one sequence, where they lie.
 *
 * <p>A page holds {@code pageTokens} tokens for all KV heads: head {@code h}, token {@code t} of
 * the page starts at byte {@code (h · pageTokens + t) · format.bytes(headSize)}. Cached token
 * {@code i} (of {@code length}) is token {@code i % pageTokens} of page {@code i / pageTokens}, and
 * stands at position {@code start + i}. Pages wholly before the start of a sliding window may have
 * been freed: {@code start} is then the first position still held, a multiple of {@code
 * pageTokens}.
 */
public record KvPages(
    Format keyFormat,
    Format valueFormat,
    int pageTokens,
    MemorySegment[] keys,
    MemorySegment[] values,
    int start,
    int length) {
  /** Where a token's numbers of one head start in its page, in bytes. */
  public long offset(Format format, int headSize, int kvHead, int token) {
    return ((long) kvHead * pageTokens + token % pageTokens) * format.bytes(headSize);
  }

  /** The first cached token that a query at {@code position} sees. */
  public int firstVisible(AttentionShape shape, int position) {
    if (shape.window() == 0) {
      return 0;
    }
    return Math.clamp((long) position - shape.window() + 1 - start, 0, length);
  }

  /** One past the last cached token that a query at {@code position} sees. */
  public int endVisible(AttentionShape shape, int position) {
    return shape.causal() ? Math.clamp((long) position + 1 - start, 0, length) : length;
  }
}

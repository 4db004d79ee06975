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
    int length) {}

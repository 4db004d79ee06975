package dev.knapsack.model;

import dev.knapsack.cache.KvCache;
import java.util.Objects;

/**
 * Tokens of one sequence that a step computes, in the order in which they follow what its cache
 * holds.
 *
 * @param cache the sequence so far; the first token stands at position {@code cache.length()}
 * @param tokens the ids, of which those from {@code from} (inclusive) to {@code to} (exclusive)
 *     count
 * @param logits how many tokens, at the end, the logits are wanted of: 0 for none, 1 to choose the
 *     next token
 */
public record Run(KvCache cache, int[] tokens, int from, int to, int logits) {
  public Run {
    Objects.checkFromToIndex(from, to, tokens.length);
    if (from == to || logits < 0 || logits > to - from) {
      throw new IllegalArgumentException(
          "A run of %d tokens cannot give the logits of %d".formatted(to - from, logits));
    }
  }

  /** All of these tokens, and the logits of the last. */
  public static Run last(KvCache cache, int... tokens) {
    return new Run(cache, tokens, 0, tokens.length, 1);
  }

  /** All of these tokens, and the logits of each. */
  public static Run all(KvCache cache, int... tokens) {
    return new Run(cache, tokens, 0, tokens.length, tokens.length);
  }

  /** Tokens that the step computes. */
  public int length() {
    return to - from;
  }
}

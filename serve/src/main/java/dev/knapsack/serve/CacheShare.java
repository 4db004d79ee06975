package dev.knapsack.serve;

import dev.knapsack.memory.Budget;
import java.util.OptionalLong;

/**
 * A part of a model's cache: of the bytes of keys, values and states that its plan has.
 *
 * @param bytes at the most; {@link Long#MAX_VALUE} for any
 * @param part of all, from 0 to 1
 */
public record CacheShare(long bytes, double part) {
  /** All of it. */
  public static final CacheShare ALL = new CacheShare(Long.MAX_VALUE, 1);

  public CacheShare {
    if (bytes < 1 || !(part > 0 && part <= 1)) {
      throw new IllegalArgumentException(
          "A share of %,d bytes, %s of the cache; give more than 0, and at most all."
              .formatted(bytes, part));
    }
  }

  /**
   * Reads a size such as {@code 64MiB}, or a part such as {@code 25%}.
   *
   * @throws IllegalArgumentException if it is neither
   */
  public static CacheShare parse(String text) {
    return text.endsWith("%")
        ? new CacheShare(
            Long.MAX_VALUE, Double.parseDouble(text.substring(0, text.length() - 1)) / 100)
        : new CacheShare(Budget.parseSize(text), 1);
  }

  /** The bytes that it is of a cache; empty for all of it. */
  OptionalLong of(long cacheBytes) {
    return equals(ALL)
        ? OptionalLong.empty()
        : OptionalLong.of(Math.max(1, Math.min(bytes, (long) (cacheBytes * part))));
  }
}

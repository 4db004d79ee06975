package dev.knapsack.eval;

import dev.knapsack.Options;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/**
 * A form in which cached keys and values are kept.
 *
 * @param format of both
 */
public record CacheForm(Format format) {
  /** What all others are compared with. */
  public static final CacheForm FULL = new CacheForm(KvLayout.FULL);

  /** Some of every size, the largest first. */
  public static final List<CacheForm> USUAL =
      List.of(FULL, new CacheForm(Formats.Q8_0), new CacheForm(Formats.Q4_0));

  /**
   * A form as people write it: {@code q8_0}.
   *
   * @throws IllegalArgumentException if a cache cannot have the format
   */
  public static CacheForm of(String text) {
    return new CacheForm(format(text));
  }

  private static Format format(String name) {
    return Formats.cache().stream()
        .filter(f -> f.name().equalsIgnoreCase(name))
        .findFirst()
        .orElseThrow(() ->
            new IllegalArgumentException(
                "'%s' is no format of a KV cache; these are: %s"
                    .formatted(
                        name,
                        Formats.cache().stream()
                            .map(f -> f.name().toLowerCase(Locale.ROOT))
                            .collect(Collectors.joining(", ")))));
  }

  /**
   * Forms with commas between them.
   *
   * @throws IllegalArgumentException if one is none
   */
  public static List<CacheForm> list(String text) {
    return Arrays.stream(text.split(",", -1)).map(String::strip).map(CacheForm::of).toList();
  }

  /** Options by which a model is opened with such a cache. */
  public Options apply(Options options) {
    return options.withCacheFormat(format);
  }

  /** As {@link #of} reads it. */
  public String name() {
    return format.name().toLowerCase(Locale.ROOT);
  }
}

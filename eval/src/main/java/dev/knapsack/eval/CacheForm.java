package dev.knapsack.eval;

import dev.knapsack.Options;
import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.KvTransform;
import dev.knapsack.plan.KvChoice;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/**
 * A form of the KV cache with a name: {@code q8_0}; {@code q8_0/q4_0} for keys and values apart,
 * {@code qjl/q8_0} with sketched keys; and after that perhaps {@code +rotate} or {@code +reorder},
 * and {@code +recent=64}.
 */
public record CacheForm(KvFormat format) {
  /** The form that all others are compared with. */
  public static final CacheForm FULL = new CacheForm(KvFormat.F16);

  /** Some of every size, the largest first. */
  public static final List<CacheForm> USUAL = list("f16,q8_0,q8_0/q4_0+rotate+recent=64,q4_0");

  private static final String RECENT = "recent=";
  private static final int STEP = 16;

  private static final String SKETCHED = "qjl";

  /**
   * A form as people write it.
   *
   * @throws IllegalArgumentException if a cache cannot have a format, or what follows is unknown
   */
  public static CacheForm of(String text) {
    String[] parts = text.strip().toLowerCase(Locale.ROOT).split("\\+", -1);
    String[] formats = parts[0].split("/", 2);
    KvFormat form =
        formats.length == 2 && formats[0].startsWith(SKETCHED)
            ? KvFormat.of(formats[0], format(formats[1]).name())
            : KvFormat.of(format(formats[0]), format(formats[formats.length - 1]));
    for (String part : Arrays.asList(parts).subList(1, parts.length)) {
      if (part.equals("rotate")) {
        form = transformed(form, KvTransform.ROTATED);
      } else if (part.equals("reorder")) {
        form = transformed(form, KvTransform.REORDERED);
      } else if (part.startsWith(RECENT) && part.substring(RECENT.length()).matches("\\d{1,9}")) {
        form = form.withRecent(Integer.parseInt(part.substring(RECENT.length())));
      } else {
        throw new IllegalArgumentException(
            "'+%s' says nothing of a KV cache; '+rotate', '+reorder' and '+recent=64' do"
                .formatted(part));
      }
    }
    return new CacheForm(form);
  }

  /**
   * Bytes of the keys and values of one token of a layout's layers in this form, alone.
   *
   * @param gaps whether the cache forgets tokens, and says of each that is left where it stands
   */
  long tokenBytes(KvLayout layout, boolean gaps) {
    return layout.heads().stream()
        .mapToLong(l ->
            l.kvHeads()
                * (format.keys().bytes(format.keySize(l.keySize()))
                    + format.values().bytes(l.valueSize())
                    + (gaps && l.window() == 0 ? Integer.BYTES : 0)))
        .sum();
  }

  private static KvFormat transformed(KvFormat form, KvTransform transform) {
    if (form.transform() != KvTransform.NONE && form.transform() != transform) {
      throw new IllegalArgumentException(
          "'+rotate' and '+reorder' exclude each other; name one of them");
    }
    return form.withTransform(transform);
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
    return Arrays.stream(text.split(",", -1)).map(CacheForm::of).toList();
  }

  /**
   * Options by which a model is opened with such a cache. Tokens of a step see each other as they
   * were computed, if recent ones stay so: then steps are short, as when an answer is written.
   */
  public Options apply(Options options) {
    return apply(options, KvPolicy.FULL);
  }

  /** Options by which it is opened with such a cache that keeps what a policy keeps. */
  Options apply(Options options, KvPolicy policy) {
    Options with = options.withCacheFormat(KvChoice.of(format).withPolicy(policy));
    return format.recent() > 0 ? with.withPrefillChunk(STEP) : with;
  }

  /** As {@link #of} reads it. */
  public String name() {
    String keys = format.keyName();
    String values = format.values().name();
    return ((keys.equals(values) ? keys : keys + "/" + values)
            + switch (format.transform()) {
              case NONE -> "";
              case ROTATED -> "+rotate";
              case REORDERED -> "+reorder";
            }
            + (format.recent() > 0 ? "+" + RECENT + format.recent() : ""))
        .toLowerCase(Locale.ROOT);
  }
}

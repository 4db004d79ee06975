package dev.knapsack.cache;

import java.util.Locale;

/**
 * The mark of what a cache was computed with: a sequence is restored only where all of it is the
 * same.
 *
 * @param model what tells the model's weights from others
 * @param name the model's name, for people
 * @param shape what tells layers, heads and rotary angles from others
 * @param formats how keys and values are kept, as {@link #formats(KvLayout)} says it
 * @param recipe which tokens are kept: the name of the policy
 * @param engine the version of the arithmetic: caches of another are not the same numbers
 */
public record Fingerprint(
    String model, String name, String shape, String formats, String recipe, String engine) {
  /** A layout's formats and recent tokens, such as {@code k=q8_0,v=q4_0 with 128 tokens in f16}. */
  public static String formats(KvLayout layout) {
    String formats =
        "k=%s,v=%s"
            .formatted(layout.keyFormat().name(), layout.valueFormat().name())
            .toLowerCase(Locale.ROOT);
    int sketch = layout.heads().stream().mapToInt(LayerLayout.Heads::sketch).max().orElse(0);
    if (sketch > 0) {
      formats += " of %d directions a channel".formatted(sketch);
    }
    if (layout.transform() != KvTransform.NONE) {
      formats += " " + layout.transform().participle();
    }
    return layout.recent() == 0
        ? formats
        : "%s with %,d tokens in f16".formatted(formats, layout.recent());
  }
}

package dev.knapsack.plan;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvTransform;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * What storing the KV cache in fewer bits costs in quality, as measured.
 *
 * <p>The figures are for one small model (notes-2.6m, whose heads have 32 numbers) and say in which
 * order formats lose and how far they are apart; another model loses more or less.
 *
 * @param format how the cache is stored
 * @param divergence mean Kullback–Leibler divergence from the answers of F16, in nats a token
 */
record KvQuality(KvFormat format, double divergence) {
  /**
   * Means along the second halves of four texts of 1,021 tokens; {@code knapsack eval kv-formats
   * notes-2.6m-f16.gguf --questions eval-ctx1024.jsonl --limit 4 --activations float --formats
   * q8_0,q8_0/q4_0+rotate+recent=64,…} prints them.
   */
  private static final List<KvQuality> MEASURED =
      List.of(
          measured("F16", 0, false, 0),
          measured("F8_E4M3", 0, false, 0.000644),
          measured("F8_E5M2", 0, false, 0.001900),
          measured("Q8_0", 0, false, 0.000009),
          measured("Q8_0", 64, true, 0.000004),
          measured("Q5_1", 0, false, 0.000493),
          measured("Q5_1", 64, true, 0.000165),
          measured("Q5_0", 0, false, 0.000552),
          measured("Q5_0", 64, true, 0.000202),
          measured("Q4_1", 0, false, 0.001660),
          measured("Q4_1", 64, true, 0.000697),
          measured("Q4_0", 0, false, 0.002520),
          measured("Q4_0", 64, true, 0.000839),
          measured("Q2_1", 0, false, 0.061000),
          measured("Q2_1", 64, true, 0.017400),
          measured("BFP6", 0, false, 0.000314),
          measured("BFP6", 64, true, 0.000103),
          measured("BFP4", 0, false, 0.007040),
          measured("BFP4", 64, true, 0.001910),
          measured("k=Q8_0,v=Q4_0", 0, false, 0.000699),
          measured("k=Q8_0,v=Q4_0", 64, true, 0.000165));

  private static KvQuality measured(
      String formats, int recent, boolean rotated, double divergence) {
    KvFormat format =
        KvFormat.parse(formats)
            .withRecent(recent)
            .withTransform(rotated ? KvTransform.ROTATED : KvTransform.NONE);
    return new KvQuality(format, divergence);
  }

  /** What was measured of this form; F16 loses nothing against itself. */
  static Optional<KvQuality> of(KvFormat format) {
    return MEASURED.stream().filter(q -> q.format.equals(format)).findFirst();
  }

  String describe() {
    return divergence == 0
        ? "reference quality"
        : String.format(Locale.ROOT, "KL %.5f", divergence);
  }
}

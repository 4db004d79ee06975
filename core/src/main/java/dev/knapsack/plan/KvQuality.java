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
   * Means over 4 × 1,021 tokens, the first four texts of eval-ctx1024.jsonl, read in steps of 64
   * with activations in float32. To be renewed with what {@code knapsack eval kv-formats} prints.
   */
  private static final List<KvQuality> MEASURED =
      List.of(
          measured("F16", 0, false, 0),
          measured("F8_E4M3", 0, false, 0.000735),
          measured("F8_E5M2", 0, false, 0.002826),
          measured("Q8_0", 0, false, 0.000010),
          measured("Q8_0", 64, true, 0.000003),
          measured("Q5_1", 0, false, 0.000578),
          measured("Q5_1", 64, true, 0.000245),
          measured("Q5_0", 0, false, 0.001195),
          measured("Q5_0", 64, true, 0.000327),
          measured("Q4_1", 0, false, 0.002071),
          measured("Q4_1", 64, true, 0.000827),
          measured("Q4_0", 0, false, 0.002812),
          measured("Q4_0", 64, true, 0.000960),
          measured("Q2_1", 0, false, 0.063535),
          measured("Q2_1", 64, true, 0.016579),
          measured("BFP6", 0, false, 0.000474),
          measured("BFP6", 64, true, 0.000433),
          measured("BFP4", 0, false, 0.008219),
          measured("BFP4", 64, true, 0.001523),
          measured("k=Q8_0,v=Q4_0", 0, false, 0.000940),
          measured("k=Q8_0,v=Q4_0", 64, true, 0.000148));

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

package dev.knapsack.planner;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvTransform;
import dev.knapsack.cache.policy.Recipe;
import dev.knapsack.plan.KvChoice;
import dev.knapsack.plan.Plan;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * The measured cost in quality of storing the KV cache in fewer bits, or of forgetting some of it.
 *
 * <p>The figures are for one small model (notes-2.6m, whose heads have 32 numbers) and say in which
 * order forms lose and how far they are apart; another model loses more or less.
 *
 * @param cache how the cache is stored, and which tokens are kept
 * @param divergence mean Kullback–Leibler divergence from F16 with all tokens, in nats a token
 * @param recall percent of the answers that are right with that, which still are; -1 if nothing was
 *     asked
 */
public record KvQuality(Plan.Cache cache, double divergence, double recall) {
  /**
   * Figures of forms that keep every token: means along the second halves of four texts of 1,021
   * tokens; {@code knapsack eval kv-formats notes-2.6m-f16.gguf --questions eval-ctx1024.jsonl
   * --limit 4 --activations float --formats q8_0,q8_0/q4_0+rotate+recent=64,…} prints them.
   */
  public static final List<KvQuality> MEASURED =
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
    return new KvQuality(Plan.Cache.of(format), divergence, -1);
  }

  /**
   * Figures of forms that forget, along the answers to 40 questions that were asked after texts of
   * 1,021 tokens had been read; {@code knapsack eval kv notes-2.6m-f16.gguf --questions
   * eval-ctx1024.jsonl --limit 40 --recipes
   * 'duo(50%)+q4_0+rotate+recent=64;keydiff(50%)+q4_0+rotate+recent=64'} prints them.
   */
  private static final List<KvQuality> FORGETTING =
      List.of(forgetting("duo(50%)", 0.00198, 100), forgetting("keydiff(50%)", 0.028, 100));

  private static KvQuality forgetting(String recipe, double divergence, double recall) {
    Plan.Cache cache = Plan.Cache.of(KvChoice.LADDER.getLast()).withPolicy(Recipe.of(recipe));
    return new KvQuality(cache, divergence, recall);
  }

  /** The figures of this form; F16 with all tokens loses nothing against itself. */
  static Optional<KvQuality> of(Plan.Cache cache) {
    return Stream.concat(MEASURED.stream(), FORGETTING.stream())
        .filter(q -> q.cache.format().equals(cache.format()))
        .filter(q -> q.cache.policy().name().equals(cache.policy().name()))
        .findFirst();
  }

  String describe() {
    if (divergence == 0) {
      return "reference quality";
    }
    String loss = String.format(Locale.ROOT, "KL %.5f", divergence);
    return recall < 0
        ? loss
        : loss + String.format(Locale.ROOT, ", %.0f %% of the answers", recall);
  }
}

package dev.knapsack.serve;

import com.google.gson.JsonObject;
import dev.knapsack.generation.Usage;
import dev.knapsack.plan.Plan;
import dev.knapsack.serve.http.Json;

/** The cost of an answer, as each API's answers say it in a field of Knapsack's own. */
public final class Costs {
  private Costs() {}

  /**
   * Times in seconds, rates in tokens a second, each beside what the plan predicts. A {@code
   * prefill_token_equivalent} is the time that the plan predicts for a token of a prompt: what was
   * computed, in one unit. {@code cache_bytes} are those that the answer held at its largest; what
   * it shared with others, whoever computed that has paid for.
   */
  public static JsonObject of(ServedModel model, Usage usage) {
    Plan.Prediction predicted = model.knapsack().plan().prediction();
    int computed = usage.promptTokens() - usage.cachedTokens();
    double prefill = predicted.prefillTokensPerSecond();
    double decode = predicted.decodeTokensPerSecond();
    return Json.object(
        "queue_seconds",
        rounded(Math.max(0, usage.secondsToFirstToken() - usage.prefillSeconds())),
        "first_token_seconds",
        rounded(usage.secondsToFirstToken()),
        "token_seconds",
        rounded(usage.secondsPerToken()),
        "prefill_token_equivalents",
        rounded(computed + usage.tokens() * prefill * seconds(decode)),
        "cache_bytes",
        usage.cacheBytes(),
        "steps",
        usage.steps(),
        "prefill_seconds",
        both(usage.prefillSeconds(), computed * seconds(prefill)),
        "decode_seconds",
        both(usage.decodeSeconds(), Math.max(0, usage.tokens() - 1) * seconds(decode)),
        "prefill_tokens_per_second",
        both(usage.prefillTokensPerSecond(), prefill),
        "decode_tokens_per_second",
        both(usage.decodeTokensPerSecond(), decode));
  }

  /** Seconds that a token takes at a rate; 0 if none is known. */
  private static double seconds(double rate) {
    return rate > 0 ? 1 / rate : 0;
  }

  private static JsonObject both(double measured, double predicted) {
    return Json.object("measured", rounded(measured), "predicted", rounded(predicted));
  }

  private static double rounded(double value) {
    return Math.round(value * 1e4) / 1e4;
  }
}

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
   * computed, in one unit.
   */
  public static JsonObject of(ServedModel model, Usage usage) {
    Plan.Prediction predicted = model.knapsack().plan().prediction();
    int computed = usage.promptTokens() - usage.cachedTokens();
    double perToken =
        predicted.prefillTokensPerSecond() / Math.max(1e-9, predicted.decodeTokensPerSecond());
    return Json.object(
        "queue_seconds",
        rounded(Math.max(0, usage.secondsToFirstToken() - usage.prefillSeconds())),
        "first_token_seconds",
        rounded(usage.secondsToFirstToken()),
        "token_seconds",
        rounded(usage.tokens() > 1 ? usage.decodeSeconds() / (usage.tokens() - 1) : 0),
        "prefill_token_equivalents",
        rounded(computed + usage.tokens() * perToken),
        "steps",
        usage.steps(),
        "prefill_tokens_per_second",
        Json.object(
            "measured", rounded(usage.prefillTokensPerSecond()),
            "predicted", rounded(predicted.prefillTokensPerSecond())),
        "decode_tokens_per_second",
        Json.object(
            "measured", rounded(usage.decodeTokensPerSecond()),
            "predicted", rounded(predicted.decodeTokensPerSecond())));
  }

  private static double rounded(double value) {
    return Math.round(value * 1e4) / 1e4;
  }
}

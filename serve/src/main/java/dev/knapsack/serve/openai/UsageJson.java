package dev.knapsack.serve.openai;

import com.google.gson.JsonObject;
import dev.knapsack.generation.Usage;
import dev.knapsack.serve.Costs;
import dev.knapsack.serve.ServedModel;
import dev.knapsack.serve.http.Json;
import java.util.List;

/** Tokens that a reply took. */
final class UsageJson {
  private UsageJson() {}

  /**
   * The usage of answers to one prompt, at least one: its tokens count once, those of the answers
   * together.
   */
  static JsonObject of(ServedModel model, List<Usage> answers) {
    return sum(model, answers, answers.size());
  }

  /**
   * The usage of answers to several prompts.
   *
   * @param samples answers of each prompt, which stand one after the other
   */
  static JsonObject sum(ServedModel model, List<Usage> answers, int samples) {
    int read = 0;
    int cached = 0;
    for (int i = 0; i < answers.size(); i += samples) {
      read += answers.get(i).promptTokens();
      cached += answers.get(i).cachedTokens();
    }
    int written = answers.stream().mapToInt(Usage::tokens).sum();
    return Json.object(
        "prompt_tokens",
        read,
        "completion_tokens",
        written,
        "total_tokens",
        read + written,
        "prompt_tokens_details",
        Json.object("cached_tokens", cached),
        "knapsack",
        Costs.of(model, answers.getFirst()));
  }
}

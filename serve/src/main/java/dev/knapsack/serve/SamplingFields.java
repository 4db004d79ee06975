package dev.knapsack.serve;

import com.google.gson.JsonElement;
import com.google.gson.JsonPrimitive;
import dev.knapsack.generation.Sampling;
import dev.knapsack.serve.http.Fields;
import java.util.HashMap;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;

/** Reads how tokens are chosen, by the names that the APIs have in common. */
public final class SamplingFields {
  private SamplingFields() {}

  /** The sampling that a body asks for; what it does not say is as usual. */
  public static Sampling read(Fields body) {
    Sampling sampling = Sampling.DEFAULT;
    OptionalDouble temperature = body.number("temperature", 0, 100);
    if (temperature.isPresent()) {
      sampling = sampling.withTemperature((float) temperature.getAsDouble());
    }
    OptionalDouble topP = body.number("top_p", 0, 1);
    if (topP.isPresent()) {
      // 0 is the smallest nucleus there is: the likeliest token.
      sampling = sampling.withTopP(Math.max(Float.MIN_NORMAL, (float) topP.getAsDouble()));
    }
    OptionalInt topK = body.integer("top_k", -1, Integer.MAX_VALUE);
    if (topK.isPresent()) {
      sampling = sampling.withTopK(Math.max(0, topK.getAsInt()));
    }
    OptionalDouble minP = body.number("min_p", 0, 1);
    if (minP.isPresent()) {
      sampling = sampling.withMinP((float) minP.getAsDouble());
    }
    String repeat = body.has("repeat_penalty") ? "repeat_penalty" : "repetition_penalty";
    double repetition = body.number(repeat, 0.001, 100).orElse(1);
    double presence = body.number("presence_penalty", -100, 100).orElse(0);
    double frequency = body.number("frequency_penalty", -100, 100).orElse(0);
    if (repetition != 1 || presence != 0 || frequency != 0) {
      int window = body.integer("repeat_last_n", -1, Integer.MAX_VALUE).orElse(-1);
      sampling =
          sampling.withPenalties((float) repetition, (float) presence, (float) frequency, window);
    }
    OptionalLong seed = body.wide("seed", Long.MIN_VALUE, Long.MAX_VALUE);
    if (seed.isPresent()) {
      sampling = sampling.withSeed(seed.getAsLong());
    }
    return sampling.withLogitBias(bias(body));
  }

  private static Map<Integer, Float> bias(Fields body) {
    Map<Integer, Float> bias = new HashMap<>();
    body.object("logit_bias")
        .ifPresent(tokens ->
            tokens
                .json()
                .entrySet()
                .forEach(e ->
                    bias.put(token(tokens, e.getKey()), bias(tokens, e.getKey(), e.getValue()))));
    return bias;
  }

  private static int token(Fields tokens, String name) {
    try {
      return Integer.parseUnsignedInt(name);
    } catch (NumberFormatException e) {
      throw tokens.refusal(name, "must be named by the number of a token");
    }
  }

  private static float bias(Fields tokens, String name, JsonElement value) {
    if (value instanceof JsonPrimitive p && p.isNumber()) {
      // OpenAI's -100 forbids a token.
      float bias = p.getAsFloat();
      return bias <= -100 ? Float.NEGATIVE_INFINITY : bias;
    }
    throw tokens.refusal(name, "must be a number");
  }
}

package dev.knapsack.generation;

import java.util.Map;
import java.util.OptionalLong;
import java.util.function.Consumer;

/**
 * The choice of the next token from the logits: a value that a request carries.
 *
 * <p>The chain runs in this order: logit bias, penalties, top-k, top-p, min-p, temperature. The
 * three cuts look at the model's own distribution, before the temperature flattens it, so that a
 * high temperature makes an answer varied without letting in tokens that the model thinks absurd.
 *
 * @param temperature logits are divided by it; 0 takes the likeliest token (greedy)
 * @param topK keep the k likeliest tokens; 0 for all
 * @param topP keep the fewest tokens whose probabilities reach this sum (nucleus sampling, Holtzman
 *     et al. 2020); 1 for all
 * @param minP keep tokens at least this fraction as likely as the likeliest (Nguyen et al. 2024); 0
 *     for all
 * @param repetitionPenalty divides the positive and multiplies the negative logits of tokens in the
 *     window (CTRL, Keskar et al. 2019); 1 for none
 * @param presencePenalty is taken from the logit of each token in the window
 * @param frequencyPenalty is taken from the logit once for each time the token is in the window
 * @param penaltyWindow the last tokens, of prompt and answer, that penalties look at; -1 for all
 * @param logitBias is added to the logits of these tokens; negative infinity forbids one
 * @param seed makes a choice reproducible; empty for a new one with each request
 * @param denoising the way of the answer, of models that denoise texts
 */
public record Sampling(
    float temperature,
    int topK,
    float topP,
    float minP,
    float repetitionPenalty,
    float presencePenalty,
    float frequencyPenalty,
    int penaltyWindow,
    Map<Integer, Float> logitBias,
    OptionalLong seed,
    Denoising denoising) {
  /** Temperature 0.8, top-k 40, top-p 0.95, min-p 0.05, no penalties. */
  public static final Sampling DEFAULT =
      new Sampling(
          0.8f, 40, 0.95f, 0.05f, 1, 0, 0, 64, Map.of(), OptionalLong.empty(), Denoising.DEFAULT);

  /** Always the likeliest token. */
  public static final Sampling GREEDY = DEFAULT.withTemperature(0);

  public Sampling {
    require(temperature >= 0 && temperature <= 100, "temperature", temperature, "0 to 100");
    require(topK >= 0, "top-k", topK, "1 or more, or 0 for all tokens");
    require(topP > 0 && topP <= 1, "top-p", topP, "above 0 to 1; 1 for all tokens");
    require(minP >= 0 && minP <= 1, "min-p", minP, "0 to 1; 0 for all tokens");
    require(
        repetitionPenalty > 0 && repetitionPenalty <= 100,
        "repetition penalty",
        repetitionPenalty,
        "above 0 to 100; 1 for none");
    require(Math.abs(presencePenalty) <= 100, "presence penalty", presencePenalty, "-100 to 100");
    require(
        Math.abs(frequencyPenalty) <= 100, "frequency penalty", frequencyPenalty, "-100 to 100");
    require(
        penaltyWindow >= -1, "penalty window", penaltyWindow, "a number of tokens, or -1 for all");
    logitBias = Map.copyOf(logitBias);
    logitBias.forEach((token, bias) ->
        require(
            token >= 0 && !Float.isNaN(bias) && bias != Float.POSITIVE_INFINITY,
            "logit bias of token " + token,
            bias,
            "a number or negative infinity, for a token of the vocabulary"));
  }

  /** The parts of a sampling while one of them is changed. */
  private static final class Draft {
    float temperature;
    int topK;
    float topP;
    float minP;
    float repetitionPenalty;
    float presencePenalty;
    float frequencyPenalty;
    int penaltyWindow;
    Map<Integer, Float> logitBias;
    OptionalLong seed;
    Denoising denoising;

    Draft(Sampling from) {
      temperature = from.temperature;
      topK = from.topK;
      topP = from.topP;
      minP = from.minP;
      repetitionPenalty = from.repetitionPenalty;
      presencePenalty = from.presencePenalty;
      frequencyPenalty = from.frequencyPenalty;
      penaltyWindow = from.penaltyWindow;
      logitBias = from.logitBias;
      seed = from.seed;
      denoising = from.denoising;
    }

    Sampling sampling() {
      return new Sampling(
          temperature,
          topK,
          topP,
          minP,
          repetitionPenalty,
          presencePenalty,
          frequencyPenalty,
          penaltyWindow,
          logitBias,
          seed,
          denoising);
    }
  }

  private Sampling with(Consumer<Draft> change) {
    Draft draft = new Draft(this);
    change.accept(draft);
    return draft.sampling();
  }

  public Sampling withTemperature(float value) {
    return with(d -> d.temperature = value);
  }

  public Sampling withTopK(int value) {
    return with(d -> d.topK = value);
  }

  public Sampling withTopP(float value) {
    return with(d -> d.topP = value);
  }

  public Sampling withMinP(float value) {
    return with(d -> d.minP = value);
  }

  /** All three penalties, over the last {@code window} tokens. */
  public Sampling withPenalties(float repetition, float presence, float frequency, int window) {
    return with(d -> {
      d.repetitionPenalty = repetition;
      d.presencePenalty = presence;
      d.frequencyPenalty = frequency;
      d.penaltyWindow = window;
    });
  }

  public Sampling withLogitBias(Map<Integer, Float> value) {
    return with(d -> d.logitBias = value);
  }

  public Sampling withSeed(long value) {
    return with(d -> d.seed = OptionalLong.of(value));
  }

  public Sampling withDenoising(Denoising value) {
    return with(d -> d.denoising = value);
  }

  /** Says whether any penalty has an effect. */
  public boolean penalises() {
    return penaltyWindow != 0
        && (repetitionPenalty != 1 || presencePenalty != 0 || frequencyPenalty != 0);
  }

  private static void require(boolean holds, String what, Object given, String works) {
    if (!holds) {
      throw new IllegalArgumentException("The " + what + " is " + given + "; give " + works + ".");
    }
  }
}

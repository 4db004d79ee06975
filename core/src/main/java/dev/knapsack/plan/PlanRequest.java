package dev.knapsack.plan;

import dev.knapsack.tensor.Format;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * What a plan is asked to do, and what is not left to it.
 *
 * @param budget bytes that the process may have resident
 * @param context tokens that a sequence may hold; if empty, what the model was trained for, at most
 *     {@link #USUAL_CONTEXT} and as much of it as fits
 * @param sequences sequences that run at once
 * @param workers threads that compute
 * @param cacheFormat format of cached keys and values; if empty, F16, or fewer bits where nothing
 *     else fits
 * @param prefillChunk tokens of a prompt that one step takes at the most; if empty, what is fastest
 */
public record PlanRequest(
    long budget,
    OptionalInt context,
    int sequences,
    int workers,
    Optional<Format> cacheFormat,
    OptionalInt prefillChunk) {
  /** Tokens of context when nobody says how many, if the model was trained for more. */
  public static final int USUAL_CONTEXT = 4096;

  public PlanRequest {
    if (budget <= 0 || sequences <= 0 || workers <= 0) {
      throw new IllegalArgumentException(
          "A plan needs a budget, sequences and workers of more than 0, not %,d bytes, %,d and %,d"
              .formatted(budget, sequences, workers));
    }
    if (context.orElse(1) <= 0 || prefillChunk.orElse(1) <= 0) {
      throw new IllegalArgumentException(
          "Context and prefill chunk must be more than 0 tokens, not %s and %s"
              .formatted(context, prefillChunk));
    }
  }

  /** One sequence, all else left to the plan. */
  public static PlanRequest of(long budget, int workers) {
    return new PlanRequest(
        budget, OptionalInt.empty(), 1, workers, Optional.empty(), OptionalInt.empty());
  }

  public PlanRequest withContext(int tokens) {
    return new PlanRequest(
        budget, OptionalInt.of(tokens), sequences, workers, cacheFormat, prefillChunk);
  }

  public PlanRequest withSequences(int count) {
    return new PlanRequest(budget, context, count, workers, cacheFormat, prefillChunk);
  }

  public PlanRequest withCacheFormat(Format format) {
    return new PlanRequest(budget, context, sequences, workers, Optional.of(format), prefillChunk);
  }

  public PlanRequest withPrefillChunk(int tokens) {
    return new PlanRequest(
        budget, context, sequences, workers, cacheFormat, OptionalInt.of(tokens));
  }
}

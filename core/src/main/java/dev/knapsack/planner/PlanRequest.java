package dev.knapsack.planner;

import dev.knapsack.plan.KvChoice;
import dev.knapsack.tensor.Format;
import java.util.OptionalInt;

/**
 * A request for a plan: what it is to do, and what is not left to it.
 *
 * @param budget bytes that the process may have resident
 * @param context tokens that a sequence may hold; if empty, what the model was trained for, at most
 *     {@link #USUAL_CONTEXT} and as much of it as fits
 * @param sequences sequences that run at once
 * @param workers threads that compute
 * @param cache which keys and values are cached, and how they are stored
 * @param prefillChunk tokens of a prompt that one step takes at the most; if empty, what is fastest
 * @param constraint bytes for finding the tokens that constraints let follow; 0 if nobody asks
 */
public record PlanRequest(
    long budget,
    OptionalInt context,
    int sequences,
    int workers,
    KvChoice cache,
    OptionalInt prefillChunk,
    long constraint) {
  /** Tokens of context when nobody says how many, if the model was trained for more. */
  public static final int USUAL_CONTEXT = 4096;

  public PlanRequest {
    if (constraint < 0) {
      throw new IllegalArgumentException(
          "Constraints cannot take %,d bytes; give 0 or more.".formatted(constraint));
    }
    if (budget <= 0 || sequences <= 0 || workers <= 0) {
      throw new IllegalArgumentException(
          "A plan needs a budget, sequences and workers of more than 0, not %,d bytes, %,d and %,d"
              .formatted(budget, sequences, workers));
    }
    if (context.orElse(1) <= 0 || prefillChunk.orElse(1) <= 0) {
      throw new IllegalArgumentException(
          "Context and prefill chunk must be more than 0 tokens, not %,d and %,d"
              .formatted(context.orElse(1), prefillChunk.orElse(1)));
    }
  }

  /** One sequence, all else left to the plan. */
  public static PlanRequest of(long budget, int workers) {
    return new PlanRequest(
        budget, OptionalInt.empty(), 1, workers, KvChoice.USUAL, OptionalInt.empty(), 0);
  }

  public PlanRequest withBudget(long bytes) {
    return new PlanRequest(bytes, context, sequences, workers, cache, prefillChunk, constraint);
  }

  public PlanRequest withContext(int tokens) {
    return new PlanRequest(
        budget, OptionalInt.of(tokens), sequences, workers, cache, prefillChunk, constraint);
  }

  public PlanRequest withSequences(int count) {
    return new PlanRequest(budget, context, count, workers, cache, prefillChunk, constraint);
  }

  public PlanRequest withCacheFormat(Format format) {
    return withCache(KvChoice.of(format));
  }

  public PlanRequest withCache(KvChoice choice) {
    return new PlanRequest(budget, context, sequences, workers, choice, prefillChunk, constraint);
  }

  public PlanRequest withPrefillChunk(int tokens) {
    return new PlanRequest(
        budget, context, sequences, workers, cache, OptionalInt.of(tokens), constraint);
  }

  public PlanRequest withConstraint(long bytes) {
    return new PlanRequest(budget, context, sequences, workers, cache, prefillChunk, bytes);
  }
}

package dev.knapsack.error;

import org.jspecify.annotations.Nullable;

/** Thrown when a saved plan cannot be used: says which field, and what is wrong with it. */
public final class PlanFileException extends KnapsackException {
  public PlanFileException(String field, String problem, @Nullable Throwable cause) {
    super(Kind.FILE, "Plan: " + field + ": " + problem, cause);
  }
}

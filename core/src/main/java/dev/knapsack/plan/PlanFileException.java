package dev.knapsack.plan;

import org.jspecify.annotations.Nullable;

/** Thrown when a saved plan cannot be used: says which field, and what is wrong with it. */
public final class PlanFileException extends RuntimeException {
  PlanFileException(String field, String problem, @Nullable Throwable cause) {
    super("Plan: " + field + ": " + problem, cause);
  }
}

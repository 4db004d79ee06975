package dev.knapsack.engine;

/** Thrown on opening when a plan is not for this model file: says which of its figures, and why. */
public final class PlanMismatchException extends EngineException {
  PlanMismatchException(String message) {
    super(message);
  }
}

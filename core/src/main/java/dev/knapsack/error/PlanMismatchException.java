package dev.knapsack.error;

/** Thrown on opening when a plan is not for this model file: says which of its figures, and why. */
public final class PlanMismatchException extends KnapsackException {
  public PlanMismatchException(String message) {
    super(Kind.FILE, message);
  }
}

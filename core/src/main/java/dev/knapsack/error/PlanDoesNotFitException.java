package dev.knapsack.error;

/** Thrown when no plan fits the budget: says what is missing, and what would fit. */
public final class PlanDoesNotFitException extends KnapsackException {
  private final long budget;
  private final long leastBudget;
  private final int largestContext;

  public PlanDoesNotFitException(
      String message, long budget, long leastBudget, int largestContext) {
    super(Kind.MEMORY, message);
    this.budget = budget;
    this.leastBudget = leastBudget;
    this.largestContext = largestContext;
  }

  /** Bytes that the budget lacks. */
  public long missing() {
    return leastBudget - budget;
  }

  /** The least budget that would do for the context and sequences asked for, in bytes. */
  public long leastBudget() {
    return leastBudget;
  }

  /** The largest context that fits the budget, in tokens; 0 if none does. */
  public int largestContext() {
    return largestContext;
  }
}

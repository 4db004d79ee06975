package dev.knapsack.plan;

/** Thrown when no plan fits the budget: says what is missing, and what would fit. */
public final class PlanDoesNotFitException extends RuntimeException {
  private final long budget;
  private final long leastBudget;
  private final int largestContext;

  /**
   * @param margin bytes by which the least budget may be larger at another start
   */
  PlanDoesNotFitException(
      String model,
      long budget,
      int context,
      int sequences,
      long leastBudget,
      long margin,
      int largestContext) {
    super(message(model, budget, context, sequences, leastBudget, margin, largestContext));
    this.budget = budget;
    this.leastBudget = leastBudget;
    this.largestContext = largestContext;
  }

  private static String message(
      String model,
      long budget,
      int context,
      int sequences,
      long leastBudget,
      long margin,
      int largestContext) {
    String work =
        sequences == 1
            ? "%,d tokens of context".formatted(context)
            : "%,d sequences of %,d tokens each".formatted(sequences, context);
    String instead =
        largestContext > 0
            ? "; or ask for at most %,d tokens of context".formatted(largestContext)
            : "; no context is small enough for the budget";
    return "%s with %s needs at least %,d bytes (%s), %,d more than the budget of %,d bytes. Give it --memory %s%s."
        .formatted(
            model,
            work,
            leastBudget,
            PlanTable.size(leastBudget),
            leastBudget - budget,
            budget,
            wholeMebibytes(leastBudget + margin),
            instead);
  }

  private static String wholeMebibytes(long bytes) {
    return Math.ceilDiv(bytes, 1L << 20) + "MiB";
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

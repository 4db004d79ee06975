package dev.knapsack.error;

/** Thrown when one request needs more sequences at once than the plan has room for. */
public final class SequencesExceededException extends KnapsackException {
  public SequencesExceededException(int asked, int planned) {
    super(
        Kind.REQUEST,
        "%,d answers to one prompt asked for, and the plan has room for %,d sequence(s). Ask for fewer at once, or plan more sequences."
            .formatted(asked, planned));
  }
}

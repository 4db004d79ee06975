package dev.knapsack.error;

/** Thrown when a request would have to wait for a sequence, and as many wait as may. */
public final class QueueFullException extends KnapsackException {
  private final int waiting;
  private final int sequences;

  public QueueFullException(int waiting, int sequences) {
    super(
        Kind.BUSY,
        "The plan's %,d sequence(s) are all answering, and %,d request(s) wait, which is all that may. Ask again when one has ended, let more wait, or plan more sequences."
            .formatted(sequences, waiting));
    this.waiting = waiting;
    this.sequences = sequences;
  }

  /** The number of requests that wait. */
  public int waiting() {
    return waiting;
  }

  /** Sequences that the plan has room for. */
  public int sequences() {
    return sequences;
  }
}

package dev.knapsack.generation;

/** The way on for an answer whose sequence has as many tokens as the plan gives it. */
public sealed interface Overflow {
  /** The answer ends with {@link FinishReason#CONTEXT_FULL}. */
  record Stop() implements Overflow {}

  /**
   * The sequence forgets its middle: the first {@code keep} tokens and the last half of the others
   * are computed anew, as if they were the prompt.
   */
  record Shift(int keep) implements Overflow {
    public Shift {
      if (keep < 0) {
        throw new IllegalArgumentException("Cannot keep " + keep + " tokens; give 0 or more.");
      }
    }
  }
}

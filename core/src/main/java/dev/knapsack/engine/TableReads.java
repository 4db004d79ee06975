package dev.knapsack.engine;

/**
 * Bytes that a token has read of tables on disk, on average.
 *
 * @param predicted if no two tokens of a step are the same
 * @param measured since the model was opened; 0 before the first
 */
public record TableReads(long predicted, double measured) {
  static final TableReads NONE = new TableReads(0, 0);
}

package dev.knapsack.engine;

/**
 * The rows of prompts that a step may compute beside answers that are being written, so that the
 * time between two of their tokens stays below a target.
 *
 * <p>It goes by what steps have taken: one without prompts, and each row of a prompt beyond that.
 * Both begin as the plan predicts them, and follow what is measured, as rows of longer texts take
 * longer.
 */
final class StepPace {
  /** Rows that a prompt has in every step: it goes on, however slowly. */
  static final int LEAST = 8;

  /** Weight of the last step in what is expected of the next. */
  private static final double NEWS = 0.2;

  /** Steps of fewer rows of prompts say little about a row. */
  private static final int TELLING = 4;

  private final double target;
  private double writing;
  private double row;

  /**
   * @param target seconds between tokens; infinite for none
   * @param writing seconds of a step that writes one token, as predicted
   * @param row seconds of a row of a prompt, as predicted
   */
  StepPace(double target, double writing, double row) {
    this.target = target;
    this.writing = writing;
    this.row = row;
  }

  /** A step has taken so long, with so many rows of prompts, beside others or not. */
  void took(double seconds, int rows) {
    if (rows == 0) {
      writing += NEWS * (seconds - writing);
    } else if (rows >= TELLING) {
      row += NEWS * (Math.max(0, seconds - writing) / rows - row);
    }
  }

  /** Rows of prompts that the next step may have beside answers that are being written. */
  int rows() {
    double rows = (target - writing) / Math.max(row, 1e-9);
    return (int) Math.clamp(rows, LEAST, Integer.MAX_VALUE);
  }
}

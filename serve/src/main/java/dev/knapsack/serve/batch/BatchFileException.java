package dev.knapsack.serve.batch;

import java.io.IOException;

/** Thrown when a file of requests or of results cannot be used as one. */
public final class BatchFileException extends IOException {
  private static final long serialVersionUID = 1;

  private final int line;

  /**
   * @param line from 1; 0 if it is about no single line
   */
  BatchFileException(int line, String message) {
    super(message);
    this.line = line;
  }

  @Override
  public String getMessage() {
    return String.valueOf(super.getMessage());
  }

  /** The line to blame, from 1; 0 if it is not one alone. */
  public int line() {
    return line;
  }
}

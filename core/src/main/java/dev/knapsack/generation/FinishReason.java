package dev.knapsack.generation;

/** The reason why an answer ended. */
public enum FinishReason {
  /** The model wrote a token that ends an answer. */
  END_TOKEN,
  /** One of the request's stop strings came up; it is not part of the answer. */
  STOP_STRING,
  /** The answer has as many tokens as the request allowed. */
  MAX_TOKENS,
  /** The sequence has as many tokens as the plan gives it. */
  CONTEXT_FULL,
  /** The time that the request allowed is over. */
  DEADLINE,
  /** Someone cancelled or closed it. */
  CANCELLED,
  /** Something went wrong, which who takes from the answer is told. */
  FAILED
}

package dev.knapsack;

/** The use that a vector is for: models were trained with other words before a text for each. */
public enum Task {
  /** A question, or words to search with. */
  QUERY,
  /** A passage that is to be found. */
  DOCUMENT,
  /** A text whose like are to be found, neither question nor passage. */
  SIMILARITY,
  CLASSIFICATION,
  CLUSTERING,
  QUESTION_ANSWERING,
  FACT_CHECKING,
  CODE_RETRIEVAL
}

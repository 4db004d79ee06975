package dev.knapsack.langchain4j;

import dev.knapsack.error.KnapsackException;
import dev.knapsack.error.TemplateException;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.exception.LangChain4jException;
import dev.langchain4j.exception.ModelNotFoundException;
import dev.langchain4j.exception.NonRetriableException;
import dev.langchain4j.exception.RateLimitException;
import dev.langchain4j.exception.RetriableException;

/** Knapsack's exceptions as those that LangChain4j has for what would have to be different. */
final class Failures {
  private Failures() {}

  /** The exception of a request that was not answered; what is none of Knapsack's stays. */
  static RuntimeException answering(RuntimeException problem) {
    return switch (problem) {
      case LangChain4jException known -> known;
      case TemplateException refused -> new InvalidRequestException(refused);
      case KnapsackException e ->
          switch (e.kind()) {
            case REQUEST -> new InvalidRequestException(e);
            case BUSY -> new RateLimitException(e);
            // Others may have given back what was missing.
            case MEMORY -> new RetriableException(e);
            case FILE, DOWNLOAD, CLOSED, INTERRUPTED -> new NonRetriableException(e);
          };
      default -> problem;
    };
  }

  /** The exception of a model that could not be opened. */
  static RuntimeException opening(RuntimeException problem) {
    return switch (problem) {
      case KnapsackException e ->
          switch (e.kind()) {
            case FILE, DOWNLOAD -> new ModelNotFoundException(e);
            case REQUEST, MEMORY, BUSY, CLOSED, INTERRUPTED -> new NonRetriableException(e);
          };
      default -> problem;
    };
  }
}

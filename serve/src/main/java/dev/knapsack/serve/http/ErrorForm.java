package dev.knapsack.serve.http;

import com.google.gson.JsonObject;

/** The way in which an API says that something went wrong. */
public interface ErrorForm {
  /** The body of an answer that is a refusal, or of the event that ends a stream with one. */
  JsonObject body(Refusal refusal);

  /** The status of such an answer. */
  default int status(Refusal refusal) {
    return refusal.kind().status();
  }
}

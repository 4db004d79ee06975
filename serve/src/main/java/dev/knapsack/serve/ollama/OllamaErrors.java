package dev.knapsack.serve.ollama;

import com.google.gson.JsonObject;
import dev.knapsack.serve.http.ErrorForm;
import dev.knapsack.serve.http.Json;
import dev.knapsack.serve.http.Refusal;

/** Ollama's form of errors. */
public final class OllamaErrors implements ErrorForm {
  @Override
  public JsonObject body(Refusal refusal) {
    return Json.object("error", refusal.getMessage());
  }

  @Override
  public int status(Refusal refusal) {
    return refusal.kind() == Refusal.Kind.BUSY && !refusal.isRateLimit()
        ? Refusal.Kind.CLOSING.status() // both are: not now
        : refusal.kind().status();
  }
}

package dev.knapsack.serve.openai;

import com.google.gson.JsonObject;
import dev.knapsack.serve.ServedModel;
import dev.knapsack.serve.ServedModels;
import dev.knapsack.serve.http.Exchange;
import dev.knapsack.serve.http.Json;
import java.util.Optional;

/** {@code GET /v1/models}: the models that there are. */
public final class ModelList {
  private final ServedModels models;

  public ModelList(ServedModels models) {
    this.models = models;
  }

  /** All of them. */
  public void list(Exchange exchange) {
    exchange.json(
        200,
        Json.object(
            "object",
            "list",
            "data",
            Json.array(models.all().stream().map(ModelList::model).toList())));
  }

  /** The one that the path names. */
  public void one(Exchange exchange) {
    exchange.json(200, model(models.named(Optional.of(exchange.variable("id")))));
  }

  private static JsonObject model(ServedModel model) {
    return Json.object(
        "id", model.name(),
        "object", "model",
        "created", model.opened().getEpochSecond(),
        "owned_by", "knapsack",
        "context_length", model.knapsack().plan().context(),
        "vocabulary", model.knapsack().tokenizer().size());
  }
}

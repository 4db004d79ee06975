package dev.knapsack.serve.openai;

import com.google.gson.JsonObject;
import dev.knapsack.serve.Served;
import dev.knapsack.serve.ServedEmbedder;
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
    exchange.json(200, model(models.any(Optional.of(exchange.variable("id")))));
  }

  private static JsonObject model(Served model) {
    JsonObject listed =
        Json.object(
            "id", model.name(),
            "object", "model",
            "created", model.opened().getEpochSecond(),
            "owned_by", "knapsack",
            "type", model.kind().word(),
            "context_length", model.plan().context(),
            "vocabulary", model.tokenizer().size());
    if (model instanceof ServedEmbedder embedder) {
      listed.addProperty("dimensions", embedder.embedder().dimensions());
    }
    return listed;
  }
}

package dev.knapsack.serve.ollama;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonPrimitive;
import com.google.gson.stream.JsonWriter;
import dev.knapsack.Embedding;
import dev.knapsack.EmbeddingRequest;
import dev.knapsack.EmbeddingRequest.LongTexts;
import dev.knapsack.serve.EmbeddingFields;
import dev.knapsack.serve.ServedEmbedder;
import dev.knapsack.serve.ServedModels;
import dev.knapsack.serve.http.Exchange;
import dev.knapsack.serve.http.Fields;
import java.io.IOException;
import java.util.List;
import java.util.OptionalInt;

/** {@code POST /api/embed}, and {@code /api/embeddings} as it was before: vectors of texts. */
public final class Embeds {
  private final ServedModels models;

  public Embeds(ServedModels models) {
    this.models = models;
  }

  /** Vectors of length 1 of one text or several; of none, none. */
  public void embed(Exchange exchange) {
    Fields body = exchange.fields();
    ServedEmbedder model = models.embedder(ModelNames.named(models, body));
    JsonElement input = body.get("input");
    boolean empty =
        input == null
            || (input instanceof JsonArray list && list.isEmpty())
            || (input instanceof JsonPrimitive p && p.isString() && p.getAsString().isEmpty());
    List<Embedding> vectors =
        empty
            ? List.of()
            : model.embed(exchange, request(body, model, EmbeddingFields.input(body)));
    long nanoseconds = Math.round(exchange.receipt().seconds() * 1e9);
    exchange.json(
        200,
        out -> {
          out.beginObject().name("model").value(body.text("model").orElseGet(model::name));
          out.name("embeddings").beginArray();
          for (Embedding vector : vectors) {
            write(out, vector);
          }
          out.endArray().name("total_duration").value(nanoseconds).name("load_duration").value(0);
          out.name("prompt_eval_count").value(ServedEmbedder.tokens(vectors)).endObject();
        });
  }

  /** The vector of one text, with the length that the model gives it. */
  public void embedding(Exchange exchange) {
    Fields body = exchange.fields();
    ServedEmbedder model = models.embedder(ModelNames.named(models, body));
    String prompt = body.text("prompt", "");
    List<Embedding> vectors =
        prompt.isEmpty()
            ? List.of()
            : model.embed(
                exchange, request(body, model, EmbeddingRequest.of(prompt)).withNormalised(false));
    exchange.json(
        200,
        out -> {
          out.beginObject().name("embedding");
          if (vectors.isEmpty()) {
            out.beginArray().endArray();
          } else {
            write(out, vectors.getFirst());
          }
          out.endObject();
        });
  }

  /** Sizes beyond the model's are no error in this API. */
  private static EmbeddingRequest request(
      Fields body, ServedEmbedder model, EmbeddingRequest request) {
    EmbeddingRequest wished = EmbeddingFields.task(body, request);
    OptionalInt dimensions = body.integer("dimensions", 0, Integer.MAX_VALUE);
    int most = model.embedder().dimensions();
    if (dimensions.orElse(0) > 0 && dimensions.getAsInt() < most) {
      wished = wished.withDimensions(dimensions.getAsInt());
    }
    return body.flag("truncate", true) ? wished : wished.withLongTexts(LongTexts.REFUSE);
  }

  private static void write(JsonWriter out, Embedding vector) throws IOException {
    out.beginArray();
    for (float x : vector.vector()) {
      out.value(x);
    }
    out.endArray();
  }
}

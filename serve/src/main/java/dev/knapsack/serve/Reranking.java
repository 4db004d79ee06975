package dev.knapsack.serve;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.knapsack.Reranker;
import dev.knapsack.serve.http.Exchange;
import dev.knapsack.serve.http.Fields;
import dev.knapsack.serve.http.Json;
import java.util.ArrayList;
import java.util.List;

/**
 * {@code POST /v1/rerank}, {@code /v2/rerank} and {@code /rerank}: documents in the order in which
 * they answer a query, in the form that Cohere's and Jina's clients share.
 */
final class Reranking {
  private static final int DOCUMENTS = 2048;

  private final ServedModels models;

  Reranking(ServedModels models) {
    this.models = models;
  }

  /** Answers one request. */
  void handle(Exchange exchange) {
    Fields body = exchange.fields();
    ServedReranker model = models.reranker(body.text("model"));
    String query = body.needed("query");
    List<String> documents = documents(body);
    int most = body.integer("top_n", 1, Integer.MAX_VALUE).orElse(documents.size());
    boolean whole = body.flag("return_documents", false);
    boolean raw = body.flag("raw_scores", false);
    List<Reranker.Score> scores = model.rank(exchange, query, documents);
    List<JsonObject> results = new ArrayList<>();
    for (Reranker.Score score : scores.subList(0, Math.min(most, scores.size()))) {
      JsonObject result =
          Json.object(
              "index", score.index(), "relevance_score", raw ? score.score() : score.probability());
      if (whole) {
        result.add("document", Json.object("text", documents.get(score.index())));
      }
      results.add(result);
    }
    int tokens = ServedReranker.tokens(scores);
    exchange.json(
        200,
        Json.object(
            "id",
            Ids.next("rerank-"),
            "object",
            "list",
            "model",
            model.name(),
            "results",
            Json.array(results),
            "usage",
            Json.object("prompt_tokens", tokens, "total_tokens", tokens),
            "meta", // Cohere's clients count by it
            Json.object("billed_units", Json.object("search_units", 1))));
  }

  private static List<String> documents(Fields body) {
    List<String> documents = new ArrayList<>();
    for (JsonElement item :
        body.array("documents")
            .orElseThrow(() -> body.refusal("documents", "is missing; it must be a list"))) {
      if (item instanceof JsonPrimitive p && p.isString()) {
        documents.add(p.getAsString());
      } else if (item instanceof JsonObject object
          && object.get("text") instanceof JsonPrimitive p
          && p.isString()) {
        documents.add(p.getAsString());
      } else {
        throw body.refusal("documents", "must be strings, or objects whose 'text' is one");
      }
    }
    if (documents.isEmpty() || documents.size() > DOCUMENTS) {
      throw body.refusal(
          "documents",
          "has %,d documents; it can have 1 to %,d".formatted(documents.size(), DOCUMENTS));
    }
    return documents;
  }
}

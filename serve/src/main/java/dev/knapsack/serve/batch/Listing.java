package dev.knapsack.serve.batch;

import com.google.gson.JsonObject;
import dev.knapsack.serve.http.Exchange;
import dev.knapsack.serve.http.Json;
import dev.knapsack.serve.http.Refusal;
import java.util.List;

/** A page of a list, as {@code limit} and {@code after} in the query ask for it. */
final class Listing {
  private static final int USUAL = 20;
  private static final int MOST = 10_000;

  private Listing() {}

  static JsonObject of(Exchange exchange, List<JsonObject> all) {
    List<JsonObject> left =
        exchange
            .parameter("after")
            .map(id -> all.stream().dropWhile(d -> !id(d).equals(id)).skip(1).toList())
            .orElse(all);
    int limit = exchange.parameter("limit").map(Listing::limit).orElse(USUAL);
    List<JsonObject> page = left.stream().limit(limit).map(FileStore::shown).toList();
    return Json.object(
        "object",
        "list",
        "data",
        Json.array(page),
        "first_id",
        page.isEmpty() ? Json.nothing() : Json.text(id(page.getFirst())),
        "last_id",
        page.isEmpty() ? Json.nothing() : Json.text(id(page.getLast())),
        "has_more",
        left.size() > page.size());
  }

  private static String id(JsonObject described) {
    return described.get("id").getAsString();
  }

  private static int limit(String given) {
    if (given.matches("[0-9]{1,5}") && Integer.parseInt(given) >= 1) {
      return Math.min(MOST, Integer.parseInt(given));
    }
    throw Refusal.field("limit", "'limit' must be a number from 1 to %d.".formatted(MOST));
  }
}

package dev.knapsack.serve.local;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.knapsack.Generation;
import dev.knapsack.generation.Usage;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.os.Footprint;
import dev.knapsack.serve.Answering;
import dev.knapsack.serve.Served;
import dev.knapsack.serve.ServedEncoder;
import dev.knapsack.serve.ServedModel;
import dev.knapsack.serve.ServedModels;
import dev.knapsack.serve.http.Exchange;
import dev.knapsack.serve.http.Json;
import java.util.function.BooleanSupplier;

/** The state of the server: alive, ready, its plan, its sequences, its budget. */
public final class State {
  private final ServedModels models;
  private final BooleanSupplier closing;

  /**
   * @param closing whether no new requests are taken any more
   */
  public State(ServedModels models, BooleanSupplier closing) {
    this.models = models;
    this.closing = closing;
  }

  /** {@code GET /health}: 200 as long as the process answers. */
  public void health(Exchange exchange) {
    exchange.json(200, Json.object("status", "ok"));
  }

  /** {@code GET /ready}: 200 while requests are taken, else 503. */
  public void ready(Exchange exchange) {
    boolean ready = !closing.getAsBoolean();
    exchange.json(ready ? 200 : 503, Json.object("status", ready ? "ready" : "closing"));
  }

  /** {@code GET /plan}: the plan of a model, the first if none is named. */
  public void plan(Exchange exchange) {
    exchange.json(
        200, JsonParser.parseString(models.any(exchange.parameter("model")).plan().toJson()));
  }

  /**
   * {@code GET /slots}: the requests that are answered now, as far as they have come; what encoders
   * have read is known when they end, and 0 until then.
   */
  public void slots(Exchange exchange) {
    JsonArray slots = new JsonArray();
    for (ServedModel model : models.writers()) {
      for (Answering answering : model.active()) {
        for (Generation answer : answering.answers()) {
          Usage usage = answer.usage();
          slots.add(
              Json.object(
                  "id", slots.size(),
                  "model", model.name(),
                  "path", answering.exchange().path(),
                  "key", answering.exchange().receipt().tenant(),
                  "is_processing", answer.finishReason().isEmpty(),
                  "state",
                      usage.steps() == 0 ? "waiting" : usage.tokens() == 0 ? "prefill" : "decode",
                  "n_prompt_tokens", usage.promptTokens(),
                  "n_cached_tokens", usage.cachedTokens(),
                  "n_decoded", usage.tokens(),
                  "account", model.knapsack().engine().kv().name(),
                  "cache_bytes", answer.cacheBytes(),
                  "seconds", answering.exchange().receipt().seconds()));
        }
      }
    }
    for (ServedEncoder model : models.encoders()) {
      for (Exchange asked : model.active()) {
        slots.add(
            Json.object(
                "id",
                slots.size(),
                "model",
                model.name(),
                "path",
                asked.path(),
                "key",
                asked.receipt().tenant(),
                "is_processing",
                true,
                "state",
                "encode",
                "n_prompt_tokens",
                0,
                "n_cached_tokens",
                0,
                "n_decoded",
                0,
                "cache_bytes",
                0,
                "seconds",
                asked.receipt().seconds()));
      }
    }
    exchange.json(200, slots);
  }

  /** {@code GET /budget}: bytes by account, and the resident set as the kernel counts it. */
  public void budget(Exchange exchange) {
    Budget budget = models.budget();
    JsonArray accounts = new JsonArray();
    for (Account account : budget.accounts()) {
      accounts.add(
          Json.object(
              "account", account.name(),
              "own", account.own(),
              "used", account.used(),
              "peak", account.peak()));
    }
    JsonArray plans = new JsonArray();
    for (Served model : models.all()) {
      JsonObject predicted = new JsonObject();
      model.plan().shares().forEach(share -> predicted.addProperty(share.account(), share.bytes()));
      plans.add(Json.object("model", model.name(), "predicted", predicted));
    }
    exchange.json(
        200,
        Json.object(
            "bytes", budget.total(),
            "used", budget.used(),
            "peak", budget.peak(),
            "tokens", models.all().stream().mapToLong(Served::tokens).sum(),
            "resident", Footprint.now().map(Footprint::resident).orElse(0L),
            "accounts", accounts,
            "plans", plans));
  }
}

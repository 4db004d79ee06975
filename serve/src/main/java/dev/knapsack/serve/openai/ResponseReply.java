package dev.knapsack.serve.openai;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import dev.knapsack.Generation;
import dev.knapsack.generation.Event;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.generation.Sampling;
import dev.knapsack.generation.Usage;
import dev.knapsack.serve.Answering;
import dev.knapsack.serve.Costs;
import dev.knapsack.serve.Ids;
import dev.knapsack.serve.SamplingFields;
import dev.knapsack.serve.ServedModel;
import dev.knapsack.serve.http.EventStream;
import dev.knapsack.serve.http.Exchange;
import dev.knapsack.serve.http.Fields;
import dev.knapsack.serve.http.Json;
import dev.knapsack.serve.http.Refusal;
import java.time.Instant;
import java.util.function.Consumer;

/** One response, whole or as the events that it comes in; all have its one number. */
final class ResponseReply {
  private final String id = Ids.next("resp_");
  private final long created = Instant.now().getEpochSecond();
  private final ServedModel model;
  private final Fields body;
  private final boolean severalCalls;

  ResponseReply(ServedModel model, Fields body) {
    this.model = model;
    this.body = body;
    this.severalCalls = body.flag("parallel_tool_calls", true);
  }

  String id() {
    return id;
  }

  /** The response before anything has been written. */
  JsonObject begun() {
    return head("queued", new JsonArray());
  }

  /** The response that an error has ended. */
  JsonObject failed(JsonObject error) {
    return failed(new JsonArray(), error);
  }

  private JsonObject failed(JsonArray output, JsonObject error) {
    JsonObject response = head("failed", output);
    response.add("error", Json.object("code", error.get("code"), "message", error.get("message")));
    return response;
  }

  JsonObject whole(Generation.Result result) {
    ResponseOutput output = new ResponseOutput(severalCalls, (_, _) -> {});
    output.blocks().all(result.message());
    return ended(output, result.reason(), result.usage());
  }

  private JsonObject ended(ResponseOutput output, FinishReason reason, Usage usage) {
    boolean whole = reason == FinishReason.END_TOKEN || reason == FinishReason.STOP_STRING;
    boolean cancelled = reason == FinishReason.CANCELLED;
    output.end(whole ? "completed" : "incomplete");
    String status = whole ? "completed" : cancelled ? "cancelled" : "incomplete";
    JsonObject response = head(status, output.items());
    if (!whole && !cancelled) {
      response.add("incomplete_details", Json.object("reason", "max_output_tokens"));
    }
    int thought = model.knapsack().tokenizer().encode(output.reasoning(), false, false).length;
    response.add(
        "usage",
        Json.object(
            "input_tokens", usage.promptTokens(),
            "input_tokens_details", Json.object("cached_tokens", usage.cachedTokens()),
            "output_tokens", usage.tokens(),
            "output_tokens_details", Json.object("reasoning_tokens", thought),
            "total_tokens", usage.promptTokens() + usage.tokens(),
            "knapsack", Costs.of(model, usage)));
    return response;
  }

  /** The response with a status and the items that it has so far. */
  private JsonObject head(String status, JsonArray output) {
    Sampling sampling = SamplingFields.read(body);
    JsonObject response =
        Json.object(
            "id",
            id,
            "object",
            "response",
            "created_at",
            created,
            "status",
            status,
            "background",
            body.flag("background", false),
            "error",
            Json.nothing(),
            "incomplete_details",
            Json.nothing(),
            "model",
            model.name(),
            "output",
            output,
            "parallel_tool_calls",
            severalCalls,
            "store",
            body.flag("store", true),
            "temperature",
            sampling.temperature(),
            "top_p",
            sampling.topP(),
            "usage",
            Json.nothing());
    echo(response, "instructions", Json.nothing());
    echo(response, "max_output_tokens", Json.nothing());
    echo(response, "previous_response_id", Json.nothing());
    echo(response, "reasoning", Json.object("effort", Json.nothing(), "summary", Json.nothing()));
    echo(response, "text", Json.object("format", Json.object("type", "text")));
    echo(response, "tool_choice", Json.text("auto"));
    echo(response, "tools", new JsonArray());
    echo(response, "truncation", Json.text("disabled"));
    echo(response, "user", Json.nothing());
    echo(response, "metadata", new JsonObject());
    return response;
  }

  private void echo(JsonObject response, String name, JsonElement otherwise) {
    JsonElement given = body.get(name);
    response.add(name, given == null ? otherwise : given.deepCopy());
  }

  /**
   * Writes the response as its events.
   *
   * @param ended is told of the whole response before whoever reads the events is
   */
  void stream(
      Exchange exchange, Answering answering, OpenAiErrors errors, Consumer<JsonObject> ended) {
    try (EventStream stream = exchange.events()) {
      Told told = new Told(stream);
      told.response("response.created", head("in_progress", new JsonArray()));
      told.response("response.in_progress", head("in_progress", new JsonArray()));
      ResponseOutput output = new ResponseOutput(severalCalls, told::event);
      Usage[] usage = {Usage.NONE};
      answering.each((_, event) -> {
        output.blocks().next(event);
        switch (event) {
          case Usage all -> usage[0] = all;
          case Event.End(FinishReason reason) -> {
            if (reason != FinishReason.CANCELLED) {
              JsonObject response = ended(output, reason, usage[0]);
              ended.accept(response);
              told.response("response." + response.get("status").getAsString(), response);
            }
          }
          case Event.Failure(Throwable problem) ->
              failed(told, output, errors.body(Refusal.of(problem, 1)));
          default -> {} // it is part of what the output has
        }
      });
    }
  }

  /** Says it twice: clients take a response that failed for one that ended. */
  private void failed(Told told, ResponseOutput output, JsonObject body) {
    output.end("incomplete");
    JsonObject error = body.getAsJsonObject("error");
    told.response("response.failed", failed(output.items(), error));
    JsonObject event = error.deepCopy();
    event.add("error", error);
    told.event("error", event);
  }

  /** Events with their types and numbers. */
  private static final class Told {
    private final EventStream stream;
    private int number;

    Told(EventStream stream) {
      this.stream = stream;
    }

    void response(String type, JsonObject response) {
      event(type, Json.object("response", response));
    }

    void event(String type, JsonObject data) {
      data.addProperty("type", type);
      data.addProperty("sequence_number", number++);
      stream.event(type, data);
    }
  }
}

package dev.knapsack.serve.anthropic;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import dev.knapsack.Generation;
import dev.knapsack.generation.Event;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.generation.Usage;
import dev.knapsack.message.Part;
import dev.knapsack.serve.Blocks;
import dev.knapsack.serve.Costs;
import dev.knapsack.serve.Ids;
import dev.knapsack.serve.ServedModel;
import dev.knapsack.serve.ToolFields;
import dev.knapsack.serve.http.Json;
import dev.knapsack.serve.http.Refusal;
import java.util.Optional;
import java.util.function.BiConsumer;
import java.util.function.Supplier;

/** The message that is an answer, whole or as the events of a stream. */
final class Reply implements Blocks.Reader {
  /** Signs thoughts: clients keep those that are signed, and nobody here asks for more. */
  private static final String SIGNATURE = "knapsack";

  private final ServedModel model;
  private final Supplier<Optional<String>> stop;
  private final BiConsumer<String, JsonElement> events;
  private final Blocks blocks;
  private final JsonArray content = new JsonArray();
  private Usage usage = Usage.NONE;

  /**
   * @param oneCall leaves out what comes after a call
   * @param stop the stop string that has ended the answer
   * @param events takes the names of events and their data
   */
  Reply(
      ServedModel model,
      boolean oneCall,
      Supplier<Optional<String>> stop,
      BiConsumer<String, JsonElement> events) {
    this.model = model;
    this.blocks = new Blocks(!oneCall, this);
    this.stop = stop;
    this.events = events;
  }

  /** The whole message. */
  JsonObject whole(Generation.Result result) {
    blocks.all(result.message());
    blocks.finish();
    JsonObject message = message(result.usage());
    end(result.reason()).asMap().forEach(message::add);
    return message;
  }

  /** Begins a stream, before anything is computed. */
  void begin(Usage soFar) {
    event("message_start", "message", message(soFar));
  }

  /** Takes the next event of the answer. */
  void next(Event event) {
    blocks.next(event);
    switch (event) {
      case Usage all -> usage = all;
      case Event.End(FinishReason reason) -> {
        if (reason != FinishReason.CANCELLED) {
          blocks.finish();
          event("message_delta", "delta", end(reason), "usage", usage(usage));
          event("message_stop");
        }
      }
      case Event.Failure(Throwable problem) ->
          events.accept("error", new AnthropicErrors().body(Refusal.of(problem, 1)));
      default -> {} // it is part of what the blocks have
    }
  }

  @Override
  public void begins(int index, Part empty) {
    event("content_block_start", "index", index, "content_block", block(empty));
  }

  @Override
  public void piece(int index, Part open, String piece) {
    delta(
        index,
        switch (open) {
          case Part.Reasoning _ -> Json.object("type", "thinking_delta", "thinking", piece);
          case Part.ToolCall _ -> Json.object("type", "input_json_delta", "partial_json", piece);
          default -> Json.object("type", "text_delta", "text", piece);
        });
  }

  @Override
  public void ends(int index, Part whole) {
    content.add(block(whole));
    if (whole instanceof Part.Reasoning) {
      delta(index, Json.object("type", "signature_delta", "signature", SIGNATURE));
    }
    event("content_block_stop", "index", index);
  }

  private static JsonObject block(Part part) {
    return switch (part) {
      case Part.Text(String text) -> Json.object("type", "text", "text", text);
      case Part.Reasoning(String text) ->
          Json.object(
              "type", "thinking", "thinking", text, "signature", text.isEmpty() ? "" : SIGNATURE);
      case Part.ToolCall call ->
          Json.object(
              "type", "tool_use",
              "id", call.id(),
              "name", call.name(),
              "input", ToolFields.arguments(call));
      case Part.ToolResult _, Part.Media _ ->
          throw new IllegalStateException("no model's: " + part);
    };
  }

  private void delta(int index, JsonObject delta) {
    event("content_block_delta", "index", index, "delta", delta);
  }

  private void event(String name, Object... fields) {
    JsonObject data = Json.object("type", name);
    Json.object(fields).asMap().forEach(data::add);
    events.accept(name, data);
  }

  /** The message with the blocks so far. */
  private JsonObject message(Usage soFar) {
    return Json.object(
        "id", Ids.next("msg_"),
        "type", "message",
        "role", "assistant",
        "model", model.name(),
        "content", content.deepCopy(),
        "stop_reason", Json.nothing(),
        "stop_sequence", Json.nothing(),
        "usage", usage(soFar));
  }

  private JsonObject end(FinishReason reason) {
    return Json.object(
        "stop_reason",
        switch (reason) {
          case END_TOKEN -> blocks.called() ? "tool_use" : "end_turn";
          case STOP_STRING -> "stop_sequence";
          case MAX_TOKENS, DEADLINE -> "max_tokens";
          case CONTEXT_FULL -> "model_context_window_exceeded";
          case CANCELLED, FAILED -> throw new IllegalStateException("no answer: " + reason);
        },
        "stop_sequence",
        stop.get().map(Json::text).orElseGet(Json::nothing));
  }

  /** Tokens that were found in the cache are not among those of the input. */
  private JsonObject usage(Usage used) {
    JsonObject usage =
        Json.object(
            "input_tokens",
            used.promptTokens() - used.cachedTokens(),
            "cache_creation_input_tokens",
            0,
            "cache_read_input_tokens",
            used.cachedTokens(),
            "output_tokens",
            used.tokens());
    if (used.steps() > 0) {
      usage.add("knapsack", Costs.of(model, used));
    }
    return usage;
  }
}

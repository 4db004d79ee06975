package dev.knapsack.serve.openai;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.knapsack.message.Part;
import dev.knapsack.serve.Ids;
import dev.knapsack.serve.http.Json;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/**
 * The output items of a response while an answer becomes them, and the events that tell of each: an
 * item is added, its part is, the part grows, and both are done. An answer that is read as a whole
 * makes the same items.
 */
final class ResponseOutput {
  /** The item that is being written: a message, or reasoning. */
  private final class Open {
    private final boolean reasoning;
    private final String id;
    private final int index = items.size();
    private final StringBuilder text = new StringBuilder();

    Open(boolean reasoning) {
      this.reasoning = reasoning;
      this.id = Ids.next(reasoning ? "rs_" : "msg_");
    }

    private String type() {
      return reasoning ? "reasoning_text" : "output_text";
    }

    JsonObject part() {
      JsonObject part = Json.object("type", type(), "text", text.toString());
      if (!reasoning) {
        part.add("annotations", new JsonArray());
        part.add("logprobs", new JsonArray());
      }
      return part;
    }

    JsonObject item(String status, JsonArray content) {
      return reasoning
          ? Json.object(
              "id", id,
              "type", "reasoning",
              "status", status,
              "summary", new JsonArray(),
              "content", content)
          : Json.object(
              "id", id,
              "type", "message",
              "status", status,
              "role", "assistant",
              "content", content);
    }

    /** An event about the item's only part. */
    void tell(String what, Object... more) {
      JsonObject event = Json.object("item_id", id, "output_index", index, "content_index", 0);
      Json.object(more).entrySet().forEach(e -> event.add(e.getKey(), e.getValue()));
      events.accept(what, event);
    }
  }

  private final BiConsumer<String, JsonObject> events;
  private final boolean severalCalls;
  private final JsonArray items = new JsonArray();
  private @Nullable Open open;
  private int calls;
  private final StringBuilder thought = new StringBuilder();

  /**
   * @param severalCalls false to end the output with the first call
   * @param events takes the type of each event and its data
   */
  ResponseOutput(boolean severalCalls, BiConsumer<String, JsonObject> events) {
    this.severalCalls = severalCalls;
    this.events = events;
  }

  /** Adds a part of an answer, or the next piece of its last. */
  void add(Part part) {
    if (calls > 0 && !severalCalls) {
      return;
    }
    switch (part) {
      case Part.Text(String text) -> grow(false, text);
      case Part.Reasoning(String text) -> {
        thought.append(text);
        grow(true, text);
      }
      case Part.ToolCall call -> call(call);
      case Part.ToolResult _, Part.Media _ ->
          throw new IllegalArgumentException("no model's: " + part);
    }
  }

  private void grow(boolean reasoning, String piece) {
    if (piece.isEmpty()) {
      return;
    }
    Open item = open;
    if (item == null || item.reasoning != reasoning) {
      end("completed");
      item = new Open(reasoning);
      open = item;
      events.accept(
          "response.output_item.added",
          Json.object(
              "output_index", item.index, "item", item.item("in_progress", new JsonArray())));
      item.tell("response.content_part.added", "part", item.part());
    }
    item.text.append(piece);
    if (reasoning) {
      item.tell("response.reasoning_text.delta", "delta", piece);
    } else {
      item.tell("response.output_text.delta", "delta", piece, "logprobs", new JsonArray());
    }
  }

  private void call(Part.ToolCall call) {
    end("completed");
    calls++;
    int index = items.size();
    JsonObject item =
        Json.object(
            "id",
            Ids.next("fc_"),
            "type",
            "function_call",
            "status",
            "in_progress",
            "call_id",
            call.id(),
            "name",
            call.name(),
            "arguments",
            "");
    events.accept(
        "response.output_item.added", Json.object("output_index", index, "item", item.deepCopy()));
    events.accept(
        "response.function_call_arguments.delta",
        Json.object("item_id", item.get("id"), "output_index", index, "delta", call.arguments()));
    events.accept(
        "response.function_call_arguments.done",
        Json.object(
            "item_id", item.get("id"),
            "output_index", index,
            "name", call.name(),
            "arguments", call.arguments()));
    item.addProperty("arguments", call.arguments());
    item.addProperty("status", "completed");
    done(index, item);
  }

  /** Ends the last item, which has this status then. */
  void end(String status) {
    Open item = open;
    if (item == null) {
      return;
    }
    open = null;
    if (item.reasoning) {
      item.tell("response.reasoning_text.done", "text", item.text.toString());
    } else {
      item.tell(
          "response.output_text.done", "text", item.text.toString(), "logprobs", new JsonArray());
    }
    item.tell("response.content_part.done", "part", item.part());
    done(item.index, item.item(status, Json.array(item.part())));
  }

  private void done(int index, JsonObject item) {
    items.add(item);
    events.accept(
        "response.output_item.done", Json.object("output_index", index, "item", item.deepCopy()));
  }

  /** The items that are done. */
  JsonArray items() {
    return items.deepCopy();
  }

  /** All reasoning so far. */
  String reasoning() {
    return thought.toString();
  }
}

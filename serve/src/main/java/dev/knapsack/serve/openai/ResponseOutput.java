package dev.knapsack.serve.openai;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.knapsack.message.Part;
import dev.knapsack.serve.Blocks;
import dev.knapsack.serve.Ids;
import dev.knapsack.serve.ToolFields;
import dev.knapsack.serve.http.Json;
import java.util.function.BiConsumer;

/**
 * The output items of a response while an answer becomes them, and the events that tell of each: an
 * item is added, its part is, the part grows, and both are done. An answer that is read as a whole
 * makes the same items.
 */
final class ResponseOutput implements Blocks.Reader {
  private final BiConsumer<String, JsonObject> events;
  private final Blocks blocks;
  private final JsonArray items = new JsonArray();
  private final StringBuilder thought = new StringBuilder();

  /** Of the item that is being written. */
  private String id = "";

  private String status = "completed";

  /**
   * @param severalCalls false to end the output with the first call
   * @param events takes the type of each event and its data
   */
  ResponseOutput(boolean severalCalls, BiConsumer<String, JsonObject> events) {
    this.blocks = new Blocks(severalCalls, this);
    this.events = events;
  }

  /** Takes the answer, event by event or as a whole. */
  Blocks blocks() {
    return blocks;
  }

  @Override
  public void begins(int index, Part empty) {
    id =
        Ids.next(
            switch (empty) {
              case Part.Reasoning _ -> "rs_";
              case Part.ToolCall _ -> "fc_";
              default -> "msg_";
            });
    events.accept(
        "response.output_item.added",
        Json.object("output_index", index, "item", item(empty, "in_progress", new JsonArray())));
    if (!(empty instanceof Part.ToolCall)) {
      tell("content_part.added", index, "content_index", 0, "part", content(empty));
    }
  }

  @Override
  public void piece(int index, Part open, String piece) {
    switch (open) {
      case Part.Reasoning _ -> {
        thought.append(piece);
        tell("reasoning_text.delta", index, "content_index", 0, "delta", piece);
      }
      case Part.ToolCall _ -> tell("function_call_arguments.delta", index, "delta", piece);
      default ->
          tell(
              "output_text.delta",
              index,
              "content_index",
              0,
              "delta",
              piece,
              "logprobs",
              new JsonArray());
    }
  }

  @Override
  public void ends(int index, Part whole) {
    JsonObject item;
    if (whole instanceof Part.ToolCall(String _, String name, String arguments)) {
      tell("function_call_arguments.done", index, "name", name, "arguments", arguments);
      boolean complete = ToolFields.object(arguments).isPresent();
      item = item(whole, complete ? "completed" : "incomplete", new JsonArray());
    } else {
      JsonObject content = content(whole);
      if (whole instanceof Part.Reasoning(String text)) {
        tell("reasoning_text.done", index, "content_index", 0, "text", text);
      } else {
        tell(
            "output_text.done",
            index,
            "content_index",
            0,
            "text",
            content.get("text"),
            "logprobs",
            new JsonArray());
      }
      tell("content_part.done", index, "content_index", 0, "part", content);
      item = item(whole, status, Json.array(content.deepCopy()));
    }
    items.add(item);
    events.accept(
        "response.output_item.done", Json.object("output_index", index, "item", item.deepCopy()));
  }

  /** An event about the item that is being written. */
  private void tell(String what, int index, Object... more) {
    JsonObject event = Json.object("item_id", id, "output_index", index);
    Json.object(more).entrySet().forEach(e -> event.add(e.getKey(), e.getValue()));
    events.accept("response." + what, event);
  }

  private static JsonObject content(Part part) {
    if (part instanceof Part.Reasoning(String text)) {
      return Json.object("type", "reasoning_text", "text", text);
    }
    String text = part instanceof Part.Text(String said) ? said : "";
    return Json.object(
        "type",
        "output_text",
        "text",
        text,
        "annotations",
        new JsonArray(),
        "logprobs",
        new JsonArray());
  }

  private JsonObject item(Part part, String state, JsonArray content) {
    return switch (part) {
      case Part.Reasoning _ ->
          Json.object(
              "id", id,
              "type", "reasoning",
              "status", state,
              "summary", new JsonArray(),
              "content", content);
      case Part.ToolCall call ->
          Json.object(
              "id",
              id,
              "type",
              "function_call",
              "status",
              state,
              "call_id",
              call.id(),
              "name",
              call.name(),
              "arguments",
              call.arguments());
      default ->
          Json.object(
              "id", id,
              "type", "message",
              "status", state,
              "role", "assistant",
              "content", content);
    };
  }

  /** Ends the last item, which has this status then. */
  void end(String itsStatus) {
    status = itsStatus;
    blocks.finish();
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

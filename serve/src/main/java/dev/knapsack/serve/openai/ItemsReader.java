package dev.knapsack.serve.openai;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonPrimitive;
import dev.knapsack.message.Message;
import dev.knapsack.message.Part;
import dev.knapsack.message.Role;
import dev.knapsack.serve.ToolFields;
import dev.knapsack.serve.http.Fields;
import dev.knapsack.serve.http.Json;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * Reads items of the Responses API as messages. What a model has said is several items there, its
 * reasoning, its text and its calls, and one message here.
 */
final class ItemsReader {
  private static final Set<String> ROLES = Set.of("system", "developer", "user", "assistant");

  private final List<Message> messages = new ArrayList<>();
  private final List<Part> said = new ArrayList<>();

  /** The input of a body as a list of items: a text is what the user says. */
  static JsonArray items(Fields body) {
    JsonElement input = body.get("input");
    if (input instanceof JsonArray items && !items.isEmpty()) {
      return items;
    }
    if (input instanceof JsonPrimitive p && p.isString()) {
      return Json.array(Json.object("type", "message", "role", "user", "content", p));
    }
    throw body.refusal("input", "must be a string, or a list of one item or more");
  }

  /**
   * The messages that items are.
   *
   * @throws dev.knapsack.serve.http.Refusal if one is of a type that has no text
   */
  static List<Message> messages(JsonArray items) {
    ItemsReader reader = new ItemsReader();
    Fields.of(Json.object("input", items)).objects("input").forEach(reader::add);
    reader.endSaid();
    return reader.messages;
  }

  private void add(Fields item) {
    switch (item.text("type", "message")) {
      case "message" -> message(item);
      case "reasoning" -> said.add(new Part.Reasoning(reasoning(item)));
      case "function_call" -> said.add(ToolFields.call(item.needed("call_id"), item, "arguments"));
      case "function_call_output" -> {
        endSaid();
        messages.add(
            new Message(
                Role.TOOL,
                List.of(
                    new Part.ToolResult(
                        item.needed("call_id"), MessagesReader.text(item, "output")))));
      }
      case String other ->
          throw item.refusal(
              "type",
              "is '%s'; items here are message, function_call, function_call_output and reasoning"
                  .formatted(other));
    }
  }

  private void message(Fields item) {
    String role = item.oneOf("role", item.needed("role"), ROLES);
    List<Part> parts = MessagesReader.content(item, "content");
    if (role.equals("assistant")) {
      said.addAll(parts);
    } else {
      endSaid();
      messages.add(new Message(Role.of(role), parts));
    }
  }

  private void endSaid() {
    if (!said.isEmpty()) {
      messages.add(new Message(Role.ASSISTANT, said));
      said.clear();
    }
  }

  /** The reasoning itself, where the item has it, else its summary. */
  private static String reasoning(Fields item) {
    StringBuilder text = new StringBuilder();
    List<Fields> content = item.objects("content");
    for (Fields part : content.isEmpty() ? item.objects("summary") : content) {
      text.append(part.text("text", ""));
    }
    return text.toString();
  }
}

package dev.knapsack.text;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.knapsack.error.UnsupportedMediaException;
import dev.knapsack.message.Message;
import dev.knapsack.message.Part;
import dev.knapsack.message.Role;
import dev.knapsack.message.Tool;
import dev.knapsack.text.answer.StrictJson;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Messages and tools as the variables that templates read: those of the OpenAI API. */
final class Given {
  private Given() {}

  /** A message as templates have it: each result of a call is a message of its own. */
  static List<TemplateMessage> messages(Message message) {
    if (message.role() == Role.TOOL) {
      return message.parts().stream().map(Given::result).toList();
    }
    StringBuilder content = new StringBuilder();
    StringBuilder reasoning = new StringBuilder();
    List<Map<String, Object>> calls = new ArrayList<>();
    for (Part part : message.parts()) {
      switch (part) {
        case Part.Text(String text) -> content.append(text);
        case Part.Reasoning(String text) -> reasoning.append(text);
        case Part.ToolCall call -> calls.add(call(call));
        case Part.ToolResult _ ->
            throw new IllegalArgumentException(
                "A message of the role %s has the result of a tool; give it a message of the role tool."
                    .formatted(message.role().word()));
        case Part.Media media -> throw new UnsupportedMediaException(media.type());
      }
    }
    Map<String, Object> more = new LinkedHashMap<>();
    if (!calls.isEmpty()) {
      more.put(ToolCalls.CALLS, calls);
    }
    if (!reasoning.isEmpty()) {
      more.put("reasoning_content", reasoning.toString());
      // gpt-oss reads this one, and refuses it where text stands beside a call.
      if (calls.isEmpty() || content.isEmpty()) {
        more.put("thinking", reasoning.toString());
      }
    }
    return List.of(new TemplateMessage(message.role().word(), content.toString(), more));
  }

  private static TemplateMessage result(Part part) {
    return switch (part) {
      case Part.ToolResult(String id, String text) ->
          new TemplateMessage(
              "tool", text, id.isEmpty() ? Map.of() : Map.of(ToolCalls.RESULT_OF, id));
      case Part.Text(String text) -> new TemplateMessage("tool", text, Map.of());
      case Part.Media media -> throw new UnsupportedMediaException(media.type());
      case Part.Reasoning _, Part.ToolCall _ ->
          throw new IllegalArgumentException(
              "A message of the role tool has more than results; what a model says has the role"
                  + " assistant.");
    };
  }

  private static Map<String, Object> call(Part.ToolCall call) {
    Map<String, Object> function = new LinkedHashMap<>();
    function.put("name", call.name());
    function.put("arguments", call.arguments());
    Map<String, Object> given = new LinkedHashMap<>();
    if (!call.id().isEmpty()) {
      given.put("id", call.id());
    }
    given.put("type", "function");
    given.put("function", function);
    return given;
  }

  static Map<String, Object> tool(Tool tool) {
    Map<String, Object> function = new LinkedHashMap<>();
    function.put("name", tool.name());
    function.put("description", tool.description());
    function.put(
        "parameters",
        object(tool.parameters())
            .orElseThrow(() ->
                new IllegalArgumentException(
                    "The parameters of the tool '%s' are no JSON object; give their JSON Schema."
                        .formatted(tool.name()))));
    Map<String, Object> given = new LinkedHashMap<>();
    given.put("type", "function");
    given.put("function", function);
    return given;
  }

  /** A JSON object as a map; empty where a text is none. */
  static Optional<Map<String, @Nullable Object>> object(String text) {
    return StrictJson.parse(text)
        .flatMap(value ->
            value instanceof JsonObject object ? Optional.of(map(object)) : Optional.empty());
  }

  private static Map<String, @Nullable Object> map(JsonObject object) {
    Map<String, @Nullable Object> map = new LinkedHashMap<>();
    object.asMap().forEach((name, member) -> map.put(name, value(member)));
    return map;
  }

  private static @Nullable Object value(JsonElement element) {
    return switch (element) {
      case JsonObject object -> map(object);
      case JsonArray array -> {
        List<@Nullable Object> list = new ArrayList<>();
        array.forEach(member -> list.add(value(member)));
        yield list;
      }
      case JsonPrimitive p when p.isString() -> p.getAsString();
      case JsonPrimitive p when p.isBoolean() -> p.getAsBoolean();
      case JsonPrimitive p -> p.getAsNumber();
      default -> null;
    };
  }
}

package dev.knapsack.text.answer;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.knapsack.message.Tool;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** The kinds of values that tools take, where a family writes values without saying their kind. */
final class Schemas {
  /** Constants as templates in Jinja write them. */
  private static final Map<String, String> PYTHON =
      Map.of("True", "true", "False", "false", "None", "null");

  private final Map<String, JsonObject> properties = new HashMap<>();

  Schemas(List<Tool> tools) {
    for (Tool tool : tools) {
      properties.put(
          tool.name(),
          StrictJson.parse(tool.parameters())
              .map(schema -> schema instanceof JsonObject o ? o.get("properties") : null)
              .filter(JsonObject.class::isInstance)
              .map(JsonObject.class::cast)
              .orElseGet(JsonObject::new));
    }
  }

  boolean has(String tool) {
    return properties.containsKey(tool);
  }

  /** The value of an argument that is written without quotes: a text, unless it cannot be one. */
  JsonElement value(String tool, String argument, String written) {
    Set<String> types = types(tool, argument);
    JsonPrimitive text = new JsonPrimitive(written);
    if (types.equals(Set.of("string"))) {
      return text;
    }
    Optional<JsonElement> parsed =
        StrictJson.parse(PYTHON.getOrDefault(written.strip(), written))
            .filter(value -> !(value instanceof JsonPrimitive p && p.isString()));
    return parsed.filter(value -> !types.contains("string") || isOf(types, value)).orElse(text);
  }

  /** The types that a schema names; none if it leaves them open. */
  private Set<String> types(String tool, String argument) {
    Set<String> types = new HashSet<>();
    JsonObject of = properties.get(tool);
    if (of != null && of.get(argument) instanceof JsonObject schema) {
      JsonElement type = schema.get("type");
      for (JsonElement one :
          type instanceof JsonArray all
              ? all
              : type == null ? List.<JsonElement>of() : List.of(type)) {
        if (one.isJsonPrimitive()) {
          types.add(one.getAsString());
        }
      }
    }
    return types;
  }

  private static boolean isOf(Set<String> types, JsonElement value) {
    return switch (value) {
      case JsonObject _ -> types.contains("object");
      case JsonArray _ -> types.contains("array");
      case JsonPrimitive p when p.isBoolean() -> types.contains("boolean");
      case JsonPrimitive p ->
          types.contains("number")
              || (types.contains("integer") && p.getAsString().matches("-?\\d+"));
      default -> types.contains("null");
    };
  }
}

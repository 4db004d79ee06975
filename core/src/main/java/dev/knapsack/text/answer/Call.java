package dev.knapsack.text.answer;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A call as a model wrote it.
 *
 * @param id null where the family writes none
 */
record Call(@Nullable String id, String name, JsonObject arguments) {
  private static final List<String> NAMES = List.of("name", "tool_name");

  /** Keys of arguments. */
  static final List<String> ARGUMENTS = List.of("arguments", "parameters");

  /** The key of an object that has name and arguments, where a call's own does not. */
  static final String FUNCTION = "function";

  /** The calls that a JSON value is: one, or a list; empty if it is anything else. */
  static Optional<List<Call>> of(JsonElement value) {
    List<Call> calls = new ArrayList<>();
    for (JsonElement one : value instanceof JsonArray list ? list : List.of(value)) {
      Optional<Call> call = one instanceof JsonObject object ? of(object) : Optional.empty();
      if (call.isEmpty()) {
        return Optional.empty();
      }
      calls.add(call.get());
    }
    return calls.isEmpty() ? Optional.empty() : Optional.of(calls);
  }

  private static Optional<Call> of(JsonObject object) {
    JsonObject inner = object.get(FUNCTION) instanceof JsonObject function ? function : object;
    Optional<String> name = NAMES.stream().flatMap(key -> text(inner, key).stream()).findFirst();
    Optional<JsonObject> arguments =
        ARGUMENTS.stream()
            .filter(inner::has)
            .findFirst()
            .map(key -> arguments(inner.get(key)))
            .orElseGet(() -> Optional.of(new JsonObject()));
    return name.isEmpty() || arguments.isEmpty()
        ? Optional.empty()
        : Optional.of(new Call(text(object, "id").orElse(null), name.get(), arguments.get()));
  }

  /** Arguments as an object, which some models write as a text of JSON, or as null. */
  private static Optional<JsonObject> arguments(JsonElement given) {
    if (given.isJsonNull()) {
      return Optional.of(new JsonObject());
    }
    JsonElement value =
        given.isJsonPrimitive() ? StrictJson.parse(given.getAsString()).orElse(given) : given;
    return value instanceof JsonObject object ? Optional.of(object) : Optional.empty();
  }

  private static Optional<String> text(JsonObject object, String key) {
    JsonElement value = object.get(key);
    return value instanceof JsonPrimitive p && p.isString() && !p.getAsString().isBlank()
        ? Optional.of(p.getAsString())
        : Optional.empty();
  }

  /** Says whether a text can be the name of a tool. */
  static boolean isName(String text) {
    return text.matches("[\\w.:/-]+");
  }
}

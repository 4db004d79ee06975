package dev.knapsack.serve.http;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.util.List;

/** JSON values, written briefly. */
public final class Json {
  private Json() {}

  /**
   * An object of names and values in turn; a value is JSON, a text, a number, a boolean or null.
   */
  public static JsonObject object(Object... namesAndValues) {
    JsonObject object = new JsonObject();
    for (int i = 0; i < namesAndValues.length; i += 2) {
      object.add((String) namesAndValues[i], value(namesAndValues[i + 1]));
    }
    return object;
  }

  private static JsonElement value(Object value) {
    return switch (value) {
      case JsonElement json -> json;
      case String text -> new JsonPrimitive(text);
      case Number number -> new JsonPrimitive(number);
      case Boolean flag -> new JsonPrimitive(flag);
      default -> throw new IllegalArgumentException("no JSON: " + value);
    };
  }

  public static JsonElement text(String value) {
    return new JsonPrimitive(value);
  }

  public static JsonElement nothing() {
    return JsonNull.INSTANCE;
  }

  public static JsonArray array(List<? extends JsonElement> items) {
    JsonArray array = new JsonArray();
    items.forEach(array::add);
    return array;
  }

  public static JsonArray array(JsonElement... items) {
    return array(List.of(items));
  }
}

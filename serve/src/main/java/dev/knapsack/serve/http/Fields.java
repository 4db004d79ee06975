package dev.knapsack.serve.http;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The fields of a JSON object in a request, read with their types. A field that is null is as one
 * that is not there; what a reading does not ask for is ignored. All methods throw a {@link
 * Refusal} that names the field when its value is of another type or out of range.
 */
public final class Fields {
  private final JsonObject object;
  private final String path;

  private Fields(JsonObject object, String path) {
    this.object = object;
    this.path = path;
  }

  /** The fields of a whole body. */
  public static Fields of(JsonObject object) {
    return new Fields(object, "");
  }

  /** The object itself. */
  public JsonObject json() {
    return object;
  }

  /** The place of a field in the body, such as {@code messages[2].role}. */
  public String place(String name) {
    return path.isEmpty() ? name : path + "." + name;
  }

  /** The value of a field; null if it is not there. */
  public @Nullable JsonElement get(String name) {
    JsonElement value = object.get(name);
    return value == null || value.isJsonNull() ? null : value;
  }

  public boolean has(String name) {
    return get(name) != null;
  }

  /** The refusal of a field's value. */
  public Refusal refusal(String name, String works) {
    return Refusal.field(place(name), "'%s' %s.".formatted(place(name), works));
  }

  private Refusal typed(String name, String type) {
    return refusal(name, "must be " + type);
  }

  public Optional<String> text(String name) {
    JsonElement value = get(name);
    if (value == null) {
      return Optional.empty();
    }
    if (value instanceof JsonPrimitive p && p.isString()) {
      return Optional.of(p.getAsString());
    }
    throw typed(name, "a string");
  }

  public String text(String name, String otherwise) {
    return text(name).orElse(otherwise);
  }

  /** A text that must be there. */
  public String needed(String name) {
    return text(name).orElseThrow(() -> refusal(name, "is missing; it must be a string"));
  }

  /** A text that is one of these. */
  public String oneOf(String name, String otherwise, Set<String> words) {
    String value = text(name, otherwise);
    if (!words.contains(value)) {
      throw refusal(
          name, "is '%s'; it can be %s".formatted(shown(value), String.join(", ", words)));
    }
    return value;
  }

  private static String shown(String value) {
    return value.length() <= 60 ? value : value.substring(0, 60) + "…";
  }

  public boolean flag(String name, boolean otherwise) {
    JsonElement value = get(name);
    if (value == null) {
      return otherwise;
    }
    if (value instanceof JsonPrimitive p && p.isBoolean()) {
      return p.getAsBoolean();
    }
    throw typed(name, "true or false");
  }

  public OptionalDouble number(String name, double least, double most) {
    JsonElement value = get(name);
    if (value == null) {
      return OptionalDouble.empty();
    }
    if (value instanceof JsonPrimitive p && p.isNumber()) {
      double number = p.getAsDouble();
      if (number >= least && number <= most) {
        return OptionalDouble.of(number);
      }
    }
    throw typed(name, "a number from %s to %s".formatted(written(least), written(most)));
  }

  private static String written(double number) {
    return number == Math.rint(number) ? "%d".formatted((long) number) : String.valueOf(number);
  }

  public OptionalLong wide(String name, long least, long most) {
    JsonElement value = get(name);
    if (value == null) {
      return OptionalLong.empty();
    }
    if (value instanceof JsonPrimitive p && p.isNumber()) {
      double number = p.getAsDouble();
      long whole = p.getAsLong();
      if (number == Math.rint(number) && whole >= least && whole <= most) {
        return OptionalLong.of(whole);
      }
    }
    throw typed(name, "a whole number from %d to %d".formatted(least, most));
  }

  public OptionalInt integer(String name, int least, int most) {
    OptionalLong value = wide(name, least, most);
    return value.isPresent() ? OptionalInt.of((int) value.getAsLong()) : OptionalInt.empty();
  }

  public Optional<Fields> object(String name) {
    JsonElement value = get(name);
    if (value == null) {
      return Optional.empty();
    }
    if (value instanceof JsonObject inner) {
      return Optional.of(new Fields(inner, place(name)));
    }
    throw typed(name, "an object");
  }

  public Optional<JsonArray> array(String name) {
    JsonElement value = get(name);
    if (value == null) {
      return Optional.empty();
    }
    if (value instanceof JsonArray list) {
      return Optional.of(list);
    }
    throw typed(name, "a list");
  }

  /** Objects in a list; an empty list if the field is not there. */
  public List<Fields> objects(String name) {
    List<Fields> objects = new ArrayList<>();
    for (JsonElement item : array(name).orElseGet(JsonArray::new)) {
      String place = "%s[%d]".formatted(place(name), objects.size());
      if (!(item instanceof JsonObject inner)) {
        throw Refusal.field(place, "'%s' must be an object.".formatted(place));
      }
      objects.add(new Fields(inner, place));
    }
    return objects;
  }

  /**
   * The members of an object as values: texts, {@code Long}s and {@code Double}s, booleans, lists
   * and maps; none if the field is not there.
   */
  public Map<String, Object> values(String name) {
    Map<String, Object> values = new LinkedHashMap<>();
    object(name)
        .ifPresent(inner ->
            inner
                .json()
                .entrySet()
                .forEach(e -> {
                  Object value = value(e.getValue());
                  if (value != null) {
                    values.put(e.getKey(), value);
                  }
                }));
    return values;
  }

  private static @Nullable Object value(JsonElement json) {
    return switch (json) {
      case JsonObject object -> {
        Map<String, @Nullable Object> map = new LinkedHashMap<>();
        object.entrySet().forEach(e -> map.put(e.getKey(), value(e.getValue())));
        yield map;
      }
      case JsonArray array -> {
        List<@Nullable Object> list = new ArrayList<>();
        array.forEach(item -> list.add(value(item)));
        yield list;
      }
      case JsonPrimitive p when p.isBoolean() -> p.getAsBoolean();
      case JsonPrimitive p when p.isNumber() -> {
        double number = p.getAsDouble();
        yield number == Math.rint(number) && Math.abs(number) < 1e15
            ? (Object) (long) number
            : (Object) number;
      }
      case JsonPrimitive p -> p.getAsString();
      default -> null;
    };
  }

  /** A text, or several in a list; an empty list if the field is not there. */
  public List<String> texts(String name) {
    JsonElement value = get(name);
    if (value == null) {
      return List.of();
    }
    if (!(value instanceof JsonArray list)) {
      return List.of(needed(name));
    }
    List<String> texts = new ArrayList<>();
    for (JsonElement item : list) {
      if (!(item instanceof JsonPrimitive p) || !p.isString()) {
        throw typed(name, "a string or a list of strings");
      }
      texts.add(p.getAsString());
    }
    return texts;
  }
}

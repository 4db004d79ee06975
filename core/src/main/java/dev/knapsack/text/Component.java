package dev.knapsack.text;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.knapsack.error.ModelFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A part of a {@code tokenizer.json}: its fields, and where it stands in the file, which errors
 * say.
 *
 * @param place such as {@code pre_tokenizer.pretokenizers[1]}
 */
record Component(Path file, String place, JsonObject json) {

  /** A part of a file; null where JSON has null. */
  static @Nullable Component of(Path file, String place, JsonElement json) {
    return switch (json) {
      case JsonObject object -> new Component(file, place, object);
      case JsonElement none when none.isJsonNull() -> null;
      default -> throw new ModelFileException(file, place, "must be an object, and is " + json);
    };
  }

  String type() {
    return text("type");
  }

  /** The error for a type that is none of those that are known. */
  ModelFileException unknownType(String known) {
    return wrong("type", "'" + type() + "' is not supported; supported are " + known);
  }

  ModelFileException wrong(String field, String problem) {
    return new ModelFileException(file, place + "." + field, problem);
  }

  boolean has(String field) {
    return json.get(field) != null && !json.get(field).isJsonNull();
  }

  String text(String field) {
    if (json.get(field) instanceof JsonPrimitive text && text.isString()) {
      return text.getAsString();
    }
    throw must(field, "a string");
  }

  String text(String field, String otherwise) {
    return has(field) ? text(field) : otherwise;
  }

  boolean flag(String field) {
    if (json.get(field) instanceof JsonPrimitive flag && flag.isBoolean()) {
      return flag.getAsBoolean();
    }
    throw must(field, "true or false");
  }

  boolean flag(String field, boolean otherwise) {
    return has(field) ? flag(field) : otherwise;
  }

  int count(String field) {
    if (json.get(field) instanceof JsonPrimitive number && number.isNumber()) {
      double value = number.getAsDouble();
      if (value >= 0 && value <= Integer.MAX_VALUE && value == (int) value) {
        return (int) value;
      }
    }
    throw must(field, "a whole number from 0 to 2147483647");
  }

  int count(String field, int otherwise) {
    return has(field) ? count(field) : otherwise;
  }

  /** One character, as a code point. */
  int character(String field) {
    String text = text(field);
    if (text.isEmpty() || text.codePointCount(0, text.length()) != 1) {
      throw must(field, "one character");
    }
    return text.codePointAt(0);
  }

  Component part(String field) {
    if (json.get(field) instanceof JsonObject object) {
      return new Component(file, place + "." + field, object);
    }
    throw must(field, "an object");
  }

  List<Component> parts(String field) {
    if (!(json.get(field) instanceof JsonArray array)) {
      throw must(field, "a list");
    }
    List<Component> parts = new ArrayList<>();
    for (JsonElement element : array) {
      String at = place + "." + field + "[" + parts.size() + "]";
      if (!(element instanceof JsonObject object)) {
        throw new ModelFileException(file, at, "must be an object, and is " + element);
      }
      parts.add(new Component(file, at, object));
    }
    return parts;
  }

  private ModelFileException must(String field, String what) {
    JsonElement found = json.get(field);
    return wrong(
        field,
        found == null ? "is missing; must be " + what : "must be " + what + ", and is " + found);
  }
}

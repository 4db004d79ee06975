package dev.knapsack.constraint;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.math.BigDecimal;
import java.util.List;
import java.util.Random;

/** Schemas over all keywords that are supported, and values that are like theirs. */
final class RandomSchemas {
  static final List<String> NAMES = List.of("a", "b", "kind", "a-1", "", "é\"\\", "x0");
  private static final List<String> PATTERNS =
      List.of("^a", "0$", "^[a-c]{1,3}$", "b|c", "\\d", "^\\w+-\\d$", "^(?:x|yy)*$", "[^a]");
  private static final List<String> FORMATS =
      List.of(
          "date",
          "time",
          "date-time",
          "duration",
          "hostname",
          "ipv4",
          "ipv6",
          "uuid",
          "uri",
          "uri-reference",
          "json-pointer",
          "relative-json-pointer",
          "something-else");
  private static final List<String> TEXTS =
      List.of("", "a", "b", "abc", "a-1", "x0", "\n", "é", "😀\"", "2024-02-29", "10.0.0.1");
  private static final List<String> NUMBERS =
      List.of("0", "1", "-1", "2", "5", "10", "-17", "0.5", "1.25", "-0.1", "100", "12345", "1e2");

  private final Random random;

  RandomSchemas(Random random) {
    this.random = random;
  }

  private <T> T one(List<T> of) {
    return of.get(random.nextInt(of.size()));
  }

  private boolean chance(int of) {
    return random.nextInt(of) == 0;
  }

  /** A whole document. */
  JsonObject document() {
    JsonObject root = schema(3);
    if (chance(3)) {
      JsonObject definitions = new JsonObject();
      definitions.add("d", schema(1));
      definitions.add("list", list());
      root.add("$defs", definitions);
      root.addProperty("$schema", "https://json-schema.org/draft/2020-12/schema");
      root.addProperty("description", "anything");
      JsonObject properties = object(root, "properties");
      properties.add("d", reference("#/$defs/d"));
      properties.add("list", reference("#/$defs/list"));
      if (chance(2)) {
        properties.add("again", reference("#"));
      }
    }
    return root;
  }

  private static JsonObject object(JsonObject in, String name) {
    if (!in.has(name)) {
      in.add(name, new JsonObject());
    }
    return in.getAsJsonObject(name);
  }

  private static JsonObject reference(String to) {
    JsonObject reference = new JsonObject();
    reference.addProperty("$ref", to);
    return reference;
  }

  private JsonObject list() {
    JsonObject list = new JsonObject();
    list.addProperty("type", "object");
    JsonObject properties = object(list, "properties");
    properties.add("value", schema(0));
    properties.add("next", reference("#/$defs/list"));
    list.addProperty("additionalProperties", false);
    return list;
  }

  private JsonElement any(int depth) {
    return chance(12) ? new JsonPrimitive(!chance(4)) : schema(depth);
  }

  JsonObject schema(int depth) {
    JsonObject schema = new JsonObject();
    switch (random.nextInt(depth > 0 ? 14 : 6)) {
      case 0 -> string(schema);
      case 1 -> number(schema, "integer");
      case 2 -> number(schema, "number");
      case 3 -> schema.addProperty("type", one(List.of("boolean", "null", "string", "integer")));
      case 4 -> values(schema);
      case 5 -> types(schema);
      case 6, 7 -> array(schema, depth - 1);
      case 8, 9, 10 -> object(schema, depth - 1);
      case 11 -> choice(schema, depth - 1);
      case 12 -> {
        object(schema, depth - 1);
        composition(schema, depth - 1);
      }
      default -> conditions(schema);
    }
    return schema;
  }

  private void string(JsonObject schema) {
    schema.addProperty("type", "string");
    if (chance(3)) {
      schema.addProperty("minLength", random.nextInt(4));
    }
    if (chance(3)) {
      schema.addProperty("maxLength", 2 + random.nextInt(5));
    }
    if (chance(3)) {
      schema.addProperty("pattern", one(PATTERNS));
    } else if (chance(3)) {
      schema.addProperty("format", one(FORMATS));
      schema.remove("maxLength");
    }
    if (chance(8)) {
      JsonObject not = object(schema, "not");
      not.addProperty("pattern", one(PATTERNS));
    }
  }

  private void number(JsonObject schema, String type) {
    schema.addProperty("type", type);
    BigDecimal low = new BigDecimal(one(NUMBERS));
    if (chance(2)) {
      schema.addProperty(chance(3) ? "exclusiveMinimum" : "minimum", low);
    }
    if (chance(2)) {
      schema.addProperty(
          chance(3) ? "exclusiveMaximum" : "maximum", low.abs().add(new BigDecimal(one(NUMBERS))));
    }
    if (chance(4)) {
      schema.addProperty(
          "multipleOf",
          type.equals("integer")
              ? one(List.of(2, 3, 7, 10, 15, 100))
              : one(List.of(0.5, 0.25, 0.05, 2)));
    }
    if (chance(10)) {
      object(schema, "not").add("const", value(0));
    }
  }

  private void values(JsonObject schema) {
    if (chance(2)) {
      schema.add("const", value(2));
    } else {
      JsonArray values = new JsonArray();
      for (int i = 0; i <= random.nextInt(5); i++) {
        values.add(value(1));
      }
      schema.add("enum", values);
    }
  }

  private void types(JsonObject schema) {
    number(schema, "integer");
    JsonArray types = new JsonArray();
    types.add("integer");
    types.add(one(List.of("string", "null", "boolean")));
    schema.add("type", types);
    if (chance(2)) {
      schema.addProperty("maxLength", 3);
    }
  }

  private void array(JsonObject schema, int depth) {
    schema.addProperty("type", "array");
    if (chance(3)) {
      JsonArray first = new JsonArray();
      for (int i = 0; i <= random.nextInt(3); i++) {
        first.add(any(depth));
      }
      schema.add("prefixItems", first);
    }
    if (!chance(3)) {
      schema.add("items", any(depth));
    }
    if (chance(3)) {
      schema.addProperty("minItems", random.nextInt(4));
    }
    if (chance(3)) {
      schema.addProperty("maxItems", 1 + random.nextInt(4));
    }
    if (chance(6)) {
      schema.add("contains", schema(0));
      if (chance(2)) {
        schema.addProperty("minContains", random.nextInt(3));
      }
      if (chance(3)) {
        schema.addProperty("maxContains", 1 + random.nextInt(2));
      }
    } else if (chance(6)) {
      schema.remove("prefixItems");
      schema.addProperty("uniqueItems", true);
      JsonObject items = new JsonObject();
      values(items);
      schema.add("items", items);
    }
  }

  private void object(JsonObject schema, int depth) {
    if (!chance(6)) {
      schema.addProperty("type", "object");
    }
    JsonObject properties = object(schema, "properties");
    for (int i = 0; i < random.nextInt(5); i++) {
      properties.add(one(NAMES), any(depth));
    }
    JsonArray required = new JsonArray();
    for (String name : NAMES) {
      if (chance(properties.has(name) ? 2 : 20)) {
        required.add(name);
      }
    }
    schema.add("required", required);
    switch (random.nextInt(4)) {
      case 0, 1 -> schema.addProperty("additionalProperties", false);
      case 2 -> schema.add("additionalProperties", any(0));
      default -> {}
    }
    if (chance(6)) {
      object(schema, "patternProperties").add(one(PATTERNS), any(0));
      if (chance(2)) {
        object(schema, "patternProperties").add(one(PATTERNS), any(0));
      }
    }
    if (chance(8)) {
      JsonObject names = object(schema, "propertyNames");
      switch (random.nextInt(3)) {
        case 0 -> names.addProperty("pattern", one(PATTERNS));
        case 1 -> names.addProperty("maxLength", 3);
        default -> {
          JsonArray some = new JsonArray();
          NAMES.forEach(some::add);
          names.add("enum", some);
        }
      }
    }
    if (chance(8)) {
      schema.addProperty("minProperties", 1 + random.nextInt(2));
    }
    if (chance(8)) {
      schema.addProperty("maxProperties", 2 + random.nextInt(3));
    }
    if (chance(10)) {
      JsonArray others = new JsonArray();
      others.add(one(NAMES));
      object(schema, "dependentRequired").add(one(NAMES), others);
    }
    if (chance(12)) {
      JsonObject other = new JsonObject();
      object(other, "properties").add(one(NAMES), schema(0));
      object(schema, "dependentSchemas").add(one(NAMES), other);
    }
  }

  private void choice(JsonObject schema, int depth) {
    JsonArray options = new JsonArray();
    boolean oneOf = chance(2);
    boolean objects = chance(2);
    for (int i = 0; i < 2 + random.nextInt(2); i++) {
      JsonObject option = new JsonObject();
      if (objects) {
        object(option, depth);
        if (oneOf) {
          object(option, "properties").add("kind", constant("k" + i));
          option.getAsJsonArray("required").add("kind");
        }
      } else {
        option = schema(oneOf ? 0 : depth);
      }
      options.add(option);
    }
    schema.add(oneOf ? "oneOf" : "anyOf", options);
  }

  private static JsonObject constant(String value) {
    JsonObject constant = new JsonObject();
    constant.addProperty("const", value);
    return constant;
  }

  private void composition(JsonObject schema, int depth) {
    JsonArray all = new JsonArray();
    for (int i = 0; i <= random.nextInt(2); i++) {
      JsonObject part = new JsonObject();
      if (chance(4)) {
        choice(part, depth);
      } else {
        object(part, depth);
        part.remove("additionalProperties");
      }
      all.add(part);
    }
    schema.add("allOf", all);
    if (chance(4)) {
      JsonArray required = new JsonArray();
      required.add(one(NAMES));
      object(schema, "not").add("required", required);
    }
  }

  private void conditions(JsonObject schema) {
    schema.addProperty("type", "object");
    JsonObject properties = object(schema, "properties");
    properties.add("kind", new JsonObject());
    object(properties, "kind").add("enum", array("k0", "k1"));
    properties.add("a", schema(0));
    object(object(schema, "if"), "properties").add("kind", constant("k0"));
    object(object(schema, "then"), "properties").add("a", schema(0));
    if (chance(2)) {
      object(schema, "else").add("required", array("a"));
    }
    if (chance(2)) {
      schema.add("required", array("kind"));
    }
  }

  private static JsonArray array(String... texts) {
    JsonArray array = new JsonArray();
    for (String text : texts) {
      array.add(text);
    }
    return array;
  }

  /** A value that has much in common with what schemas ask for. */
  JsonElement value(int depth) {
    return switch (random.nextInt(depth > 0 ? 8 : 6)) {
      case 0 -> JsonNull.INSTANCE;
      case 1 -> new JsonPrimitive(chance(2));
      case 2, 3 -> new JsonPrimitive(new BigDecimal(one(NUMBERS.subList(0, 12))));
      case 4, 5 -> new JsonPrimitive(one(TEXTS));
      case 6 -> {
        JsonArray array = new JsonArray();
        for (int i = 0; i < random.nextInt(4); i++) {
          array.add(value(depth - 1));
        }
        yield array;
      }
      default -> {
        JsonObject object = new JsonObject();
        for (int i = 0; i < random.nextInt(4); i++) {
          object.add(one(NAMES), value(depth - 1));
        }
        yield object;
      }
    };
  }

  /** A value with a change somewhere in it. */
  JsonElement changed(JsonElement value) {
    switch (value) {
      case JsonObject object when !chance(4) -> {
        JsonObject copy = object.deepCopy();
        String name = chance(3) || copy.isEmpty() ? one(NAMES) : one(List.copyOf(copy.keySet()));
        if (chance(3)) {
          copy.remove(name);
        } else if (copy.has(name)) {
          copy.add(name, changed(copy.get(name)));
        } else {
          copy.add(name, value(1));
        }
        return copy;
      }
      case JsonArray array when !chance(4) -> {
        JsonArray copy = array.deepCopy();
        if (chance(3) || copy.isEmpty()) {
          copy.add(copy.isEmpty() || chance(2) ? value(1) : copy.get(0));
        } else if (chance(2)) {
          copy.remove(random.nextInt(copy.size()));
        } else {
          int at = random.nextInt(copy.size());
          copy.set(at, changed(copy.get(at)));
        }
        return copy;
      }
      default -> {
        return value(1);
      }
    }
  }
}

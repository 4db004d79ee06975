package dev.knapsack.langchain4j;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.exception.UnsupportedFeatureException;
import dev.langchain4j.model.chat.request.json.JsonAnyOfSchema;
import dev.langchain4j.model.chat.request.json.JsonArraySchema;
import dev.langchain4j.model.chat.request.json.JsonBooleanSchema;
import dev.langchain4j.model.chat.request.json.JsonEnumSchema;
import dev.langchain4j.model.chat.request.json.JsonIntegerSchema;
import dev.langchain4j.model.chat.request.json.JsonNullSchema;
import dev.langchain4j.model.chat.request.json.JsonNumberSchema;
import dev.langchain4j.model.chat.request.json.JsonObjectSchema;
import dev.langchain4j.model.chat.request.json.JsonRawSchema;
import dev.langchain4j.model.chat.request.json.JsonReferenceSchema;
import dev.langchain4j.model.chat.request.json.JsonSchemaElement;
import dev.langchain4j.model.chat.request.json.JsonStringSchema;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Writes LangChain4j's schemas as JSON Schema. An object that names its properties and does not say
 * whether it may have others has none: it stands for a type, which would not know them.
 */
final class Schemas {
  private Schemas() {}

  /** The schema as a text in JSON. */
  static String text(JsonSchemaElement schema) {
    return json(schema).toString();
  }

  private static JsonElement json(JsonSchemaElement schema) {
    return switch (schema) {
      case JsonObjectSchema object -> object(object);
      case JsonArraySchema array -> array(array);
      case JsonEnumSchema constants -> {
        JsonObject json = typed("string", constants);
        json.add("enum", texts(constants.enumValues()));
        yield json;
      }
      case JsonAnyOfSchema any -> {
        JsonObject json = described(new JsonObject(), any);
        JsonArray options = new JsonArray();
        any.anyOf().forEach(option -> options.add(json(option)));
        json.add("anyOf", options);
        yield json;
      }
      case JsonReferenceSchema reference -> {
        JsonObject json = new JsonObject();
        json.addProperty("$ref", "#/$defs/" + reference.reference());
        yield json;
      }
      case JsonStringSchema string -> typed("string", string);
      case JsonIntegerSchema integer -> typed("integer", integer);
      case JsonNumberSchema number -> typed("number", number);
      case JsonBooleanSchema flag -> typed("boolean", flag);
      case JsonNullSchema none -> typed("null", none);
      case JsonRawSchema raw -> parsed(raw.schema());
      default ->
          throw new UnsupportedFeatureException(
              "A schema of the type %s is not supported; give a JsonRawSchema in its place."
                  .formatted(schema.getClass().getSimpleName()));
    };
  }

  private static JsonObject object(JsonObjectSchema schema) {
    JsonObject json = typed("object", schema);
    json.add("properties", properties(schema.properties()));
    if (!schema.required().isEmpty()) {
      json.add("required", texts(schema.required()));
    }
    Boolean others = schema.additionalProperties();
    if (others != null || !schema.properties().isEmpty()) {
      json.addProperty("additionalProperties", others != null && others);
    }
    if (!schema.definitions().isEmpty()) {
      json.add("$defs", properties(schema.definitions()));
    }
    return json;
  }

  private static JsonObject array(JsonArraySchema schema) {
    JsonObject json = typed("array", schema);
    if (schema.items() != null) {
      json.add("items", json(schema.items()));
    }
    return json;
  }

  private static JsonObject properties(Map<String, JsonSchemaElement> schemas) {
    JsonObject json = new JsonObject();
    schemas.forEach((name, schema) -> json.add(name, json(schema)));
    return json;
  }

  private static JsonArray texts(List<String> texts) {
    JsonArray json = new JsonArray();
    texts.forEach(json::add);
    return json;
  }

  private static JsonObject typed(String type, JsonSchemaElement schema) {
    JsonObject json = new JsonObject();
    json.addProperty("type", type);
    return described(json, schema);
  }

  private static JsonObject described(JsonObject json, JsonSchemaElement schema) {
    @Nullable String description = schema.description();
    if (description != null) {
      json.addProperty("description", description);
    }
    return json;
  }

  private static JsonElement parsed(String schema) {
    try {
      return JsonParser.parseString(schema);
    } catch (JsonParseException e) {
      throw new InvalidRequestException("The raw schema is no JSON: " + schema, e);
    }
  }
}

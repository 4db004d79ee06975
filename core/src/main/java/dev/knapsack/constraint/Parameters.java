package dev.knapsack.constraint;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.knapsack.error.ConstraintException;
import dev.knapsack.text.answer.StrictJson;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;

/**
 * The parameters of a tool one by one, for families that do not write arguments as an object of
 * JSON. Its schema may say of all of them together no more than which there are and which must be.
 */
final class Parameters {
  private static final Set<String> KNOWN =
      Set.of(
          "$schema",
          "$defs",
          "definitions",
          "additionalProperties",
          "description",
          "properties",
          "required",
          "title",
          "type");

  /** Keywords that say nothing of a value. */
  private static final Set<String> SILENT =
      Set.of("description", "title", "default", "examples", "type", "$defs", "definitions");

  private final Terms terms;
  private final List<Parameter> all = new ArrayList<>();

  /**
   * @param schema of the arguments together
   * @throws ConstraintException if it says more of them than can be held to
   */
  Parameters(Terms terms, String schema) {
    this.terms = terms;
    JsonObject parsed = parsed(schema);
    for (String keyword : parsed.keySet()) {
      if (!KNOWN.contains(keyword)) {
        throw new ConstraintException(
            "/" + keyword,
            "this model writes arguments one by one, which cannot be held to '%s' of all of them;"
                    .formatted(keyword)
                + " say it of each property.");
      }
    }
    Set<String> required = texts(parsed.get("required"));
    if (parsed.get("properties") instanceof JsonObject properties) {
      properties
          .asMap()
          .forEach((name, of) ->
              all.add(new Parameter(name, required.remove(name), alone(name, of, parsed))));
    }
    if (!required.isEmpty()) {
      throw new ConstraintException(
          "/required",
          "'%s' is required and no property; describe it.".formatted(required.iterator().next()));
    }
  }

  /** A schema of arguments that lets objects through alone. */
  static String object(String schema) {
    JsonObject parsed = parsed(schema);
    parsed.addProperty("type", "object");
    return parsed.toString();
  }

  private static JsonObject parsed(String schema) {
    Optional<JsonElement> parsed = StrictJson.parse(schema);
    if (parsed.isEmpty() || !(parsed.get() instanceof JsonObject object)) {
      throw new ConstraintException("", "The schema of its arguments is no object of JSON.");
    }
    JsonElement type = object.get("type");
    if (type != null && !type.equals(new JsonPrimitive("object"))) {
      throw new ConstraintException("/type", "arguments are an object; give \"object\".");
    }
    return object.deepCopy();
  }

  private static Set<String> texts(JsonElement list) {
    Set<String> texts = new HashSet<>();
    if (list instanceof JsonArray array) {
      array.forEach(one -> texts.add(one.getAsString()));
    }
    return texts;
  }

  /** The schema of one property with what it may refer to. */
  private static JsonObject alone(String name, JsonElement schema, JsonObject all) {
    JsonObject alone =
        switch (schema) {
          case JsonObject object -> object.deepCopy();
          case JsonPrimitive p when p.equals(new JsonPrimitive(true)) -> new JsonObject();
          default ->
              throw new ConstraintException(
                  "/properties/" + name, "is no schema that a value can be written by.");
        };
    for (String definitions : List.of("$defs", "definitions")) {
      if (all.has(definitions)) {
        alone.add(definitions, all.get(definitions));
      }
    }
    return alone;
  }

  /**
   * The parameters in any order, each at most once.
   *
   * @param text how one is written
   */
  Term members(Function<Parameter, Term> text, String separator) {
    return terms.members(
        new Members(
            all.stream().map(one -> new Members.Member(text.apply(one), one.required)).toList(),
            Optional.empty(),
            0,
            -1,
            terms.text(separator)));
  }

  /** One of them. */
  final class Parameter {
    private final String name;
    private final boolean required;
    private final JsonObject schema;

    private Parameter(String name, boolean required, JsonObject schema) {
      this.name = name;
      this.required = required;
      this.schema = schema;
    }

    String name() {
      return name;
    }

    /** Its values as JSON. */
    Term json() {
      return JsonSchemas.term(terms, schema.toString());
    }

    /** Says whether it is any text. */
    boolean isPlainText() {
      return types().equals(Set.of("string")) && SILENT.containsAll(schema.keySet());
    }

    private Set<String> types() {
      JsonElement type = schema.get("type");
      return type instanceof JsonPrimitive one ? Set.of(one.getAsString()) : texts(type);
    }

    /**
     * Its values as they are written without quotes: texts as they are, all else as JSON.
     *
     * @param any a text that does not end the value before its end
     */
    Term bare(Term any) {
      if (isPlainText()
          || schema.keySet().stream().allMatch(k -> SILENT.contains(k) && !k.equals("type"))) {
        return any;
      }
      if (schema.get("enum") instanceof JsonArray values
          && values.asList().stream().allMatch(v -> v instanceof JsonPrimitive p && p.isString())) {
        return terms.choice(
            values.asList().stream()
                .map(v -> terms.both(terms.text(v.getAsString()), any))
                .toList());
      }
      Set<String> types = types();
      if (types.isEmpty() || types.contains("string")) {
        throw new ConstraintException(
            "/properties/" + name,
            "this model writes texts without quotes, which can be held to a type or a choice of"
                + " texts alone; give it one type, and no other keyword for a text.");
      }
      return json();
    }
  }
}

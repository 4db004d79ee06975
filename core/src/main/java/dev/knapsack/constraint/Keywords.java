package dev.knapsack.constraint;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.knapsack.constraint.Alternative.Kind;
import dev.knapsack.constraint.Conjunction.Part;
import dev.knapsack.constraint.SchemaDocument.Node;
import dev.knapsack.constraint.SchemaReader.Option;
import dev.knapsack.constraint.StringSet.Pattern;
import dev.knapsack.error.ConstraintException;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The keywords of one schema, read as what they are. */
final class Keywords {
  /** Keywords that ask for something. */
  private static final Set<String> ASSERTIONS =
      Set.of(
          "type",
          "enum",
          "const",
          "$ref",
          "allOf",
          "anyOf",
          "oneOf",
          "not",
          "if",
          "minimum",
          "maximum",
          "exclusiveMinimum",
          "exclusiveMaximum",
          "multipleOf",
          "minLength",
          "maxLength",
          "pattern",
          "format",
          "items",
          "prefixItems",
          "additionalItems",
          "contains",
          "minItems",
          "maxItems",
          "uniqueItems",
          "properties",
          "patternProperties",
          "additionalProperties",
          "propertyNames",
          "required",
          "minProperties",
          "maxProperties",
          "dependentRequired",
          "dependentSchemas",
          "dependencies",
          "unevaluatedItems",
          "unevaluatedProperties",
          "$dynamicRef",
          "$recursiveRef");

  /** More of anything than an answer can have. */
  private static final BigDecimal MOST = BigDecimal.valueOf(1_000_000_000);

  private final Node schema;
  private final JsonObject object;

  Keywords(Node schema) {
    if (!(schema.json() instanceof JsonObject json)) {
      throw new ConstraintException(
          schema.pointer(), "A schema is an object, true or false, and here is something else.");
    }
    this.schema = schema;
    this.object = json;
  }

  /** Says whether a keyword asks for something; what the standard does not know does not. */
  static boolean saysSomething(String keyword) {
    return ASSERTIONS.contains(keyword);
  }

  Node schema() {
    return schema;
  }

  /** The keywords that ask for something. */
  List<String> names() {
    return object.keySet().stream().filter(ASSERTIONS::contains).toList();
  }

  // Values of keywords

  boolean has(String keyword) {
    return object.has(keyword);
  }

  Node schema(String keyword) {
    return checked(schema.child(keyword));
  }

  private static Node checked(Node node) {
    if (node.json() instanceof JsonObject
        || (node.json() instanceof JsonPrimitive flag && flag.isBoolean())) {
      return node;
    }
    throw new ConstraintException(
        node.pointer(), "A schema is an object, true or false, and here is something else.");
  }

  boolean isSchema(String keyword) {
    return !(object.get(keyword) instanceof JsonArray);
  }

  boolean isEmptyList(String keyword) {
    return object.get(keyword) instanceof JsonArray array && array.isEmpty();
  }

  Part part(String keyword) {
    return new Part(schema(keyword), true);
  }

  List<Node> schemas(String keyword) {
    Node list = schema.child(keyword);
    if (!(list.json() instanceof JsonArray array) || array.isEmpty()) {
      throw schema.refuse(keyword, "has to be a list of schemas, and not an empty one.");
    }
    List<Node> all = new ArrayList<>();
    for (int i = 0; i < array.size(); i++) {
      all.add(checked(list.child(Integer.toString(i))));
    }
    return all;
  }

  Map<String, Node> named(String keyword) {
    Node map = schema.child(keyword);
    if (!(map.json() instanceof JsonObject members)) {
      throw schema.refuse(keyword, "has to be an object of schemas.");
    }
    Map<String, Node> all = new LinkedHashMap<>();
    members.keySet().forEach(name -> all.put(name, checked(map.child(name))));
    return all;
  }

  List<String> texts(String keyword) {
    return texts(schema, keyword);
  }

  private static List<String> texts(Node holder, String keyword) {
    List<String> texts = new ArrayList<>();
    if (holder.child(keyword).json() instanceof JsonArray array) {
      for (JsonElement text : array) {
        if (text instanceof JsonPrimitive p && p.isString()) {
          texts.add(p.getAsString());
        }
      }
      if (texts.size() == array.size()) {
        return texts;
      }
    }
    throw holder.refuse(keyword, "has to be a list of texts.");
  }

  BigDecimal number(String keyword) {
    return JsonValues.number(schema.child(keyword).json())
        .orElseThrow(() -> schema.refuse(keyword, "has to be a number of less than 400 digits."));
  }

  int count(String keyword) {
    BigDecimal number = number(keyword);
    if (number.signum() < 0 || number.stripTrailingZeros().scale() > 0) {
      throw schema.refuse(keyword, "has to be a whole number, not less than 0.");
    }
    return number.min(MOST).intValueExact();
  }

  boolean flag(String keyword) {
    if (schema.child(keyword).json() instanceof JsonPrimitive flag && flag.isBoolean()) {
      return flag.getAsBoolean();
    }
    throw schema.refuse(keyword, "has to be true or false.");
  }

  List<JsonElement> values() {
    if (!(object.get("enum") instanceof JsonArray array)) {
      throw schema.refuse("enum", "has to be a list of values.");
    }
    return List.copyOf(array.asList());
  }

  JsonElement constant() {
    return schema.child("const").json();
  }

  Pattern pattern() {
    return pattern(SchemaDocument.string(schema, "pattern"), schema.at("pattern"));
  }

  /** An expression that stands at a place. */
  static Pattern pattern(String source, String place) {
    try {
      return Pattern.of(source);
    } catch (ConstraintException e) {
      throw new ConstraintException(place, String.valueOf(e.getMessage()));
    }
  }

  /** The types that are named, as they are written. */
  List<String> types() {
    List<String> types =
        schema.child("type").json() instanceof JsonArray
            ? texts("type")
            : List.of(SchemaDocument.string(schema, "type"));
    for (String type : types) {
      kinds(type);
    }
    return types;
  }

  Set<Kind> kinds(String type) {
    return switch (type) {
      case "null" -> EnumSet.of(Kind.NULL);
      case "boolean" -> EnumSet.of(Kind.TRUE, Kind.FALSE);
      case "integer", "number" -> EnumSet.of(Kind.NUMBER);
      case "string" -> EnumSet.of(Kind.STRING);
      case "array" -> EnumSet.of(Kind.ARRAY);
      case "object" -> EnumSet.of(Kind.OBJECT);
      default ->
          throw schema.refuse(
              "type",
              "is '%s'; there are null, boolean, integer, number, string, array and object."
                  .formatted(type));
    };
  }

  boolean isFlag(String keyword) {
    return object.get(keyword) instanceof JsonPrimitive flag && flag.isBoolean();
  }

  boolean isTrue(String keyword) {
    return isFlag(keyword) && object.get(keyword).getAsBoolean();
  }

  BigDecimal step() {
    BigDecimal step = number("multipleOf");
    if (step.signum() <= 0) {
      throw schema.refuse("multipleOf", "has to be more than 0.");
    }
    return step;
  }

  ArraySet.Contained contained() {
    int least = has("minContains") ? count("minContains") : 1;
    int most = has("maxContains") ? count("maxContains") : -1;
    return new ArraySet.Contained(part("contains"), least, most);
  }

  // What leaves a choice

  /** The two ways of a condition. */
  List<Option> conditions() {
    Part condition = part("if");
    List<Part> met = new ArrayList<>(List.of(condition));
    List<Part> missed = new ArrayList<>(List.of(condition.opposite()));
    if (has("then")) {
      met.add(part("then"));
    }
    if (has("else")) {
      missed.add(part("else"));
    }
    return has("then") || has("else")
        ? List.of(new Option(_ -> {}, met), new Option(_ -> {}, missed))
        : List.of(new Option());
  }

  /** For each property that something depends on: it is not there, or what depends on it holds. */
  List<List<Option>> dependents(String keyword) {
    Node map = schema.child(keyword);
    if (!(map.json() instanceof JsonObject members)) {
      throw schema.refuse(keyword, "has to be an object.");
    }
    List<List<Option>> all = new ArrayList<>();
    for (String name : members.keySet()) {
      List<Option> ways = new ArrayList<>();
      ways.add(
          new Option(
              alternative ->
                  alternative.objects =
                      alternative.objects.with(new ObjectSet.Form(name, SchemaNegation.NOTHING)),
              List.of()));
      ways.add(
          members.get(name) instanceof JsonArray
              ? new Option(
                  alternative ->
                      texts(map, name)
                          .forEach(
                              other -> alternative.objects = alternative.objects.requiring(other)),
                  List.of())
              : new Option(new Part(checked(map.child(name)), true)));
      all.add(ways);
    }
    return all;
  }
}

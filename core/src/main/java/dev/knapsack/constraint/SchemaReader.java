package dev.knapsack.constraint;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.knapsack.constraint.Conjunction.Part;
import dev.knapsack.constraint.SchemaDocument.Node;
import dev.knapsack.error.ConstraintException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Predicate;

/**
 * Reads all that schemas ask for together, as alternatives.
 *
 * <p>All keywords of a schema hold, so each narrows the alternative that is being read; those that
 * leave a choice split it. What must not hold is read through {@link SchemaNegation}.
 */
final class SchemaReader {
  private static final int MOST_ALTERNATIVES = 1_000;
  private static final int MOST_SPLITS = 20_000;

  /** Keywords that stand for schemas that hold in the same place. */
  private static final List<String> LISTS = List.of("allOf", "anyOf", "oneOf");

  private static final List<String> SINGLE = List.of("not", "if", "then", "else");

  /** A part of that which is still to be read. */
  sealed interface Step {}

  /** A schema that holds, or must not. */
  record Read(Part part) implements Step {}

  /** One of these, at the least. */
  record Split(List<Option> options) implements Step {}

  /** One way in which a keyword holds. */
  record Option(Consumer<Alternative> change, List<Part> parts) {
    Option(Part... parts) {
      this(_ -> {}, List.of(parts));
    }
  }

  private final SchemaDocument document;
  private final Scratch scratch;
  private final Predicate<Conjunction> impossible;
  private final SchemaNegation negation;
  private final Set<String> straight = new HashSet<>();
  private int splits;

  /**
   * @param impossible says that a conjunction has no values; where that is not plain, no
   */
  SchemaReader(SchemaDocument document, Scratch scratch, Predicate<Conjunction> impossible) {
    this.document = document;
    this.scratch = scratch;
    this.impossible = impossible;
    this.negation = new SchemaNegation(document);
  }

  /** Says whether a schema plainly asks for nothing. */
  static boolean isAnything(Node schema) {
    return switch (schema.json()) {
      case JsonPrimitive flag when flag.isBoolean() -> flag.getAsBoolean();
      case JsonObject object -> object.keySet().stream().noneMatch(Keywords::saysSomething);
      default -> false;
    };
  }

  /** The alternatives of what is asked of a value. */
  List<Alternative> alternatives(Conjunction of) {
    Deque<Step> steps = new ArrayDeque<>();
    for (Part part : of.parts()) {
      checkStraight(part.schema(), new HashSet<>());
      steps.add(new Read(part));
    }
    List<Alternative> found = new ArrayList<>();
    read(new Alternative(), steps, new HashSet<>(), found);
    found.forEach(alternative -> alternative.settle(scratch));
    return found;
  }

  private void read(
      Alternative alternative, Deque<Step> steps, Set<String> done, List<Alternative> found) {
    while (!alternative.kinds().isEmpty()) {
      switch (steps.poll()) {
        case null -> {
          found.add(alternative);
          return;
        }
        case Read(Part part) -> {
          if (done.contains(part.opposite().name())) {
            return;
          }
          if (done.add(part.name())) {
            if (part.holds()) {
              if (!holds(part.schema(), alternative, steps)) {
                return;
              }
            } else {
              steps.addFirst(new Split(negation.options(part.schema())));
            }
          }
        }
        case Split(List<Option> options) -> {
          if (++splits > MOST_SPLITS || found.size() > MOST_ALTERNATIVES) {
            throw new ConstraintException(
                "",
                "The schema has alternatives of alternatives, more than can be counted out; write"
                    + " fewer 'anyOf', 'oneOf' and 'if' that hold together.");
          }
          for (Option option : options) {
            Alternative copy = alternative.copy();
            option.change.accept(copy);
            Deque<Step> rest = new ArrayDeque<>(steps);
            option.parts.reversed().forEach(part -> rest.addFirst(new Read(part)));
            read(copy, rest, new HashSet<>(done), found);
          }
          return;
        }
      }
    }
  }

  /**
   * Reads a schema that holds.
   *
   * @return false if no value fits
   */
  private boolean holds(Node schema, Alternative alternative, Deque<Step> steps) {
    if (schema.json() instanceof JsonPrimitive flag && flag.isBoolean()) {
      return flag.getAsBoolean();
    }
    Keywords keywords = new Keywords(schema);
    for (String keyword : keywords.names()) {
      switch (keyword) {
        case "$ref" -> steps.addFirst(read(document.target(schema, keyword)));
        case "allOf" -> keywords.schemas(keyword).forEach(each -> steps.addFirst(read(each)));
        case "anyOf" ->
            steps.addLast(
                new Split(
                    keywords.schemas(keyword).stream()
                        .map(each -> new Option(new Part(each, true)))
                        .toList()));
        case "oneOf" -> steps.addLast(new Split(oneOf(keywords)));
        case "not" -> steps.addLast(new Read(new Part(keywords.schema(keyword), false)));
        case "if" -> steps.addLast(new Split(keywords.conditions()));
        case "dependentRequired", "dependentSchemas", "dependencies" ->
            keywords.dependents(keyword).forEach(options -> steps.addLast(new Split(options)));
        default -> SchemaNarrowing.narrow(keywords, keyword, alternative);
      }
    }
    return true;
  }

  private static Step read(Node schema) {
    return new Read(new Part(schema, true));
  }

  /** Each of the schemas, without those of the others that could hold beside it. */
  private List<Option> oneOf(Keywords keywords) {
    Node schema = keywords.schema();
    List<Node> all = keywords.schemas("oneOf");
    JsonObject others = ((JsonObject) schema.json()).deepCopy();
    others.remove("oneOf");
    Part beside = new Part(new Node(schema.pointer() + "/*", others, schema.base()), true);
    List<List<Part>> options = new ArrayList<>();
    for (Node each : all) {
      options.add(new ArrayList<>(List.of(new Part(each, true))));
    }
    for (int i = 0; i < all.size(); i++) {
      for (int j = i + 1; j < all.size(); j++) {
        Part one = new Part(all.get(i), true);
        Part other = new Part(all.get(j), true);
        if (!impossible.test(Conjunction.of(List.of(beside, one, other)))) {
          options.get(i).add(told(schema, i, j, beside, one, other));
          options.get(j).add(told(schema, i, j, beside, other, one));
        }
      }
    }
    return options.stream().map(parts -> new Option(_ -> {}, parts)).toList();
  }

  /** A schema that tells values of one from those of another, which they must not fit. */
  private Part told(Node schema, int i, int j, Part beside, Part one, Part other) {
    try {
      alternatives(Conjunction.of(List.of(one, other.opposite())));
      return other.opposite();
    } catch (ConstraintException e) {
      Optional<Part> told = constants(other.schema());
      if (told.isPresent()
          && !impossible.test(Conjunction.of(List.of(beside, one, told.get().opposite())))) {
        return told.get().opposite();
      }
      throw schema.refuse(
          "oneOf",
          ("has schemas %d and %d that a value may fit both of, and which it fits cannot be decided"
                  + " while it is written (%s); use 'anyOf', or tell them apart by a required"
                  + " property with another 'const' in each.")
              .formatted(i, j, e.getMessage()));
    }
  }

  /** Of a schema, what it says of properties that are constants; empty if it says nothing so. */
  private Optional<Part> constants(Node schema) {
    Node named = schema;
    while (named.json() instanceof JsonObject object && object.keySet().equals(Set.of("$ref"))) {
      named = document.target(named, "$ref");
    }
    if (!(named.json() instanceof JsonObject object)
        || !(object.get("properties") instanceof JsonObject properties)) {
      return Optional.empty();
    }
    JsonObject constants = new JsonObject();
    for (String name : properties.keySet()) {
      if (properties.get(name) instanceof JsonObject property
          && (property.has("const") || property.has("enum"))) {
        JsonObject value = new JsonObject();
        value.add(
            "enum", property.has("enum") ? property.get("enum") : array(property.get("const")));
        constants.add(name, value);
      }
    }
    JsonObject less = new JsonObject();
    less.add("properties", constants);
    return constants.isEmpty()
        ? Optional.empty()
        : Optional.of(new Part(new Node(named.pointer() + "/*", less, named.base()), true));
  }

  private static JsonArray array(JsonElement one) {
    JsonArray array = new JsonArray();
    array.add(one);
    return array;
  }

  /** Refuses a schema that refers to itself with no property or item in between. */
  private void checkStraight(Node schema, Set<String> above) {
    if (!(schema.json() instanceof JsonObject object) || straight.contains(schema.pointer())) {
      return;
    }
    if (!above.add(schema.pointer())) {
      throw new ConstraintException(
          schema.pointer(), "The schema refers to itself with nothing in between; leave that out.");
    }
    Keywords keywords = new Keywords(schema);
    if (object.has("$ref")) {
      checkStraight(document.target(schema, "$ref"), above);
    }
    for (String keyword : LISTS) {
      if (object.has(keyword)) {
        keywords.schemas(keyword).forEach(each -> checkStraight(each, above));
      }
    }
    for (String keyword : SINGLE) {
      if (object.has(keyword)) {
        checkStraight(keywords.schema(keyword), above);
      }
    }
    if (object.get("dependentSchemas") instanceof JsonObject) {
      keywords.named("dependentSchemas").values().forEach(each -> checkStraight(each, above));
    }
    above.remove(schema.pointer());
    straight.add(schema.pointer());
  }
}

package dev.knapsack.constraint;

import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonPrimitive;
import dev.knapsack.constraint.Alternative.Kind;
import dev.knapsack.constraint.Conjunction.Part;
import dev.knapsack.constraint.SchemaDocument.Node;
import dev.knapsack.constraint.SchemaReader.Option;
import dev.knapsack.error.ConstraintException;
import java.math.BigDecimal;
import java.net.URI;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Predicate;

/** The ways in which a value can break a schema, which are those to break one of its keywords. */
final class SchemaNegation {
  /** The schema of no value. */
  static final Part NOTHING =
      new Part(new Node("anything", new JsonPrimitive(true), URI.create("schema:/")), false);

  private final SchemaDocument document;

  SchemaNegation(SchemaDocument document) {
    this.document = document;
  }

  /** The ways to break a schema; none if every value fits it. */
  List<Option> options(Node schema) {
    if (schema.json() instanceof JsonPrimitive flag && flag.isBoolean()) {
      return flag.getAsBoolean() ? List.of() : List.of(new Option());
    }
    Keywords keywords = new Keywords(schema);
    List<Option> options = new ArrayList<>();
    for (String keyword : keywords.names()) {
      options.addAll(options(keywords, keyword));
    }
    return options;
  }

  private List<Option> options(Keywords keywords, String keyword) {
    return switch (keyword) {
      case "$ref" ->
          List.of(new Option(new Part(document.target(keywords.schema(), keyword), false)));
      case "allOf" -> broken(keywords.schemas(keyword)).stream().map(Option::new).toList();
      case "anyOf" -> List.of(new Option(_ -> {}, broken(keywords.schemas(keyword))));
      case "not" -> List.of(new Option(keywords.part(keyword)));
      case "if" -> conditions(keywords);
      case "type" -> types(keywords);
      case "enum" -> List.of(without(keywords, keyword, keywords.values()));
      case "const" -> List.of(without(keywords, keyword, List.of(keywords.constant())));
      case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf" ->
          numbers(keywords, keyword);
      case "minLength" ->
          atMost(keywords.count(keyword), Kind.STRING, (a, n) -> a.strings = a.strings.atMost(n));
      case "minItems" ->
          atMost(keywords.count(keyword), Kind.ARRAY, (a, n) -> a.arrays = a.arrays.atMost(n));
      case "minProperties" ->
          atMost(keywords.count(keyword), Kind.OBJECT, (a, n) -> a.objects = a.objects.atMost(n));
      case "maxLength" ->
          of(Kind.STRING, a -> a.strings = a.strings.atLeast(keywords.count(keyword) + 1));
      case "maxItems" ->
          of(Kind.ARRAY, a -> a.arrays = a.arrays.atLeast(keywords.count(keyword) + 1));
      case "maxProperties" ->
          of(Kind.OBJECT, a -> a.objects = a.objects.atLeast(keywords.count(keyword) + 1));
      case "pattern" -> of(Kind.STRING, a -> a.strings = a.strings.without(keywords.pattern()));
      case "items", "prefixItems" -> items(keywords, keyword);
      case "contains" -> contains(keywords);
      case "required" ->
          keywords.texts(keyword).stream()
              .flatMap(name -> of(Kind.OBJECT, a -> member(a, name, NOTHING)).stream())
              .toList();
      case "properties" ->
          keywords.named(keyword).entrySet().stream()
              .flatMap(each ->
                  of(
                      Kind.OBJECT,
                      a -> {
                        a.objects = a.objects.requiring(each.getKey());
                        member(a, each.getKey(), new Part(each.getValue(), false));
                      })
                      .stream())
              .toList();
      case "uniqueItems" ->
          keywords.flag(keyword) ? undecided(keywords, keyword, Kind.ARRAY) : List.of();
      case "additionalProperties",
          "patternProperties",
          "propertyNames",
          "dependentRequired",
          "dependentSchemas" ->
          undecided(keywords, keyword, Kind.OBJECT);
      default -> throw problem(keywords, keyword);
    };
  }

  private static List<Part> broken(List<Node> schemas) {
    return schemas.stream().map(each -> new Part(each, false)).toList();
  }

  private static List<Option> of(Kind kind, Consumer<Alternative> change) {
    return List.of(
        new Option(
            alternative -> {
              alternative.only(Set.of(kind));
              change.accept(alternative);
            },
            List.of()));
  }

  /** A change that takes a count. */
  private interface Limit {
    void set(Alternative alternative, int most);
  }

  private static List<Option> atMost(int least, Kind kind, Limit limit) {
    return least == 0 ? List.of() : of(kind, a -> limit.set(a, least - 1));
  }

  private static void member(Alternative alternative, String name, Part value) {
    alternative.objects = alternative.objects.with(new ObjectSet.Form(name, value));
  }

  private static List<Option> conditions(Keywords keywords) {
    Part condition = keywords.part("if");
    List<Option> options = new ArrayList<>();
    if (keywords.has("then")) {
      options.add(new Option(condition, keywords.part("then").opposite()));
    }
    if (keywords.has("else")) {
      options.add(new Option(condition.opposite(), keywords.part("else").opposite()));
    }
    return options;
  }

  private static List<Option> types(Keywords keywords) {
    List<String> types = keywords.types();
    EnumSet<Kind> others = EnumSet.allOf(Kind.class);
    types.forEach(type -> others.removeAll(keywords.kinds(type)));
    List<Option> options = new ArrayList<>();
    options.add(new Option(alternative -> alternative.only(others), List.of()));
    if (types.contains("integer") && !types.contains("number")) {
      options.addAll(offStep(keywords, "type", BigDecimal.ONE));
    }
    return options;
  }

  private static List<Option> offStep(Keywords keywords, String keyword, BigDecimal step) {
    Predicate<JsonElement> wanted =
        value -> JsonValues.number(value).filter(n -> n.remainder(step).signum() != 0).isPresent();
    return of(
        Kind.NUMBER,
        a ->
            a.undecided(
                Kind.NUMBER,
                wanted,
                all -> all.numbers.areMultiples(step),
                problem(keywords, keyword)));
  }

  private static List<Option> numbers(Keywords keywords, String keyword) {
    if (keywords.isTrue(keyword)) {
      return List.of(); // the flag of older drafts, read with its bound
    }
    BigDecimal value = keywords.number(keyword);
    return switch (keyword) {
      case "minimum" ->
          of(
              Kind.NUMBER,
              a -> a.numbers = a.numbers.atMost(value, !keywords.isTrue("exclusiveMinimum")));
      case "maximum" ->
          of(
              Kind.NUMBER,
              a -> a.numbers = a.numbers.atLeast(value, !keywords.isTrue("exclusiveMaximum")));
      case "exclusiveMinimum" -> of(Kind.NUMBER, a -> a.numbers = a.numbers.atMost(value, false));
      case "exclusiveMaximum" -> of(Kind.NUMBER, a -> a.numbers = a.numbers.atLeast(value, false));
      default -> offStep(keywords, keyword, keywords.step());
    };
  }

  private static Option without(Keywords keywords, String keyword, List<JsonElement> values) {
    return new Option(
        alternative -> {
          for (JsonElement value : values) {
            switch (value) {
              case JsonNull _ -> alternative.without(Kind.NULL);
              case JsonPrimitive p when p.isBoolean() -> alternative.without(Kind.of(p));
              case JsonPrimitive p when p.isString() ->
                  alternative.strings = alternative.strings.without(p.getAsString());
              case JsonPrimitive p ->
                  alternative.numbers =
                      alternative.numbers.without(
                          JsonValues.number(p).orElseThrow(() -> problem(keywords, keyword)));
              default ->
                  alternative.undecided(
                      Kind.of(value),
                      other -> !JsonValues.same(value, other),
                      _ -> false,
                      problem(keywords, keyword));
            }
          }
        },
        List.of());
  }

  private static List<Option> items(Keywords keywords, String keyword) {
    boolean plain = keyword.equals("items") && !keywords.has("prefixItems");
    if (plain && keywords.isSchema(keyword)) {
      ArraySet.Contained broken = new ArraySet.Contained(keywords.part(keyword).opposite(), 1, -1);
      return of(
          Kind.ARRAY,
          a -> {
            a.uses("contains", keywords.schema());
            a.arrays = a.arrays.with(broken);
          });
    }
    if (keyword.equals("prefixItems")) {
      List<Node> first = keywords.schemas(keyword);
      List<Option> options = new ArrayList<>();
      for (int i = 0; i < first.size(); i++) {
        List<Part> items = new ArrayList<>();
        for (int j = 0; j < i; j++) {
          items.add(NOTHING.opposite());
        }
        items.add(new Part(first.get(i), false));
        int least = i + 1;
        options.addAll(
            of(
                Kind.ARRAY,
                a ->
                    a.arrays =
                        a.arrays.with(new ArraySet.Items(items, Optional.empty())).atLeast(least)));
      }
      return options;
    }
    return undecided(keywords, keyword, Kind.ARRAY);
  }

  private static List<Option> contains(Keywords keywords) {
    ArraySet.Contained contained = keywords.contained();
    if (contained.least() != 1 || contained.most() >= 0) {
      return undecided(keywords, "contains", Kind.ARRAY);
    }
    ArraySet.Items none = new ArraySet.Items(List.of(), Optional.of(contained.item().opposite()));
    return of(Kind.ARRAY, a -> a.arrays = a.arrays.with(none));
  }

  private static List<Option> undecided(Keywords keywords, String keyword, Kind kind) {
    ConstraintException problem = problem(keywords, keyword);
    return of(
        kind,
        a ->
            a.undecided(
                kind,
                _ -> {
                  throw problem;
                },
                _ -> false,
                problem));
  }

  private static ConstraintException problem(Keywords keywords, String keyword) {
    return keywords
        .schema()
        .refuse(
            keyword,
            "stands where it has to be broken ('not', 'if', or an 'oneOf' that overlaps), and"
                + " whether it is cannot be decided while a value is written; say what is allowed"
                + " instead.");
  }
}

package dev.knapsack.constraint;

import dev.knapsack.constraint.Alternative.Kind;
import dev.knapsack.constraint.Conjunction.Part;
import dev.knapsack.constraint.StringSet.Pattern;
import java.math.BigDecimal;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Reads keywords that leave no choice: each narrows an alternative. */
final class SchemaNarrowing {
  /** Keywords through which properties or items could be evaluated elsewhere. */
  private static final Set<String> APPLICATORS =
      Set.of(
          "$ref", "allOf", "anyOf", "oneOf", "if", "dependentSchemas", "dependencies", "contains");

  private SchemaNarrowing() {}

  /** Reads a keyword that holds. */
  static void narrow(Keywords keywords, String keyword, Alternative to) {
    to.uses(keyword, keywords.schema());
    switch (keyword) {
      case "type" -> type(keywords, to);
      case "enum" -> to.only(keywords.values());
      case "const" -> to.only(List.of(keywords.constant()));
      case "minimum" ->
          to.numbers =
              to.numbers.atLeast(keywords.number(keyword), keywords.isTrue("exclusiveMinimum"));
      case "maximum" ->
          to.numbers =
              to.numbers.atMost(keywords.number(keyword), keywords.isTrue("exclusiveMaximum"));
      case "exclusiveMinimum" -> {
        if (!keywords.isFlag(keyword)) {
          to.numbers = to.numbers.atLeast(keywords.number(keyword), true);
        }
      }
      case "exclusiveMaximum" -> {
        if (!keywords.isFlag(keyword)) {
          to.numbers = to.numbers.atMost(keywords.number(keyword), true);
        }
      }
      case "multipleOf" -> to.numbers = to.numbers.multiples(keywords.step());
      case "minLength" -> to.strings = to.strings.atLeast(keywords.count(keyword));
      case "maxLength" -> to.strings = to.strings.atMost(keywords.count(keyword));
      case "pattern" -> to.strings = to.strings.with(keywords.pattern());
      case "format" -> format(keywords, to);
      case "minItems" -> to.arrays = to.arrays.atLeast(keywords.count(keyword));
      case "maxItems" -> to.arrays = to.arrays.atMost(keywords.count(keyword));
      case "uniqueItems" -> to.arrays = keywords.flag(keyword) ? to.arrays.ofDistinct() : to.arrays;
      case "contains" -> to.arrays = to.arrays.with(keywords.contained());
      case "items", "prefixItems", "unevaluatedItems" -> {
        if (isFirst(keywords, keyword, "items", "prefixItems", "unevaluatedItems")) {
          to.arrays = to.arrays.with(items(keywords));
        }
      }
      case "minProperties" -> to.objects = to.objects.atLeast(keywords.count(keyword));
      case "maxProperties" -> to.objects = to.objects.atMost(keywords.count(keyword));
      case "required" ->
          keywords.texts(keyword).forEach(name -> to.objects = to.objects.requiring(name));
      case "propertyNames" -> to.objects = to.objects.named(keywords.part(keyword));
      case "properties", "patternProperties", "additionalProperties", "unevaluatedProperties" -> {
        if (isFirst(
            keywords,
            keyword,
            "properties",
            "patternProperties",
            "additionalProperties",
            "unevaluatedProperties")) {
          to.objects = to.objects.with(form(keywords));
        }
      }
      case "additionalItems" -> {} // beside a list of items
      default ->
          throw keywords
              .schema()
              .refuse(keyword, "is not supported; use '$ref' with a definition of this schema.");
    }
  }

  /** Says whether a keyword is the first of some that are read together. */
  private static boolean isFirst(Keywords keywords, String keyword, String... together) {
    for (String each : together) {
      if (keywords.has(each)) {
        return each.equals(keyword);
      }
    }
    return false;
  }

  private static void type(Keywords keywords, Alternative to) {
    List<String> types = keywords.types();
    EnumSet<Kind> kinds = EnumSet.noneOf(Kind.class);
    types.forEach(type -> kinds.addAll(keywords.kinds(type)));
    to.only(kinds);
    if (types.contains("integer") && !types.contains("number")) {
      to.numbers = to.numbers.multiples(BigDecimal.ONE);
    }
  }

  private static void format(Keywords keywords, Alternative to) {
    String name = SchemaDocument.string(keywords.schema(), "format");
    switch (name) {
      case "int32" ->
          to.numbers =
              to.numbers
                  .atLeast(BigDecimal.valueOf(Integer.MIN_VALUE), false)
                  .atMost(BigDecimal.valueOf(Integer.MAX_VALUE), false);
      case "int64" ->
          to.numbers =
              to.numbers
                  .atLeast(BigDecimal.valueOf(Long.MIN_VALUE), false)
                  .atMost(BigDecimal.valueOf(Long.MAX_VALUE), false);
      case "regex" ->
          throw keywords
              .schema()
              .refuse(
                  "format", "'regex' is not supported: expressions nest; leave the format out.");
      default -> StringFormat.named(name).ifPresent(format -> to.strings = to.strings.with(format));
    }
  }

  private static ArraySet.Items items(Keywords keywords) {
    boolean old = keywords.has("items") && !keywords.isSchema("items");
    String list = old ? "items" : "prefixItems";
    String others = old ? "additionalItems" : "items";
    List<Part> first =
        keywords.has(list) && !keywords.isEmptyList(list)
            ? keywords.schemas(list).stream().map(each -> new Part(each, true)).toList()
            : List.of();
    if (keywords.has(others)) {
      return new ArraySet.Items(first, Optional.of(keywords.part(others)));
    }
    return new ArraySet.Items(first, unevaluated(keywords, "unevaluatedItems"));
  }

  private static ObjectSet.Form form(Keywords keywords) {
    Map<String, Part> named = new LinkedHashMap<>();
    if (keywords.has("properties")) {
      keywords.named("properties").forEach((name, value) -> named.put(name, new Part(value, true)));
    }
    Map<Pattern, Part> matched = new LinkedHashMap<>();
    if (keywords.has("patternProperties")) {
      keywords
          .named("patternProperties")
          .forEach((source, value) ->
              matched.put(Keywords.pattern(source, value.pointer()), new Part(value, true)));
    }
    Optional<Part> others =
        keywords.has("additionalProperties")
            ? Optional.of(keywords.part("additionalProperties"))
            : unevaluated(keywords, "unevaluatedProperties");
    return new ObjectSet.Form(named, matched, others);
  }

  /** The schema of all that no other keyword here looks at, if none looks elsewhere. */
  private static Optional<Part> unevaluated(Keywords keywords, String keyword) {
    if (!keywords.has(keyword)) {
      return Optional.empty();
    }
    APPLICATORS.stream()
        .filter(keywords::has)
        .findFirst()
        .ifPresent(applicator -> {
          throw keywords
              .schema()
              .refuse(
                  keyword,
                  "beside '%s' is not supported; name all properties and items in one schema, and"
                          .formatted(applicator)
                      + " close it there.");
        });
    return Optional.of(keywords.part(keyword));
  }
}

package dev.knapsack.text.template;

import dev.knapsack.error.TemplateException;
import dev.knapsack.text.MarkedText;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The tests: what may stand after {@code is}. */
final class Tests {
  private static final Set<String> NAMES =
      Set.of(
          "defined",
          "undefined",
          "none",
          "boolean",
          "true",
          "false",
          "integer",
          "float",
          "number",
          "string",
          "mapping",
          "sequence",
          "iterable",
          "callable",
          "odd",
          "even",
          "divisibleby",
          "lower",
          "upper",
          "in",
          "sameas",
          "equalto",
          "eq",
          "==",
          "ne",
          "!=",
          "lt",
          "lessthan",
          "<",
          "le",
          "<=",
          "gt",
          "greaterthan",
          ">",
          "ge",
          ">=",
          "escaped",
          "filter",
          "test");

  private Tests() {}

  static boolean holds(String name, Object value, Arguments arguments, Meter meter) {
    return switch (name) {
      case "defined" -> !(value instanceof Undefined);
      case "undefined" -> value instanceof Undefined;
      case "none" -> value == None.NONE;
      case "boolean" -> value instanceof Boolean;
      case "true" -> Boolean.TRUE.equals(value);
      case "false" -> Boolean.FALSE.equals(value);
      case "integer" -> value instanceof Long;
      case "float" -> value instanceof Double;
      case "number" -> Values.isNumber(value);
      case "string" -> value instanceof MarkedText;
      case "mapping" -> value instanceof Map<?, ?>;
      // In the reference an undefined value can be iterated over, and has a length.
      case "sequence" -> isSequence(value);
      case "iterable" ->
          isSequence(value) || value instanceof Generator || value instanceof DictView;
      case "callable" -> value instanceof Callable || value instanceof Undefined;
      case "odd" -> Values.equal(Arithmetic.apply("%", value, 2L, meter), 1L, meter);
      case "even" -> Values.equal(Arithmetic.apply("%", value, 2L, meter), 0L, meter);
      case "divisibleby" ->
          Values.equal(Arithmetic.apply("%", value, arguments.get(0, "num"), meter), 0L, meter);
      case "lower", "upper" ->
          Letters.areAll(name.equals("upper"), Representation.of(value, meter).text(), meter);
      case "filter" -> value instanceof MarkedText text && Filters.NAMES.contains(text.text());
      case "test" -> value instanceof MarkedText text && NAMES.contains(text.text());
      case "in" -> Values.contains(arguments.get(0, "seq"), value, meter);
      case "sameas" -> {
        Object other = arguments.get(0, "other");
        yield Values.same(value, other) || (Values.isNumber(value) && value.equals(other));
      }
      case "equalto", "eq", "==" -> Values.equal(value, arguments.get(0, "other"), meter);
      case "ne", "!=" -> !Values.equal(value, arguments.get(0, "other"), meter);
      case "lt", "lessthan", "<" -> compare(value, arguments, "<", meter) < 0;
      case "le", "<=" -> compare(value, arguments, "<=", meter) <= 0;
      case "gt", "greaterthan", ">" -> compare(value, arguments, ">", meter) > 0;
      case "ge", ">=" -> compare(value, arguments, ">=", meter) >= 0;
      case "escaped" -> false;
      default -> throw new TemplateException("No test named '" + name + "'.");
    };
  }

  private static boolean isSequence(Object value) {
    return value instanceof MarkedText
        || value instanceof List<?>
        || value instanceof Map<?, ?>
        || value instanceof Undefined;
  }

  private static int compare(Object value, Arguments arguments, String operator, Meter meter) {
    return Values.compare(value, arguments.get(0, "other"), operator, meter);
  }
}

package dev.knapsack.text.template;

import java.util.List;
import java.util.Map;

/** The tests: what may stand after {@code is}. */
final class Tests {
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
      case "string" -> value instanceof String;
      case "mapping" -> value instanceof Map<?, ?>;
      // In the reference an undefined value can be iterated over, and has a length.
      case "iterable", "sequence" ->
          value instanceof String
              || value instanceof List<?>
              || value instanceof Map<?, ?>
              || value instanceof Undefined;
      case "callable" -> value instanceof Callable || value instanceof Undefined;
      case "odd" -> Math.floorMod(Values.requireInteger(value), 2L) == 1;
      case "even" -> Math.floorMod(Values.requireInteger(value), 2L) == 0;
      case "divisibleby" ->
          Values.equal(Arithmetic.apply("%", value, arguments.get(0, "num"), meter), 0L, meter);
      case "lower" -> {
        String text = Representation.of(value, meter);
        meter.characters(text.length());
        yield text.equals(Strings.lower(text)) && !text.equals(Strings.upper(text));
      }
      case "upper" -> {
        String text = Representation.of(value, meter);
        meter.characters(text.length());
        yield text.equals(Strings.upper(text)) && !text.equals(Strings.lower(text));
      }
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

  private static int compare(Object value, Arguments arguments, String operator, Meter meter) {
    return Values.compare(value, arguments.get(0, "other"), operator, meter);
  }
}

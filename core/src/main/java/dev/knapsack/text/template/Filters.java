package dev.knapsack.text.template;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.List;

/**
 * The filters: what may stand after {@code |}. Those on single values and texts are here, the
 * others in {@link ListFilters}.
 */
final class Filters {
  private final Meter meter;
  private final ListFilters lists;

  Filters(Meter meter) {
    this.meter = meter;
    lists = new ListFilters(this, meter);
  }

  Object apply(String name, Object value, Arguments arguments) {
    return switch (name) {
      case "default", "d" -> {
        arguments.only(name, "default_value", "boolean");
        boolean missing =
            value instanceof Undefined
                || (arguments.flag(1, "boolean", false) && !Values.isTrue(value));
        yield missing ? arguments.get(0, "default_value", "") : value;
      }
      case "tojson" -> Json.write(value, arguments, meter);
      case "string", "safe" -> Representation.of(value, meter);
      case "length", "count" -> Values.length(value);
      case "trim" ->
          Strings.strip(
              Representation.of(value, meter),
              arguments.only(name, "chars").get(0, "chars", None.NONE),
              true,
              true,
              meter);
      case "upper", "lower", "capitalize", "title" -> {
        String text = Representation.of(value, meter);
        meter.characters(text.length());
        yield switch (name) {
          case "upper" -> Strings.upper(text);
          case "lower" -> Strings.lower(text);
          case "capitalize" -> Strings.capitalize(text);
          default -> Strings.title(text, false);
        };
      }
      case "replace" -> {
        arguments.only(name, "old", "new", "count");
        Object count = arguments.get(2, "count", None.NONE);
        yield Strings.replace(
            Representation.of(value, meter),
            Representation.of(arguments.get(0, "old"), meter),
            Representation.of(arguments.get(1, "new"), meter),
            count == None.NONE ? -1 : Values.requireInteger(count),
            meter);
      }
      case "indent" -> indent(Representation.of(value, meter), arguments);
      case "escape", "e", "forceescape" -> escape(Representation.of(value, meter));
      case "center" -> {
        Callable center = StringMethods.find(Representation.of(value, meter), "center");
        Arguments width = Arguments.of(arguments.get(0, "width", 80L));
        yield center == null ? "" : center.call(width, meter);
      }
      case "format" ->
          PercentFormat.format(Values.requireString(value), arguments.positional(), meter);
      case "truncate" -> truncate(Representation.of(value, meter), arguments);
      case "wordcount" ->
          (long) Strings.split(Representation.of(value, meter), None.NONE, -1, meter).size();
      case "int" -> integer(value, arguments.get(0, "default", 0L));
      case "float" -> decimal(value, arguments.get(0, "default", 0.0));
      case "abs" ->
          Values.compare(value, 0L, "<", meter) < 0
              ? Arithmetic.negative(value)
              : Arithmetic.positive(value);
      case "round" -> round(value, arguments);
      case "attr" -> Attributes.attribute(value, arguments.string(0, "name"));
      case "items" ->
          value instanceof Undefined
              ? List.of()
              : Attributes.items(Values.requireMap(value), meter);
      default -> lists.apply(name, value, arguments);
    };
  }

  private String indent(String text, Arguments arguments) {
    arguments.only("indent", "width", "first", "blank");
    Object width = arguments.get(0, "width", 4L);
    String blanks =
        width instanceof String given
            ? given
            : meter.text().repeat(" ", Values.requireInteger(width)).toString();
    boolean blank = arguments.flag(2, "blank", false);
    Meter.Text out = meter.text();
    boolean indented = arguments.flag(1, "first", false);
    for (int from = 0; from <= text.length(); ) {
      int end = text.indexOf('\n', from);
      int to = end < 0 ? text.length() : end;
      // The first line is indented even when it is empty, the others only when asked.
      if (indented && (blank || to > from || from == 0)) {
        out.add(blanks);
      }
      out.add(text.substring(from, to));
      if (end >= 0) {
        out.add('\n');
      }
      indented = true;
      from = to + 1;
    }
    return out.toString();
  }

  private String escape(String text) {
    Meter.Text out = meter.text();
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      switch (c) {
        case '&' -> out.add("&amp;");
        case '<' -> out.add("&lt;");
        case '>' -> out.add("&gt;");
        case '"' -> out.add("&#34;");
        case '\'' -> out.add("&#39;");
        default -> out.add(c);
      }
    }
    return out.toString();
  }

  private String truncate(String text, Arguments arguments) {
    arguments.only("truncate", "length", "killwords", "end", "leeway");
    long length = arguments.integer(0, "length", 255);
    String end = Values.requireString(arguments.get(2, "end", "..."));
    if (Values.length(text) <= length + arguments.integer(3, "leeway", 5)) {
      return text;
    }
    String cut = Strings.slice(text, 0, length - Values.length(end), meter);
    int word = arguments.flag(1, "killwords", false) ? -1 : cut.lastIndexOf(' ');
    return meter.text().add(word < 0 ? cut : cut.substring(0, word)).add(end).toString();
  }

  private Object integer(Object value, Object fallback) {
    try {
      return switch (value) {
        case Double d when !Double.isNaN(d) && !Double.isInfinite(d) -> (long) (double) d;
        case Long _, Boolean _ -> Values.integer(value);
        case String string -> number(string).setScale(0, RoundingMode.DOWN).longValueExact();
        default -> fallback;
      };
    } catch (ArithmeticException e) {
      return fallback;
    }
  }

  private Object decimal(Object value, Object fallback) {
    try {
      return switch (value) {
        case Double _, Long _, Boolean _ -> Values.number(value);
        case String string -> number(string).doubleValue();
        default -> fallback;
      };
    } catch (ArithmeticException e) {
      return fallback;
    }
  }

  private static BigDecimal number(String text) {
    try {
      String digits = text.strip();
      BigDecimal number = digits.length() > 40 ? BigDecimal.TEN.pow(99) : new BigDecimal(digits);
      // A huge exponent would ask for as many digits.
      if (Math.abs((long) number.precision() - number.scale()) > 100) {
        throw new ArithmeticException();
      }
      return number;
    } catch (NumberFormatException e) {
      throw new ArithmeticException();
    }
  }

  private Object round(Object value, Arguments arguments) {
    arguments.only("round", "precision", "method");
    if (!Values.isNumber(value)) {
      throw Values.refused(value, "round needs a number, not " + Values.typeName(value));
    }
    RoundingMode mode =
        switch (Representation.of(arguments.get(1, "method", "common"), meter)) {
          case "ceil" -> RoundingMode.CEILING;
          case "floor" -> RoundingMode.FLOOR;
          case "common" -> RoundingMode.HALF_EVEN;
          default -> throw new TemplateException("method must be common, ceil or floor");
        };
    double number = Values.number(value);
    if (Double.isNaN(number) || Double.isInfinite(number)) {
      return number;
    }
    int digits = Math.clamp(arguments.integer(0, "precision", 0), -400, 400);
    return new BigDecimal(number).setScale(digits, mode).doubleValue();
  }

  /** A value that a filter takes from each element: an attribute by its dotted name, or index. */
  Object path(Object element, Object attribute) {
    if (!(attribute instanceof String dotted)) {
      return Attributes.item(element, attribute, meter);
    }
    Object value = element;
    for (Object part : Strings.split(dotted, ".", -1, meter)) {
      String name = (String) part;
      boolean index =
          !name.isEmpty() && name.length() < 10 && name.chars().allMatch(c -> c >= '0' && c <= '9');
      value = Attributes.item(value, index ? (Object) Long.parseLong(name) : name, meter);
    }
    return value;
  }
}

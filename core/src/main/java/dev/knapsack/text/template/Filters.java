package dev.knapsack.text.template;

import dev.knapsack.error.TemplateException;
import dev.knapsack.text.MarkedText;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.RoundingMode;
import java.util.Iterator;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The filters: what may stand after {@code |}. Those on single values are here, the others in
 * {@link TextFilters} and {@link ListFilters}.
 */
final class Filters {
  static final Set<String> NAMES =
      Set.of(
          "abs",
          "attr",
          "batch",
          "capitalize",
          "center",
          "count",
          "d",
          "default",
          "dictsort",
          "e",
          "escape",
          "filesizeformat",
          "first",
          "float",
          "forceescape",
          "format",
          "groupby",
          "indent",
          "int",
          "items",
          "join",
          "last",
          "length",
          "list",
          "lower",
          "map",
          "max",
          "min",
          "pprint",
          "reject",
          "rejectattr",
          "replace",
          "reverse",
          "round",
          "safe",
          "select",
          "selectattr",
          "slice",
          "sort",
          "string",
          "striptags",
          "sum",
          "title",
          "tojson",
          "trim",
          "truncate",
          "unique",
          "upper",
          "urlencode",
          "wordcount",
          "wordwrap",
          "xmlattr");

  /** The filters without arguments. */
  private static final Set<String> BARE =
      Set.of(
          "abs",
          "capitalize",
          "count",
          "e",
          "escape",
          "first",
          "forceescape",
          "items",
          "last",
          "length",
          "list",
          "lower",
          "pprint",
          "reverse",
          "safe",
          "string",
          "striptags",
          "title",
          "upper",
          "urlencode",
          "wordcount");

  /** Characters of a string that may be a number; none is written with more. */
  private static final int LONGEST_NUMBER = 400;

  private final Meter meter;
  private final TextFilters texts;
  private final ListFilters lists;

  Filters(Meter meter) {
    this.meter = meter;
    texts = new TextFilters(meter);
    lists = new ListFilters(this, meter);
  }

  Object apply(String name, Object value, Arguments arguments) {
    if (BARE.contains(name)) {
      arguments.only(name);
    }
    return switch (name) {
      case "default", "d" -> {
        arguments.only(name, "default_value", "boolean");
        boolean missing =
            value instanceof Undefined
                || (arguments.flag(1, "boolean", false) && !Values.isTrue(value));
        yield missing ? arguments.get(0, "default_value", MarkedText.EMPTY) : value;
      }
      case "tojson" -> Json.write(value, arguments, meter);
      case "string", "safe" -> Representation.of(value, meter);
      case "length", "count" -> Values.length(value, meter);
      case "int" -> integer(value, arguments.only(name, "default", "base"));
      case "float" -> decimal(value, arguments.only(name, "default").get(0, "default", 0.0));
      case "abs" ->
          Values.isNumber(value) && Numbers.isNegative(value)
              ? Arithmetic.negative(value)
              : Arithmetic.positive(value);
      case "round" -> round(value, arguments);
      case "attr" -> Attributes.own(value, arguments.string(0, "name"));
      case "items" -> items(value);
      case "random" ->
          throw new TemplateException(
              "the filter 'random' is not supported: a prompt must be the same each time");
      case "urlize" ->
          throw new TemplateException(
              "the filter 'urlize' is not supported: it makes links of HTML, which no model is"
                  + " prompted with");
      default -> {
        Object text = texts.apply(name, value, arguments);
        yield text == null ? lists.apply(name, value, arguments) : text;
      }
    };
  }

  /** The text that a line is indented by: so many blanks, or this text. */
  static MarkedText indentation(Object width, Meter meter) {
    return width instanceof MarkedText given
        ? given
        : meter.text().repeat(MarkedText.input(" "), Values.requireInteger(width)).build();
  }

  private Object items(Object value) {
    if (value instanceof Undefined) {
      return Generator.of(() -> null);
    }
    return Generator.of(
        new Generator.Source() {
          private @Nullable Iterator<Map.Entry<Object, Object>> entries;

          @Override
          public @Nullable Object next() {
            if (entries == null) {
              entries = Values.requireMap(value).entrySet().iterator();
            }
            if (!entries.hasNext()) {
              return null;
            }
            Map.Entry<Object, Object> entry = entries.next();
            meter.elements(3);
            return Tuple.of(entry.getKey(), entry.getValue());
          }
        });
  }

  private Object integer(Object value, Arguments arguments) {
    Object fallback = arguments.get(0, "default", 0L);
    int base = arguments.integer(1, "base", 10);
    meter.step(8);
    return switch (value) {
      case Undefined undefined -> throw undefined.refusal();
      case Double d when d.isNaN() || d.isInfinite() -> fallback;
      case Double d -> whole(new BigDecimal(d).toBigInteger());
      case Long _, Boolean _ -> Values.integer(value);
      case MarkedText text -> {
        meter.scan(text.length());
        BigInteger whole = whole(text.text().strip(), base);
        if (whole != null) {
          yield whole(whole);
        }
        double number = decimal(text.text());
        yield Double.isNaN(number) || Double.isInfinite(number)
            ? fallback
            : whole(new BigDecimal(number).toBigInteger());
      }
      default -> fallback;
    };
  }

  private static long whole(BigInteger value) {
    if (value.bitLength() > 63) {
      throw new TemplateException("an integer grows beyond the limit of 64 bits");
    }
    return value.longValue();
  }

  /** The digits of a whole number, with the prefix that the base may have; null if it is none. */
  private static @Nullable BigInteger whole(String text, int base) {
    if (text.length() > LONGEST_NUMBER) {
      return null;
    }
    boolean signed = text.startsWith("-") || text.startsWith("+");
    String digits = text.substring(signed ? 1 : 0);
    String prefix =
        switch (base) {
          case 2 -> "0b";
          case 8 -> "0o";
          case 16 -> "0x";
          default -> "";
        };
    if (!prefix.isEmpty() && digits.regionMatches(true, 0, prefix, 0, 2)) {
      digits = digits.substring(2);
    }
    boolean wrong =
        digits.isEmpty()
            || digits.startsWith("_")
            || digits.endsWith("_")
            || digits.contains("__")
            || digits.startsWith("-")
            || digits.startsWith("+");
    try {
      BigInteger whole = wrong ? null : new BigInteger(digits.replace("_", ""), base);
      return whole == null ? null : text.startsWith("-") ? whole.negate() : whole;
    } catch (NumberFormatException e) {
      return null;
    }
  }

  private Object decimal(Object value, Object fallback) {
    return switch (value) {
      case Undefined undefined -> throw undefined.refusal();
      case Double _, Long _, Boolean _ -> Values.number(value);
      case MarkedText text -> {
        meter.scan(text.length());
        double number = decimal(text.text());
        boolean said =
            !Double.isNaN(number) || text.text().toLowerCase(Locale.ROOT).contains("nan");
        yield said ? (Object) number : fallback;
      }
      default -> fallback;
    };
  }

  /** The number that a text is, as the reference reads it; NaN if it is none. */
  private static double decimal(String given) {
    String text = given.strip();
    if (text.isEmpty() || text.length() > LONGEST_NUMBER) {
      return Double.NaN;
    }
    boolean signed = text.charAt(0) == '-' || text.charAt(0) == '+';
    String size = text.substring(signed ? 1 : 0);
    if (size.equalsIgnoreCase("inf") || size.equalsIgnoreCase("infinity")) {
      return text.startsWith("-") ? Double.NEGATIVE_INFINITY : Double.POSITIVE_INFINITY;
    }
    // The JDK would take what the reference does not: 1f, 0x1p3.
    boolean plain = size.chars().allMatch(c -> (c >= '0' && c <= '9') || "+-._eE".indexOf(c) >= 0);
    boolean wrong = size.startsWith("_") || size.endsWith("_") || size.contains("__");
    try {
      return plain && !wrong ? Double.parseDouble(text.replace("_", "")) : Double.NaN;
    } catch (NumberFormatException e) {
      return Double.NaN;
    }
  }

  /** A number, or the number that a text is. */
  static double number(Object value, Meter meter) {
    if (Values.isNumber(value)) {
      return Values.number(value);
    }
    String text = Values.requireString(value);
    meter.scan(text.length());
    double number = decimal(text);
    if (Double.isNaN(number)) {
      throw new TemplateException("could not convert string to float");
    }
    return number;
  }

  private Object round(Object value, Arguments arguments) {
    arguments.only("round", "precision", "method");
    if (!Values.isNumber(value)) {
      throw Values.refused(value, "round needs a number, not " + Values.typeName(value));
    }
    meter.step(256); // the exact value of a double may have a thousand digits
    String method = Representation.of(arguments.get(1, "method", MarkedText.EMPTY), meter).text();
    int digits = Math.clamp(arguments.integer(0, "precision", 0), -400, 400);
    double number = Values.number(value);
    if (method.equals("ceil") || method.equals("floor")) {
      double scale = Math.pow(10, digits);
      double scaled = number * scale;
      return (method.equals("ceil") ? Math.ceil(scaled) : Math.floor(scaled)) / scale;
    }
    if (!method.isEmpty() && !method.equals("common")) {
      throw new TemplateException("method must be common, ceil or floor");
    }
    if (Values.isInteger(value)) {
      BigDecimal whole = BigDecimal.valueOf(Values.integer(value));
      return digits >= 0
          ? Values.integer(value)
          : whole(whole.setScale(digits, RoundingMode.HALF_EVEN).toBigInteger());
    }
    return Double.isNaN(number) || Double.isInfinite(number)
        ? number
        : Math.copySign(
            new BigDecimal(number).setScale(digits, RoundingMode.HALF_EVEN).doubleValue(), number);
  }

  /** A value that a filter takes from each element: an attribute by its dotted name, or index. */
  Object path(Object element, Object attribute, Object fallback) {
    if (!(attribute instanceof MarkedText dotted)) {
      return orElse(Attributes.item(element, attribute, meter), fallback);
    }
    Object value = element;
    for (Object part : Strings.split(dotted, MarkedText.control("."), -1, meter)) {
      String name = ((MarkedText) part).text();
      boolean index =
          !name.isEmpty() && name.length() < 10 && name.chars().allMatch(c -> c >= '0' && c <= '9');
      Object taken = Attributes.item(value, index ? (Object) Long.parseLong(name) : part, meter);
      value = orElse(taken, fallback);
    }
    return value;
  }

  private static Object orElse(Object value, Object fallback) {
    return value instanceof Undefined && fallback != None.NONE ? fallback : value;
  }
}

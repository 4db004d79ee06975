package dev.knapsack.text.template;

import dev.knapsack.error.TemplateException;
import dev.knapsack.text.MarkedText;
import org.jspecify.annotations.Nullable;

/**
 * The format behind the colon of a replacement field: {@code
 * [[fill]align][sign][#][0][width][,][.precision][type]}.
 */
final class FormatSpec {
  private static final MarkedText BLANK = MarkedText.input(" ");
  private static final MarkedText ZERO = MarkedText.input("0");

  private final Meter meter;
  private final MarkedText source;
  private int at;
  private @Nullable MarkedText fill;
  private char align;
  private char sign;
  private boolean noNegativeZero;
  private boolean alternate;
  private boolean zeros;
  private int width;
  private char grouping;
  private int precision = -1;
  private char type;

  private FormatSpec(MarkedText source, Meter meter) {
    this.source = source;
    this.meter = meter;
    read();
  }

  static MarkedText format(Object value, MarkedText source, Meter meter) {
    if (source.isEmpty()) {
      return Representation.of(value, meter);
    }
    if (!(value instanceof MarkedText) && !Values.isNumber(value)) {
      throw Values.refused(
          value, "unsupported format string passed to " + Values.typeName(value) + ".__format__");
    }
    FormatSpec spec = new FormatSpec(source, meter);
    return value instanceof MarkedText text ? spec.text(text) : spec.number(value);
  }

  private void read() {
    String text = source.text();
    int first = text.offsetByCodePoints(0, 1);
    if (first < text.length() && isAlign(text.charAt(first))) {
      fill = source.slice(0, first);
      align = text.charAt(first);
      at = first + 1;
    } else if (isAlign(text.charAt(0))) {
      align = text.charAt(0);
      at = 1;
    }
    if (peek() == '+' || peek() == '-' || peek() == ' ') {
      sign = next();
    }
    if (peek() == 'z') {
      noNegativeZero = next() == 'z';
    }
    if (peek() == '#') {
      alternate = next() == '#';
    }
    if (peek() == '0') {
      zeros = true;
      fill = fill == null ? ZERO : fill;
    }
    width = integer();
    if (peek() == ',' || peek() == '_') {
      grouping = next();
    }
    if (peek() == '.') {
      at++;
      if (peek() < '0' || peek() > '9') {
        throw new TemplateException("Format specifier missing precision");
      }
      precision = integer();
    }
    if (at < text.length()) {
      type = next();
    }
    if (at < text.length()) {
      throw new TemplateException("Invalid format specifier '" + cut(text) + "'");
    }
  }

  private static String cut(String text) {
    return text.length() > 80 ? text.substring(0, 80) + "…" : text;
  }

  private static boolean isAlign(char c) {
    return "<>=^".indexOf(c) >= 0;
  }

  private MarkedText fill() {
    return fill == null ? BLANK : fill;
  }

  private char peek() {
    return at < source.length() ? source.charAt(at) : 0;
  }

  private char next() {
    return source.charAt(at++);
  }

  private int integer() {
    long value = 0;
    while (peek() >= '0' && peek() <= '9') {
      value = value * 10 + next() - '0';
      if (value > Integer.MAX_VALUE) {
        throw new TemplateException("Too many decimal digits in format string");
      }
    }
    return (int) value;
  }

  private MarkedText text(MarkedText text) {
    if (type != 0 && type != 's') {
      throw unknown("str");
    }
    if (grouping != 0) {
      throw new TemplateException("Cannot specify '" + grouping + "' with 's'.");
    }
    if (noNegativeZero) {
      throw new TemplateException(
          "Negative zero coercion (z) not allowed in string format specifier");
    }
    if (sign != 0) {
      throw new TemplateException("Sign not allowed in string format specifier");
    }
    if (align == '=') {
      throw new TemplateException("'=' alignment not allowed in string format specifier");
    }
    MarkedText shown = precision < 0 ? text : Strings.slice(text, 0, precision, meter);
    return padded(shown, align == 0 ? '<' : align);
  }

  private TemplateException unknown(String of) {
    return new TemplateException(
        "Unknown format code '" + type + "' for object of type '" + of + "'");
  }

  private MarkedText padded(MarkedText text, char side) {
    long missing = width - (long) Strings.length(text.text(), meter);
    long before = side == '<' ? 0 : side == '^' ? missing / 2 : missing;
    return Strings.pad(text, before, fill(), missing - before, meter);
  }

  private MarkedText number(Object value) {
    boolean whole = Values.isInteger(value) && "eEfFgG%".indexOf(type) < 0;
    if (type == 'c' && whole) {
      long c = Values.integer(value);
      if (c < 0 || c > Character.MAX_CODE_POINT) {
        throw new TemplateException("a character code is not in range(0x110000)");
      }
      return padded(MarkedText.input(Character.toString((int) c)), align == 0 ? '<' : align);
    }
    String digits;
    String prefix = "";
    if (whole) {
      if (type != 0 && "dxXobn".indexOf(type) < 0) {
        throw unknown("int");
      }
      if (precision >= 0) {
        throw new TemplateException("Precision not allowed in integer format specifier");
      }
      digits = Numbers.whole(value, type);
      prefix = alternate && "xXob".indexOf(type) >= 0 && type != 0 ? "0" + type : "";
    } else {
      if (type != 0 && "eEfFgGn%".indexOf(type) < 0) {
        throw unknown("float");
      }
      char as = type == 0 ? 'r' : type == 'n' ? 'g' : type;
      digits = Numbers.decimal(Values.number(value), as, precision, alternate, meter);
    }
    if (noNegativeZero && whole) {
      throw new TemplateException(
          "Negative zero coercion (z) not allowed in format specifier with integer");
    }
    boolean zero = noNegativeZero && digits.chars().noneMatch(c -> c >= '1' && c <= '9');
    boolean negative = Numbers.isNegative(value) && !zero;
    prefix = (negative ? "-" : sign == '+' || sign == ' ' ? String.valueOf(sign) : "") + prefix;
    char side = align == 0 ? (zeros ? '=' : '>') : align;
    if (grouping != 0) {
      boolean fillsZeros = side == '=' && fill().text().equals("0");
      digits = grouped(digits, fillsZeros ? width - prefix.length() : 0);
    }
    if (side != '=') {
      return padded(MarkedText.input(prefix + digits), side);
    }
    return meter
        .text()
        .own(prefix)
        .repeat(fill(), (long) width - prefix.length() - digits.length())
        .own(digits)
        .build();
  }

  /** The digits before the point in groups, with zeros before them up to a width. */
  private String grouped(String digits, int least) {
    int size = "xXob".indexOf(type) >= 0 && type != 0 ? 4 : 3;
    if (size == 4 && grouping == ',') {
      throw new TemplateException("Cannot specify ',' with '" + type + "'.");
    }
    meter.characters(Math.max(0, least));
    int end = 0;
    while (end < digits.length()
        && Character.digit(digits.charAt(end), 16) >= 0
        && (size == 4 || digits.charAt(end) != 'e')) {
      end++;
    }
    String rest = digits.substring(end);
    StringBuilder reversed = new StringBuilder();
    int count = 0;
    for (int i = end - 1; i >= 0 || reversed.length() + rest.length() < least; i--) {
      if (count > 0 && count % size == 0) {
        reversed.append(grouping);
      }
      reversed.append(i >= 0 ? digits.charAt(i) : '0');
      count++;
    }
    return reversed.reverse() + rest;
  }
}

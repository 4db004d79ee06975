package dev.knapsack.text.template;

import dev.knapsack.error.TemplateException;
import dev.knapsack.text.MarkedText;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Formats as {@code "%s has %5.2f" % (a, b)} and {@code "%(name)s" % {...}} do. */
final class PercentFormat {
  private static final MarkedText BLANK = MarkedText.input(" ");
  private static final String FLAGS = "-+ #0";

  private final MarkedText source;
  private final String text;
  private final List<Object> values;
  private final @Nullable Map<Object, Object> named;
  private final boolean mustUseAll;
  private final Meter meter;
  private final Meter.Text out;
  private int at;
  private int used;

  private PercentFormat(
      MarkedText source,
      List<Object> values,
      @Nullable Map<Object, Object> named,
      boolean mustUseAll,
      Meter meter) {
    this.source = source;
    this.text = source.text();
    this.values = values;
    this.named = named;
    this.mustUseAll = mustUseAll;
    this.meter = meter;
    out = meter.text();
  }

  /** The text of {@code format % operand}: a tuple gives all values, a dictionary those by name. */
  static MarkedText format(MarkedText format, Object operand, Meter meter) {
    List<Object> values = operand instanceof Tuple tuple ? tuple : List.of(operand);
    Map<Object, Object> named = operand instanceof Map<?, ?> ? Values.requireMap(operand) : null;
    // What could be asked for its items by name need not be used.
    boolean mustUseAll =
        operand instanceof Tuple
            || !(operand instanceof List<?> || named != null || operand instanceof Undefined);
    return new PercentFormat(format, values, named, mustUseAll, meter).run();
  }

  private MarkedText run() {
    meter.step(1 + (text.length() >> 3));
    int copied = 0;
    for (int field = text.indexOf('%'); field >= 0; field = text.indexOf('%', at)) {
      meter.step(1);
      out.add(source, copied, field);
      at = field + 1;
      Object value = null;
      if (peek() == '(') {
        value = byName();
      }
      int flags = at;
      while (at < text.length() && FLAGS.indexOf(text.charAt(at)) >= 0) {
        at++;
      }
      String given = text.substring(flags, at);
      long width = number();
      boolean left = given.contains("-") || width < 0;
      long precision = -1;
      if (peek() == '.') {
        at++;
        precision = Math.max(0, number());
      }
      while (peek() == 'l' || peek() == 'h' || peek() == 'L') {
        at++;
      }
      char type = peek();
      at++;
      if (type == '%') {
        out.add(source, at - 1, at);
      } else {
        if (at > text.length()) {
          throw new TemplateException("incomplete format");
        }
        if (value == null) {
          value = next();
        }
        field(value, type, given, Math.abs(width), left, precision);
      }
      copied = at;
    }
    if (used < values.size() && mustUseAll) {
      throw new TemplateException("not all arguments converted during string formatting");
    }
    return out.add(source, copied, text.length()).build();
  }

  private char peek() {
    return at < text.length() ? text.charAt(at) : 0;
  }

  private Object byName() {
    int end = at + 1;
    for (int open = 1; end < text.length(); end++) {
      open += text.charAt(end) == '(' ? 1 : text.charAt(end) == ')' ? -1 : 0;
      if (open == 0) {
        break;
      }
    }
    if (named == null) {
      throw new TemplateException("format requires a mapping");
    }
    if (end >= text.length()) {
      throw new TemplateException("incomplete format key");
    }
    String name = text.substring(at + 1, end);
    Object value = named.get(MarkedText.control(name));
    if (value == null) {
      throw new TemplateException("the format names '" + name + "', which was not given");
    }
    at = end + 1;
    return value;
  }

  private Object next() {
    if (used == values.size()) {
      throw new TemplateException("not enough arguments for format string");
    }
    return values.get(used++);
  }

  /** A width or precision, which may be an argument. */
  private long number() {
    if (peek() == '*') {
      at++;
      Object value = next();
      if (!Values.isInteger(value)) {
        throw new TemplateException("* wants int");
      }
      return Values.integer(value);
    }
    long value = 0;
    for (; peek() >= '0' && peek() <= '9'; at++) {
      value = Math.min(value * 10 + peek() - '0', Integer.MAX_VALUE);
    }
    return value;
  }

  private void field(
      Object value, char type, String flags, long width, boolean left, long precision) {
    switch (type) {
      case 's', 'r', 'a' -> {
        MarkedText shown =
            type == 's'
                ? Representation.of(value, meter)
                : type == 'r'
                    ? Representation.quoted(value, meter)
                    : Representation.ascii(value, meter);
        pad(precision < 0 ? shown : Strings.slice(shown, 0, precision, meter), width, left);
      }
      case 'c' -> pad(character(value), width, left);
      case 'd', 'i', 'u', 'x', 'X', 'o' -> {
        boolean plain = "diu".indexOf(type) >= 0;
        if (plain ? !Values.isNumber(value) : !Values.isInteger(value)) {
          throw Values.refused(
              value,
              "%"
                  + type
                  + (plain ? " format: a real number" : " format: an integer")
                  + " is required, not "
                  + Values.typeName(value));
        }
        if (value instanceof Double d && (d.isNaN() || d.isInfinite())) {
          throw new TemplateException("cannot convert float " + d + " to integer");
        }
        String digits = Numbers.whole(value, type);
        String prefix = flags.contains("#") && !plain ? "0" + type : "";
        long missing = Math.max(0, precision - digits.length());
        meter.characters(missing);
        String zeros = "0".repeat((int) missing);
        boolean negative = Numbers.isNegative(value) && !(plain && digits.equals("0"));
        number(negative, prefix, zeros + digits, flags, width, left);
      }
      case 'e', 'E', 'f', 'F', 'g', 'G' -> {
        if (!Values.isNumber(value)) {
          throw Values.refused(value, "must be real number, not " + Values.typeName(value));
        }
        String digits =
            Numbers.decimal(
                Values.number(value),
                type,
                (int) Math.min(precision, Integer.MAX_VALUE),
                flags.contains("#"),
                meter);
        number(Numbers.isNegative(value), "", digits, flags, width, left);
      }
      default -> throw new TemplateException("unsupported format character '" + type + "'");
    }
  }

  private static MarkedText character(Object value) {
    if (value instanceof MarkedText text && text.text().codePointCount(0, text.length()) == 1) {
      return text;
    }
    if (!Values.isInteger(value)
        || Values.integer(value) < 0
        || Values.integer(value) > Character.MAX_CODE_POINT) {
      throw Values.refused(value, "%c requires int or char");
    }
    return MarkedText.input(Character.toString((int) Values.integer(value)));
  }

  private void number(
      boolean negative, String prefix, String digits, String flags, long width, boolean left) {
    String sign = negative ? "-" : flags.contains("+") ? "+" : flags.contains(" ") ? " " : "";
    String first = sign + prefix;
    if (!flags.contains("0") || left) {
      pad(MarkedText.input(first + digits), width, left);
      return;
    }
    out.own(first)
        .repeat(MarkedText.input("0"), width - first.length() - digits.length())
        .own(digits);
  }

  private void pad(MarkedText shown, long width, boolean left) {
    long missing = width - Strings.length(shown.text(), meter);
    out.repeat(BLANK, left ? 0 : missing).add(shown).repeat(BLANK, left ? missing : 0);
  }
}

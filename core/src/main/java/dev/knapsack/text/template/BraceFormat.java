package dev.knapsack.text.template;

import dev.knapsack.error.TemplateException;
import dev.knapsack.text.MarkedText;

/**
 * Formats as {@code "{} and {name!r:>10}".format(...)} does: a field names an argument and what to
 * take of it ({@code {0.name[key]}}), how to write it, and in what form ({@link FormatSpec}).
 */
final class BraceFormat {
  private final Arguments arguments;
  private final Meter meter;
  private int next;
  private boolean numbered;

  private BraceFormat(Arguments arguments, Meter meter) {
    this.arguments = arguments;
    this.meter = meter;
  }

  static MarkedText format(MarkedText format, Arguments arguments, Meter meter) {
    return new BraceFormat(arguments, meter).format(format, 2);
  }

  private MarkedText format(MarkedText format, int depth) {
    if (depth == 0) {
      throw new TemplateException("Max string recursion exceeded");
    }
    String text = format.text();
    meter.step(1 + (text.length() >> 3));
    Meter.Text out = meter.text();
    int copied = 0;
    for (int at = 0; at < text.length(); at++) {
      char c = text.charAt(at);
      if (c != '{' && c != '}') {
        continue;
      }
      out.add(format, copied, at);
      boolean twice = at + 1 < text.length() && text.charAt(at + 1) == c;
      if (twice) {
        out.add(format, at, at + 1);
        at++;
      } else if (c == '}') {
        throw new TemplateException("Single '}' encountered in format string");
      } else {
        int end = fieldEnd(text, at + 1);
        out.add(field(format.slice(at + 1, end), depth));
        at = end;
      }
      copied = at + 1;
    }
    return out.add(format, copied, text.length()).build();
  }

  private static int fieldEnd(String text, int from) {
    int open = 1;
    for (int at = from; at < text.length(); at++) {
      char c = text.charAt(at);
      open += c == '{' ? 1 : c == '}' ? -1 : 0;
      if (open == 0) {
        return at;
      }
    }
    throw new TemplateException(
        from == text.length()
            ? "Single '{' encountered in format string"
            : "expected '}' before end of string");
  }

  private MarkedText field(MarkedText field, int depth) {
    meter.step(1);
    String text = field.text();
    int end = 0;
    boolean inBrackets = false;
    while (end < text.length() && (inBrackets || "!:".indexOf(text.charAt(end)) < 0)) {
      inBrackets = text.charAt(end) == '[' || (inBrackets && text.charAt(end) != ']');
      end++;
    }
    Object value = value(text.substring(0, end));
    if (end < text.length() && text.charAt(end) == '!') {
      char conversion = end + 1 < text.length() ? text.charAt(end + 1) : 0;
      value =
          switch (conversion) {
            case 's' -> Representation.of(value, meter);
            case 'r' -> Representation.quoted(value, meter);
            case 'a' -> Representation.ascii(value, meter);
            default ->
                throw new TemplateException("Unknown conversion specifier '" + conversion + "'");
          };
      end += 2;
      if (end < text.length() && text.charAt(end) != ':') {
        throw new TemplateException("expected ':' after conversion specifier");
      }
    }
    MarkedText spec =
        end < text.length()
            ? format(field.slice(end + 1, text.length()), depth - 1)
            : MarkedText.EMPTY;
    return FormatSpec.format(value, spec, meter);
  }

  /** The value that a field names: an argument, then attributes and items of it. */
  private Object value(String path) {
    int end = 0;
    while (end < path.length() && ".[".indexOf(path.charAt(end)) < 0) {
      end++;
    }
    Object value = argument(path.substring(0, end));
    while (end < path.length()) {
      meter.step(1);
      boolean item = path.charAt(end) == '[';
      int from = end + 1;
      end = from;
      while (end < path.length()
          && (item ? path.charAt(end) != ']' : ".[".indexOf(path.charAt(end)) < 0)) {
        end++;
      }
      String name = path.substring(from, end);
      if (name.isEmpty() || (item && end == path.length())) {
        throw new TemplateException(
            item && !name.isEmpty()
                ? "expected '}' before end of string"
                : "Empty attribute in format string");
      }
      value =
          item
              ? Attributes.item(
                  value, isIndex(name) ? (Object) index(name) : MarkedText.control(name), meter)
              : Attributes.attribute(value, name, meter);
      end += item ? 1 : 0;
    }
    return value;
  }

  private Object argument(String name) {
    if (!name.isEmpty() && !isIndex(name)) {
      Object value = arguments.named().get(name);
      if (value == null) {
        throw new TemplateException("the format names '" + name + "', which was not given");
      }
      return value;
    }
    if (name.isEmpty() ? numbered : next > 0) {
      throw new TemplateException(
          "cannot switch between automatic field numbering and manual field specification");
    }
    numbered |= !name.isEmpty();
    long index = name.isEmpty() ? next++ : index(name);
    if (index >= arguments.positional().size()) {
      throw new TemplateException(
          "Replacement index " + index + " out of range for positional args tuple");
    }
    return arguments.positional().get((int) index);
  }

  private static boolean isIndex(String name) {
    return name.chars().allMatch(c -> c >= '0' && c <= '9');
  }

  private static long index(String digits) {
    if (digits.length() > 9) {
      throw new TemplateException("Too many decimal digits in format string");
    }
    return Long.parseLong(digits);
  }
}

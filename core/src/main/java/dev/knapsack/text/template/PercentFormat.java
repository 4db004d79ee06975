package dev.knapsack.text.template;

import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Formats as {@code "%s has %5.2f" % (a, b)} does. */
final class PercentFormat {
  private static final Pattern FIELD =
      Pattern.compile("%([-0+ ]*)(\\d{0,9})(?:\\.(\\d{0,2}))?([%sdifrx])?");

  private PercentFormat() {}

  static String format(String format, List<Object> values, Meter meter) {
    Meter.Text out = meter.text();
    Matcher field = FIELD.matcher(format);
    int copied = 0;
    int used = 0;
    while (field.find()) {
      out.add(format.substring(copied, field.start()));
      copied = field.end();
      String kind = field.group(4);
      if (kind == null) {
        throw new TemplateException(
            "unsupported format '" + field.group() + "'; supported are %s %r %d %i %f %x %%");
      }
      if (kind.equals("%")) {
        out.add('%');
        continue;
      }
      if (used == values.size()) {
        throw new TemplateException("not enough arguments for format string");
      }
      String text = text(kind, field.group(3), values.get(used++), meter);
      String flags = field.group(1);
      int width = field.group(2).isEmpty() ? 0 : Integer.parseInt(field.group(2));
      boolean zeros = flags.contains("0") && !flags.contains("-") && !"sr".contains(kind);
      boolean signed = text.startsWith("-");
      if (zeros && signed) {
        out.add('-');
        text = text.substring(1);
      } else if (flags.contains("+") && "dif".contains(kind) && !signed) {
        text = "+" + text;
      }
      long padding = width - Values.length(text) - (zeros && signed ? 1 : 0);
      if (flags.contains("-")) {
        out.add(text).repeat(" ", padding);
      } else {
        out.repeat(zeros ? "0" : " ", padding).add(text);
      }
    }
    if (used < values.size()) {
      throw new TemplateException("not all arguments converted during string formatting");
    }
    return out.add(format.substring(copied)).toString();
  }

  private static String text(String kind, @Nullable String precision, Object value, Meter meter) {
    int digits = precision == null ? -1 : precision.isEmpty() ? 0 : Integer.parseInt(precision);
    if (kind.equals("s") || kind.equals("r")) {
      String text =
          kind.equals("r") && value instanceof String string
              ? Representation.quoted(string, meter)
              : Representation.of(value, meter);
      return digits < 0 ? text : Strings.slice(text, 0, digits, meter);
    }
    if (!Values.isNumber(value)) {
      throw Values.refused(
          value, "%" + kind + " format: a number is required, not " + Values.typeName(value));
    }
    return switch (kind) {
      case "f" ->
          String.format(Locale.ROOT, "%." + (digits < 0 ? 6 : digits) + "f", Values.number(value));
      case "x" -> Long.toString(Values.requireInteger(value), 16);
      default ->
          Long.toString(value instanceof Double d ? (long) (double) d : Values.integer(value));
    };
  }
}

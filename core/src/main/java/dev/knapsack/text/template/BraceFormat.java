package dev.knapsack.text.template;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Formats as {@code "{} and {name}".format(...)} does, without conversions or format codes. */
final class BraceFormat {
  private static final Pattern FIELD = Pattern.compile("\\{\\{|\\}\\}|\\{(\\w*)\\}|[{}]");

  private BraceFormat() {}

  static String format(String format, Arguments arguments, Meter meter) {
    Meter.Text out = meter.text();
    Matcher field = FIELD.matcher(format);
    int copied = 0;
    int next = 0;
    while (field.find()) {
      meter.step(1);
      out.add(format.substring(copied, field.start()));
      copied = field.end();
      String name = field.group(1);
      if (name == null) {
        if (field.end() - field.start() == 1) {
          throw new TemplateException(
              "unsupported format string; supported are {}, {0} and {name}");
        }
        out.add(format.charAt(field.start()));
        continue;
      }
      boolean numbered = name.isEmpty() || (name.length() < 6 && Character.isDigit(name.charAt(0)));
      Object value;
      if (numbered) {
        int index = name.isEmpty() ? next++ : parse(name);
        if (index >= arguments.positional().size()) {
          throw new TemplateException(
              "Replacement index " + index + " out of range for positional args tuple");
        }
        value = arguments.positional().get(index);
      } else {
        value = arguments.get(Integer.MAX_VALUE, name);
      }
      out.add(Representation.of(value, meter));
    }
    return out.add(format.substring(copied)).toString();
  }

  private static int parse(String index) {
    try {
      return Integer.parseInt(index);
    } catch (NumberFormatException e) {
      throw new TemplateException("unsupported format field '{" + index + "}'");
    }
  }
}

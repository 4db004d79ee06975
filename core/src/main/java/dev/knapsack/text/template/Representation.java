package dev.knapsack.text.template;

import java.util.List;
import java.util.Map;

/**
 * Writes values as text: as {@code str} does, and within lists and dictionaries as {@code repr}.
 */
final class Representation {
  private Representation() {}

  static String of(Object value, Meter meter) {
    if (value instanceof List<?> || value instanceof Map<?, ?>) {
      Meter.Text out = meter.text();
      write(value, out, meter);
      return out.toString();
    }
    return Values.string(value);
  }

  static String quoted(String text, Meter meter) {
    Meter.Text out = meter.text();
    quote(text, out);
    return out.toString();
  }

  private static void write(Object value, Meter.Text out, Meter meter) {
    meter.step(1);
    meter.enter();
    switch (value) {
      case String string -> quote(string, out);
      case Undefined _ -> out.add("Undefined");
      case Tuple tuple -> {
        writeAll(tuple, "(", out, meter);
        out.add(tuple.size() == 1 ? ",)" : ")");
      }
      case List<?> list -> {
        writeAll(list, "[", out, meter);
        out.add(']');
      }
      case Map<?, ?> map -> {
        String separator = "{";
        for (Map.Entry<Object, Object> entry : Values.requireMap(map).entrySet()) {
          out.add(separator);
          write(entry.getKey(), out, meter);
          out.add(": ");
          write(entry.getValue(), out, meter);
          separator = ", ";
        }
        out.add(map.isEmpty() ? "{}" : "}");
      }
      default -> out.add(Values.string(value));
    }
    meter.leave();
  }

  private static void writeAll(List<?> list, String open, Meter.Text out, Meter meter) {
    out.add(open);
    String separator = "";
    for (Object element : Values.elements(list, meter)) {
      out.add(separator);
      write(element, out, meter);
      separator = ", ";
    }
  }

  private static void quote(String text, Meter.Text out) {
    char quote = text.indexOf('\'') >= 0 && text.indexOf('"') < 0 ? '"' : '\'';
    out.add(quote);
    text.codePoints()
        .forEach(c -> {
          switch (c) {
            case '\n' -> out.add("\\n");
            case '\r' -> out.add("\\r");
            case '\t' -> out.add("\\t");
            case '\\' -> out.add("\\\\");
            default -> {
              if (c == quote) {
                out.add('\\').add(quote);
              } else if (isPrintable(c)) {
                out.add(Character.toString(c));
              } else {
                out.add(
                    c < 0x100
                        ? "\\x%02x".formatted(c)
                        : c < 0x10000 ? "\\u%04x".formatted(c) : "\\U%08x".formatted(c));
              }
            }
          }
        });
    out.add(quote);
  }

  private static boolean isPrintable(int c) {
    return switch (Character.getType(c)) {
      case Character.CONTROL,
          Character.FORMAT,
          Character.SURROGATE,
          Character.PRIVATE_USE,
          Character.UNASSIGNED,
          Character.LINE_SEPARATOR,
          Character.PARAGRAPH_SEPARATOR ->
          false;
      case Character.SPACE_SEPARATOR -> c == ' ';
      default -> true;
    };
  }
}

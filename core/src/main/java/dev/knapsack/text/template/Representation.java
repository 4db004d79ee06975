package dev.knapsack.text.template;

import dev.knapsack.text.MarkedText;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Writes values as text: as {@code str} does, and within lists and dictionaries as {@code repr}.
 */
final class Representation {
  private Representation() {}

  static MarkedText of(Object value, Meter meter) {
    return switch (value) {
      case MarkedText text -> text;
      case Undefined _ -> MarkedText.EMPTY;
      default -> quoted(value, meter);
    };
  }

  /** A value as it is written within a list: strings in quotes. */
  static MarkedText quoted(Object value, Meter meter) {
    return quoted(value, false, meter);
  }

  /** Writes a value with every dictionary in the order of its keys. */
  static MarkedText sorted(Object value, Meter meter) {
    return quoted(value, true, meter);
  }

  private static MarkedText quoted(Object value, boolean sorted, Meter meter) {
    Meter.Text out = meter.text();
    write(value, sorted, out, meter);
    return out.build();
  }

  /** Writes a value with characters beyond ASCII escaped. */
  static MarkedText ascii(Object value, Meter meter) {
    MarkedText text = quoted(value, meter);
    Meter.Text out = meter.text();
    for (int from = 0; from < text.length(); ) {
      int c = text.text().codePointAt(from);
      boolean control = text.isControl(from, from + 1);
      out.add(c < 0x80 ? Character.toString(c) : escaped(c), control);
      from += Character.charCount(c);
    }
    return out.build();
  }

  private static String escaped(int c) {
    HexFormat hex = HexFormat.of();
    return c < 0x100
        ? "\\x" + hex.toHexDigits(c, 2)
        : c < 0x10000 ? "\\u" + hex.toHexDigits(c, 4) : "\\U" + hex.toHexDigits(c, 8);
  }

  /** Entries by their keys; as they stand, if those cannot be compared. */
  static List<Map.Entry<Object, Object>> inOrder(Map<?, ?> map, Meter meter) {
    meter.elements(4L * map.size());
    List<Map.Entry<Object, Object>> entries = new ArrayList<>(Values.requireMap(map).entrySet());
    boolean alike =
        entries.stream()
                .map(
                    entry -> Values.isNumber(entry.getKey()) ? "" : Values.typeName(entry.getKey()))
                .distinct()
                .limit(2)
                .count()
            < 2;
    if (alike && entries.size() > 1) {
      entries.sort((a, b) -> Values.compare(a.getKey(), b.getKey(), "<", meter));
    }
    return entries;
  }

  private static void write(Object value, boolean sorted, Meter.Text out, Meter meter) {
    meter.step(1);
    meter.enter();
    switch (value) {
      case MarkedText text -> quote(text, out);
      case Undefined _ -> out.own("Undefined");
      case Range range -> out.own(range.toString());
      case Namespace namespace -> {
        Map<Object, Object> attributes = new LinkedHashMap<>();
        meter.elements(4L * namespace.attributes.size());
        namespace.attributes.forEach((k, v) -> attributes.put(MarkedText.control(k), v));
        out.own("<Namespace ");
        write(attributes, sorted, out, meter);
        out.own('>');
      }
      case DictView view -> {
        out.own(view.type()).own('(');
        write(view.items(), sorted, out, meter);
        out.own(')');
      }
      case Tuple tuple -> {
        writeAll(tuple, "(", sorted, out, meter);
        out.own(tuple.size() == 1 ? ",)" : ")");
      }
      case List<?> list -> {
        writeAll(list, "[", sorted, out, meter);
        out.own(']');
      }
      case Map<?, ?> map -> {
        String separator = "{";
        for (Map.Entry<Object, Object> entry :
            sorted ? inOrder(map, meter) : Values.requireMap(map).entrySet()) {
          out.own(separator);
          write(entry.getKey(), sorted, out, meter);
          out.own(": ");
          write(entry.getValue(), sorted, out, meter);
          separator = ", ";
        }
        out.own(map.isEmpty() ? "{}" : "}");
      }
      default -> out.own(Values.string(value));
    }
    meter.leave();
  }

  private static void writeAll(
      List<?> list, String open, boolean sorted, Meter.Text out, Meter meter) {
    out.own(open);
    String separator = "";
    for (Object element : Values.elements(list, meter)) {
      out.own(separator);
      write(element, sorted, out, meter);
      separator = ", ";
    }
  }

  private static void quote(MarkedText text, Meter.Text out) {
    boolean twice = text.text().indexOf('\'') >= 0 && text.text().indexOf('"') < 0;
    char quote = twice ? '"' : '\'';
    out.own(quote);
    for (int from = 0; from < text.length(); ) {
      int end = text.runEnd(from);
      boolean control = text.isControl(from, end);
      while (from < end) {
        int c = text.text().codePointAt(from);
        int size = Character.charCount(c);
        switch (c) {
          case '\n' -> out.add("\\n", control);
          case '\r' -> out.add("\\r", control);
          case '\t' -> out.add("\\t", control);
          case '\\' -> out.add("\\\\", control);
          default -> {
            if (c == quote) {
              out.add('\\', control).add(quote, control);
            } else if (isPrintable(c)) {
              out.add(text, from, from + size);
            } else {
              out.add(escaped(c), control);
            }
          }
        }
        from += size;
      }
    }
    out.own(quote);
  }

  static boolean isPrintable(int c) {
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

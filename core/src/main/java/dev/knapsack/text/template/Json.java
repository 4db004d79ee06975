package dev.knapsack.text.template;

import dev.knapsack.error.TemplateException;
import dev.knapsack.text.MarkedText;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

/**
 * The filter {@code tojson} as chat templates know it: characters beyond ASCII as they are, {@code
 * ", "} and {@code ": "} between parts, one part a line when indented.
 */
final class Json {
  private final boolean ascii;
  private final boolean sorted;
  private final MarkedText indent;
  private final boolean lines;
  private final MarkedText itemSeparator;
  private final MarkedText keySeparator;
  private final Meter meter;
  private final Meter.Text out;

  private Json(Arguments options, Meter meter) {
    this.meter = meter;
    out = meter.text();
    ascii = options.flag(0, "ensure_ascii", false);
    Object width = options.get(1, "indent", None.NONE);
    lines = width != None.NONE;
    indent = lines ? Filters.indentation(width, meter) : MarkedText.EMPTY;
    if (options.get(2, "separators", None.NONE) instanceof List<?> separators
        && separators.size() == 2
        && separators.get(0) instanceof MarkedText item
        && separators.get(1) instanceof MarkedText key) {
      itemSeparator = item;
      keySeparator = key;
    } else {
      itemSeparator = MarkedText.input(lines ? "," : ", ");
      keySeparator = MarkedText.input(": ");
    }
    sorted = options.flag(3, "sort_keys", false);
  }

  static MarkedText write(Object value, Arguments options, Meter meter) {
    Json json =
        new Json(
            options.only("tojson", "ensure_ascii", "indent", "separators", "sort_keys"), meter);
    json.value(value, 0);
    return json.out.build();
  }

  private void value(Object value, int level) {
    meter.step(1);
    meter.enter();
    switch (value) {
      case MarkedText text -> string(text);
      case Boolean b -> out.own(b ? "true" : "false");
      case Long _ -> out.own(Values.string(value));
      case Double d -> out.own(number(d));
      case None _ -> out.own("null");
      case List<?> list when !(list instanceof Range) -> {
        boolean first = true;
        out.own('[');
        for (Object element : Values.elements(list, meter)) {
          next(first, level);
          value(element, level + 1);
          first = false;
        }
        end(first, ']', level);
      }
      case Map<?, ?> map -> {
        boolean first = true;
        out.own('{');
        for (Map.Entry<Object, Object> entry : entries(map)) {
          next(first, level);
          string(key(entry.getKey()));
          out.add(keySeparator);
          value(entry.getValue(), level + 1);
          first = false;
        }
        end(first, '}', level);
      }
      default ->
          throw new TemplateException(
              "Object of type " + Values.typeName(value) + " is not JSON serializable");
    }
    meter.leave();
  }

  private static MarkedText key(Object key) {
    return switch (key) {
      case MarkedText text -> text;
      case Boolean b -> MarkedText.input(b ? "true" : "false");
      case None _ -> MarkedText.input("null");
      case Double d -> MarkedText.input(number(d));
      default -> MarkedText.input(Values.string(key));
    };
  }

  private List<Map.Entry<Object, Object>> entries(Map<?, ?> map) {
    meter.elements(4L * map.size());
    List<Map.Entry<Object, Object>> entries = new ArrayList<>(Values.requireMap(map).entrySet());
    if (sorted) {
      entries.sort((a, b) -> Values.compare(a.getKey(), b.getKey(), "<", meter));
    }
    return entries;
  }

  private void next(boolean first, int level) {
    if (!first) {
      out.add(itemSeparator);
    }
    line(level + 1);
  }

  private void end(boolean empty, char close, int level) {
    if (!empty) {
      line(level);
    }
    out.own(close);
  }

  private void line(int level) {
    if (lines) {
      out.own('\n').repeat(indent, level);
    }
  }

  private static String number(double value) {
    return Double.isNaN(value)
        ? "NaN"
        : Double.isInfinite(value) ? (value > 0 ? "Infinity" : "-Infinity") : Values.decimal(value);
  }

  private void string(MarkedText text) {
    meter.step(text.length() >> 3);
    out.own('"');
    for (int from = 0; from < text.length(); ) {
      int end = text.runEnd(from);
      boolean control = text.isControl(from, end);
      for (; from < end; from++) {
        character(text.charAt(from), control);
      }
    }
    out.own('"');
  }

  private void character(char c, boolean control) {
    switch (c) {
      case '"' -> out.add("\\\"", control);
      case '\\' -> out.add("\\\\", control);
      case '\n' -> out.add("\\n", control);
      case '\r' -> out.add("\\r", control);
      case '\t' -> out.add("\\t", control);
      case '\b' -> out.add("\\b", control);
      case '\f' -> out.add("\\f", control);
      default -> {
        if (c < 0x20 || (ascii && c > 0x7e)) {
          out.add("\\u" + HexFormat.of().toHexDigits(c), control);
        } else {
          out.add(c, control);
        }
      }
    }
  }
}

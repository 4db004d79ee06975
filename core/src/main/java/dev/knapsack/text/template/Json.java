package dev.knapsack.text.template;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The filter {@code tojson} as chat templates know it: characters beyond ASCII as they are, {@code
 * ", "} and {@code ": "} between parts, one part a line when indented.
 */
final class Json {
  private final boolean ascii;
  private final boolean sorted;
  private final String indent;
  private final boolean lines;
  private final String itemSeparator;
  private final String keySeparator;
  private final Meter meter;
  private final Meter.Text out;

  private Json(Arguments options, Meter meter) {
    this.meter = meter;
    out = meter.text();
    ascii = options.flag(0, "ensure_ascii", false);
    Object width = options.get(1, "indent", None.NONE);
    lines = width != None.NONE;
    indent =
        width instanceof String text
            ? text
            : lines ? meter.text().repeat(" ", Values.requireInteger(width)).toString() : "";
    if (options.get(2, "separators", None.NONE) instanceof List<?> separators
        && separators.size() == 2
        && separators.get(0) instanceof String item
        && separators.get(1) instanceof String key) {
      itemSeparator = item;
      keySeparator = key;
    } else {
      itemSeparator = lines ? "," : ", ";
      keySeparator = ": ";
    }
    sorted = options.flag(3, "sort_keys", false);
  }

  static String write(Object value, Arguments options, Meter meter) {
    Json json =
        new Json(
            options.only("tojson", "ensure_ascii", "indent", "separators", "sort_keys"), meter);
    json.value(value, 0);
    return json.out.toString();
  }

  private void value(Object value, int level) {
    meter.step(1);
    meter.enter();
    switch (value) {
      case String string -> string(string);
      case Boolean b -> out.add(b ? "true" : "false");
      case Long _ -> out.add(Values.string(value));
      case Double d -> out.add(number(d));
      case None _ -> out.add("null");
      case List<?> list -> {
        String before = "[";
        for (Object element : Values.elements(list, meter)) {
          out.add(before);
          line(level + 1);
          value(element, level + 1);
          before = itemSeparator;
        }
        end(list.isEmpty(), "[", "]", level);
      }
      case Map<?, ?> map -> {
        String before = "{";
        for (Map.Entry<String, Object> entry : entries(map)) {
          out.add(before);
          line(level + 1);
          string(entry.getKey());
          out.add(keySeparator);
          value(entry.getValue(), level + 1);
          before = itemSeparator;
        }
        end(map.isEmpty(), "{", "}", level);
      }
      default ->
          throw new TemplateException(
              "Object of type " + Values.typeName(value) + " is not JSON serializable");
    }
    meter.leave();
  }

  private List<Map.Entry<String, Object>> entries(Map<?, ?> map) {
    List<Map.Entry<String, Object>> entries = meter.list(map.size());
    Values.requireMap(map)
        .forEach((key, value) ->
            entries.add(
                Map.entry(
                    switch (key) {
                      case String string -> string;
                      case Boolean b -> b ? "true" : "false";
                      case None _ -> "null";
                      default -> Values.string(key);
                    },
                    value)));
    if (!sorted) {
      return entries;
    }
    TreeMap<String, Object> order = new TreeMap<>();
    entries.forEach(entry -> order.put(entry.getKey(), entry.getValue()));
    return List.copyOf(order.entrySet());
  }

  private void end(boolean empty, String open, String close, int level) {
    if (empty) {
      out.add(open);
    } else {
      line(level);
    }
    out.add(close);
  }

  private void line(int level) {
    if (lines) {
      out.add('\n').repeat(indent, level);
    }
  }

  private static String number(double value) {
    return Double.isNaN(value)
        ? "NaN"
        : Double.isInfinite(value) ? (value > 0 ? "Infinity" : "-Infinity") : Values.decimal(value);
  }

  private void string(String text) {
    meter.step(text.length() >> 3);
    out.add('"');
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      switch (c) {
        case '"' -> out.add("\\\"");
        case '\\' -> out.add("\\\\");
        case '\n' -> out.add("\\n");
        case '\r' -> out.add("\\r");
        case '\t' -> out.add("\\t");
        case '\b' -> out.add("\\b");
        case '\f' -> out.add("\\f");
        default -> {
          if (c < 0x20 || (ascii && c > 0x7e)) {
            out.add("\\u%04x".formatted((int) c));
          } else {
            out.add(c);
          }
        }
      }
    }
    out.add('"');
  }
}

package dev.knapsack.text.template;

import dev.knapsack.error.TemplateException;
import dev.knapsack.text.MarkedText;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The arguments of one call: by position, then by name. */
record Arguments(List<Object> positional, Map<String, Object> named) {
  static final Arguments NONE = new Arguments(List.of(), Map.of());

  /** Refuses arguments other than these. */
  Arguments only(String function, String... names) {
    if (positional.size() > names.length) {
      throw new TemplateException(
          function
              + "() takes at most "
              + names.length
              + " arguments, "
              + positional.size()
              + " given");
    }
    for (String name : named.keySet()) {
      if (!List.of(names).contains(name)) {
        throw new TemplateException(
            function + "() got an unexpected keyword argument '" + name + "'");
      }
    }
    return this;
  }

  @Nullable Object find(int index, String name) {
    return index < positional.size() ? positional.get(index) : named.get(name);
  }

  Object get(int index, String name, Object fallback) {
    Object value = find(index, name);
    return value == null ? fallback : value;
  }

  Object get(int index, String name) {
    Object value = find(index, name);
    if (value == null) {
      throw new TemplateException("missing argument '" + name + "'");
    }
    return value;
  }

  MarkedText text(int index, String name) {
    return Values.requireText(get(index, name));
  }

  /** A string whose characters do not become text. */
  String string(int index, String name) {
    return text(index, name).text();
  }

  int integer(int index, String name, long fallback) {
    long value = Values.requireInteger(get(index, name, fallback));
    return Math.clamp(value, Integer.MIN_VALUE, Integer.MAX_VALUE);
  }

  boolean flag(int index, String name, boolean fallback) {
    return Values.isTrue(get(index, name, fallback));
  }
}

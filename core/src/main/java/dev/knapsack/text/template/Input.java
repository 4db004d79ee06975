package dev.knapsack.text.template;

import dev.knapsack.text.MarkedText;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Turns the Java values of a conversation into values of a template, and counts their size. Strings
 * are input unless they are marked already.
 */
final class Input {
  private static final int MAX_DEPTH = 128;

  private long size;
  private int depth;

  /** Characters of all strings turned so far, and 8 for each element. */
  long size() {
    return size;
  }

  Object value(@Nullable Object value) {
    return switch (value) {
      case null -> None.NONE;
      case None none -> none;
      case Boolean b -> b;
      case Long l -> l;
      case Double d -> d;
      case Float f -> (double) f;
      case Number number -> number(number);
      case MarkedText text -> {
        size += text.length();
        yield text;
      }
      case CharSequence text -> {
        size += text.length();
        yield MarkedText.input(text.toString());
      }
      case Character c -> MarkedText.input(c.toString());
      case Enum<?> constant -> MarkedText.input(constant.toString());
      case Map<?, ?> map -> {
        enter();
        Map<Object, Object> values = LinkedHashMap.newLinkedHashMap(map.size());
        map.forEach((key, element) -> values.put(key(value(key)), value(element)));
        depth--;
        size += 8L * map.size();
        yield values;
      }
      case Iterable<?> elements -> {
        enter();
        List<Object> values = new ArrayList<>();
        elements.forEach(element -> values.add(value(element)));
        depth--;
        size += 8L * values.size();
        yield values;
      }
      default ->
          throw new IllegalArgumentException(
              "a template cannot be given a "
                  + value.getClass().getName()
                  + "; it takes strings, numbers, booleans, null, and lists and maps of these");
    };
  }

  private static Object key(Object key) {
    if (key instanceof List<?> || key instanceof Map<?, ?>) {
      throw new IllegalArgumentException("a template cannot be given a map whose keys are lists");
    }
    return key;
  }

  private static Object number(Number number) {
    if (number instanceof Integer || number instanceof Short || number instanceof Byte) {
      return number.longValue();
    }
    try {
      return Long.parseLong(number.toString());
    } catch (NumberFormatException e) {
      return number.doubleValue();
    }
  }

  private void enter() {
    if (++depth > MAX_DEPTH) {
      throw new IllegalArgumentException(
          "the conversation holds lists or maps nested deeper than the limit of " + MAX_DEPTH);
    }
  }
}

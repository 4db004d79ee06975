package dev.knapsack.text.template;

import dev.knapsack.error.TemplateException;
import dev.knapsack.text.MarkedText;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The accesses that stand after a value: {@code .name}, {@code [index]}, {@code [start:stop:step]}.
 */
final class Attributes {
  private Attributes() {}

  static Object attribute(Object target, String name, Meter meter) {
    Object own = own(target, name);
    if (!(own instanceof Undefined)) {
      return own;
    }
    Object item =
        target instanceof Map<?, ?> map
            ? map.get(Values.key(MarkedText.control(name), meter))
            : null;
    return item == null ? own : item;
  }

  static Object item(Object target, Object index, Meter meter) {
    Object item =
        switch (target) {
          case Map<?, ?> map ->
              index instanceof List<?> || index instanceof Map<?, ?>
                  ? null
                  : map.get(Values.key(index, meter));
          case List<?> list when Values.isInteger(index) -> {
            long at = Values.integer(index);
            long from = at < 0 ? at + list.size() : at;
            yield from >= 0 && from < list.size() ? list.get((int) from) : null;
          }
          case MarkedText text when Values.isInteger(index) -> {
            long length = Values.length(text, meter);
            long at = Values.integer(index);
            long from = at < 0 ? at + length : at;
            yield from >= 0 && from < length ? Strings.slice(text, from, from + 1, meter) : null;
          }
          case Undefined undefined -> throw undefined.refusal();
          default -> null;
        };
    if (item != null) {
      return item;
    }
    return index instanceof MarkedText name
        ? own(target, name.text())
        : Undefined.item(target, index);
  }

  /** An attribute or method proper, not an item. */
  static Object own(Object target, String name) {
    Object own =
        switch (target) {
          case Undefined undefined -> throw undefined.refusal();
          case MarkedText text -> StringMethods.find(text, name);
          case Map<?, ?> map -> dictMethod(Values.requireMap(map), name);
          case Tuple tuple when tuple.names().contains(name) ->
              tuple.get(tuple.names().indexOf(name));
          case List<?> list -> listMethod(list, name);
          case Cycler cycler -> cycler.attribute(name);
          case Namespace namespace -> namespace.attributes.get(name);
          case Loop loop -> loop.attribute(name);
          case Double d when name.equals("is_integer") ->
              (Callable) (_, _) -> d == Math.rint(d) && !Double.isInfinite(d);
          case Macro macro -> name.equals("name") ? macro.name() : null;
          default -> null;
        };
    return own == null ? Undefined.attribute(target, name) : own;
  }

  private static @Nullable Callable dictMethod(Map<Object, Object> map, String name) {
    return switch (name) {
      case "items" ->
          (arguments, meter) -> {
            arguments.only(name);
            return new DictView("dict_items", items(map, meter));
          };
      case "keys" ->
          (arguments, meter) -> {
            arguments.only(name);
            return new DictView("dict_keys", Values.elements(map, meter));
          };
      case "values" ->
          (arguments, meter) -> {
            arguments.only(name);
            List<Object> values = meter.list(map.size());
            values.addAll(map.values());
            return new DictView("dict_values", values);
          };
      case "get" ->
          (arguments, meter) -> {
            Object key = arguments.only(name, "key", "default").get(0, "key");
            Object fallback = arguments.get(1, "default", None.NONE);
            return key instanceof Tuple
                ? fallback
                : map.getOrDefault(Values.key(key, meter), fallback);
          };
      case "copy" ->
          (arguments, meter) -> {
            arguments.only(name);
            meter.elements(4L * map.size());
            return new LinkedHashMap<>(map);
          };
      case "fromkeys" ->
          (arguments, meter) -> {
            arguments.only(name, "iterable", "value");
            Object value = arguments.get(1, "value", None.NONE);
            Map<Object, Object> made = new LinkedHashMap<>();
            for (Object key : Values.elements(arguments.get(0, "iterable"), meter)) {
              meter.elements(4);
              made.put(Values.key(key, meter), value);
            }
            return made;
          };
      default -> null;
    };
  }

  static List<Object> items(Map<Object, Object> map, Meter meter) {
    meter.elements(4L * map.size());
    List<Object> items = meter.list(map.size());
    map.forEach((key, value) -> items.add(Tuple.of(key, value)));
    return items;
  }

  private static @Nullable Callable listMethod(List<?> list, String name) {
    return switch (name) {
      case "index" ->
          (arguments, meter) -> {
            arguments.only(name, "value", "start", "stop");
            Object wanted = arguments.get(0, "value");
            long from = bound(arguments.get(1, "start", 0L), 0, 1, list.size());
            long to = bound(arguments.get(2, "stop", None.NONE), list.size(), 1, list.size());
            List<Object> elements = Values.elements(list, meter);
            for (long i = from; i < to; i++) {
              meter.step(1);
              if (Values.equal(elements.get((int) i), wanted, meter)) {
                return i;
              }
            }
            throw new TemplateException(
                Representation.quoted(wanted, meter) + " is not in " + Values.typeName(list));
          };
      case "count" ->
          (arguments, meter) -> {
            Object wanted = arguments.only(name, "value").get(0, "value");
            long count = 0;
            for (Object element : Values.elements(list, meter)) {
              meter.step(1);
              count += Values.equal(element, wanted, meter) ? 1 : 0;
            }
            return count;
          };
      case "copy" ->
          list instanceof Tuple || list instanceof Range
              ? null
              : (arguments, meter) -> {
                arguments.only(name);
                List<Object> copy = meter.list(list.size());
                copy.addAll(list);
                return copy;
              };
      default -> null;
    };
  }

  static Object slice(Object target, Object start, Object stop, Object step, Meter meter) {
    long by = step == None.NONE ? 1 : Values.requireInteger(step);
    if (by == 0) {
      throw new TemplateException("slice step cannot be zero");
    }
    if (!(target instanceof MarkedText) && !(target instanceof List<?>)) {
      throw Values.refused(
          target, "'" + Values.typeName(target) + "' object is not subscriptable by a slice");
    }
    long length = Values.length(target, meter);
    long from = bound(start, by > 0 ? 0 : length - 1, by, length);
    long to = bound(stop, by > 0 ? length : -1, by, length);
    if (by == 1 && target instanceof MarkedText text) {
      return Strings.slice(text, from, to, meter);
    }
    if (target instanceof Range range) {
      return range.slice(from, to, by);
    }
    List<Object> elements = Values.elements(target, meter);
    List<Object> taken = meter.list(0);
    for (long i = from; by > 0 ? i < to : i > to; i += Math.clamp(by, -length, length)) {
      meter.elements(1);
      taken.add(elements.get((int) i));
    }
    if (target instanceof MarkedText) {
      Meter.Text text = meter.text();
      taken.forEach(character -> text.add((MarkedText) character));
      return text.build();
    }
    return target instanceof Tuple ? new Tuple(taken) : taken;
  }

  private static long bound(Object bound, long fallback, long by, long length) {
    if (bound == None.NONE) {
      return fallback;
    }
    long at = Values.requireInteger(bound);
    long from = at < 0 ? at + length : at;
    return by > 0 ? Math.clamp(from, 0, length) : Math.clamp(from, -1, length - 1);
  }
}

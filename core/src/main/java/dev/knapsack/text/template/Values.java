package dev.knapsack.text.template;

import dev.knapsack.error.TemplateException;
import dev.knapsack.text.MarkedText;
import java.math.BigDecimal;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** The rules for every value, as in the language of the reference: type names, truth, order. */
final class Values {
  private Values() {}

  static String typeName(Object value) {
    return switch (value) {
      case None _ -> "NoneType";
      case Undefined _ -> "Undefined";
      case Boolean _ -> "bool";
      case Long _ -> "int";
      case Double _ -> "float";
      case MarkedText _ -> "str";
      case Tuple _ -> "tuple";
      case Range _ -> "range";
      case List<?> _ -> "list";
      case Map<?, ?> _ -> "dict";
      case Generator generator -> generator.type();
      case DictView view -> view.type();
      case Macro _ -> "Macro";
      case Namespace _ -> "Namespace";
      case Loop _ -> "LoopContext";
      case Cycler _ -> "Cycler";
      default -> "function";
    };
  }

  static boolean isTrue(Object value) {
    return switch (value) {
      case None _, Undefined _ -> false;
      case Boolean b -> b;
      case Long l -> l != 0;
      case Double d -> d != 0;
      case MarkedText s -> !s.isEmpty();
      case List<?> l -> !l.isEmpty();
      case Map<?, ?> m -> !m.isEmpty();
      case DictView view -> !view.items().isEmpty();
      default -> true;
    };
  }

  static boolean isNumber(Object value) {
    return value instanceof Long || value instanceof Double || value instanceof Boolean;
  }

  static boolean isInteger(Object value) {
    return value instanceof Long || value instanceof Boolean;
  }

  static long integer(Object value) {
    return value instanceof Boolean b ? (b ? 1 : 0) : ((Number) value).longValue();
  }

  static double number(Object value) {
    return value instanceof Boolean b ? (b ? 1 : 0) : ((Number) value).doubleValue();
  }

  static MarkedText requireText(Object value) {
    if (value instanceof MarkedText text) {
      return text;
    }
    throw refused(value, "must be str, not " + typeName(value));
  }

  /** A string whose characters do not become text. */
  static String requireString(Object value) {
    return requireText(value).text();
  }

  static long requireInteger(Object value) {
    if (isInteger(value)) {
      return integer(value);
    }
    throw refused(value, "'" + typeName(value) + "' object cannot be interpreted as an integer");
  }

  static Map<Object, Object> requireMap(Object value) {
    if (value instanceof Map<?, ?> map) {
      @SuppressWarnings("unchecked") // values of templates hold values of templates
      Map<Object, Object> values = (Map<Object, Object>) map;
      return values;
    }
    throw refused(value, "Can only get item pairs from a mapping.");
  }

  /** An error about a value; an undefined one is refused as such. */
  static TemplateException refused(Object value, String problem) {
    return value instanceof Undefined undefined
        ? undefined.refusal()
        : new TemplateException(problem);
  }

  /** The elements of a list, keys of a dictionary, or characters of a string. */
  static List<Object> elements(Object value, Meter meter) {
    return switch (value) {
      case Undefined _ -> List.of();
      case List<?> list -> {
        @SuppressWarnings("unchecked") // values of templates hold values of templates
        List<Object> values = (List<Object>) list;
        yield values;
      }
      case Map<?, ?> map -> {
        List<Object> keys = meter.list(map.size());
        keys.addAll(map.keySet());
        yield keys;
      }
      case DictView view -> view.items();
      case Generator generator -> generator.rest(meter);
      case MarkedText text -> {
        List<Object> characters = meter.list(text.length());
        for (int at = 0; at < text.length(); ) {
          int end = text.text().offsetByCodePoints(at, 1);
          characters.add(text.slice(at, end));
          at = end;
        }
        yield characters;
      }
      default -> throw new TemplateException("'" + typeName(value) + "' object is not iterable");
    };
  }

  static long length(Object value, Meter meter) {
    return switch (value) {
      case Undefined _ -> 0;
      case MarkedText text -> Strings.length(text.text(), meter);
      case List<?> list -> list.size();
      case Map<?, ?> map -> map.size();
      case DictView view -> view.items().size();
      case Loop loop -> loop.length();
      default ->
          throw new TemplateException("object of type '" + typeName(value) + "' has no len()");
    };
  }

  /** A value that can be a dictionary's key. */
  static Object key(Object value, Meter meter) {
    if (value instanceof MarkedText text) {
      meter.scan(text.length());
    } else if (value instanceof List<?> || value instanceof Map<?, ?>) {
      throw new TemplateException("unhashable type: '" + typeName(value) + "'");
    }
    return value;
  }

  static boolean equal(Object a, Object b, Meter meter) {
    if (isNumber(a) && isNumber(b)) {
      return compareNumbers(a, b) == 0;
    }
    return switch (a) {
      case MarkedText s -> {
        meter.scan(s.length());
        yield s.equals(b);
      }
      case List<?> list ->
          b instanceof List<?> other
              && typeName(list).equals(typeName(other))
              && list.size() == other.size()
              && equalElements(list.iterator(), other.iterator(), meter);
      case Map<?, ?> map ->
          b instanceof Map<?, ?> other
              && map.size() == other.size()
              && equalMaps(map, other, meter);
      case Undefined _ -> b instanceof Undefined;
      default -> same(a, b);
    };
  }

  /** Says whether these are one and the same value, as a namespace is the same only as itself. */
  @SuppressWarnings("ReferenceEquality")
  static boolean same(Object a, Object b) {
    return a == b;
  }

  private static boolean equalElements(Iterator<?> a, Iterator<?> b, Meter meter) {
    meter.enter();
    boolean equal = true;
    while (equal && a.hasNext()) {
      meter.step(1);
      equal = equal(Objects.requireNonNull(a.next()), Objects.requireNonNull(b.next()), meter);
    }
    meter.leave();
    return equal;
  }

  private static boolean equalMaps(Map<?, ?> a, Map<?, ?> b, Meter meter) {
    meter.enter();
    boolean equal = true;
    for (Map.Entry<?, ?> entry : a.entrySet()) {
      meter.step(1);
      Object other = b.get(key(entry.getKey(), meter));
      equal = other != null && equal(Objects.requireNonNull(entry.getValue()), other, meter);
      if (!equal) {
        break;
      }
    }
    meter.leave();
    return equal;
  }

  private static int compareNumbers(Object a, Object b) {
    if (isInteger(a) && isInteger(b)) {
      return Long.compare(integer(a), integer(b));
    }
    double x = number(a);
    double y = number(b);
    // A whole number may have more digits than a double, and only then is there more to see.
    boolean same = (float) x == (float) y && Math.abs(x) >= 1L << 53 && !Double.isInfinite(x);
    if (same && !(a instanceof Double && b instanceof Double)) {
      return exact(a).compareTo(exact(b));
    }
    return x == y ? 0 : Double.compare(x, y);
  }

  private static BigDecimal exact(Object number) {
    return number instanceof Double d ? new BigDecimal(d) : BigDecimal.valueOf(integer(number));
  }

  /** The order of two values, for the operator that asks. */
  static int compare(Object a, Object b, String operator, Meter meter) {
    if (isNumber(a) && isNumber(b)) {
      meter.step(1);
      return compareNumbers(a, b);
    }
    if (a instanceof MarkedText s && b instanceof MarkedText t) {
      meter.scan(Math.min(s.length(), t.length()));
      return compareByCodePoints(s.text(), t.text());
    }
    if (a instanceof List<?> s
        && b instanceof List<?> t
        && !(s instanceof Range)
        && typeName(s).equals(typeName(t))) {
      meter.enter();
      int order = 0;
      for (int i = 0; order == 0 && i < Math.min(s.size(), t.size()); i++) {
        Object x = Objects.requireNonNull(s.get(i));
        Object y = Objects.requireNonNull(t.get(i));
        meter.step(1);
        order = equal(x, y, meter) ? 0 : compare(x, y, operator, meter);
      }
      meter.leave();
      return order != 0 ? order : Integer.compare(s.size(), t.size());
    }
    if (a instanceof Undefined || b instanceof Undefined) {
      throw refused(a instanceof Undefined ? a : b, "");
    }
    throw new TemplateException(
        "'%s' not supported between instances of '%s' and '%s'"
            .formatted(operator, typeName(a), typeName(b)));
  }

  private static int compareByCodePoints(String a, String b) {
    for (int i = 0; i < Math.min(a.length(), b.length()); i++) {
      char x = a.charAt(i);
      char y = b.charAt(i);
      if (x != y) {
        // A half of a pair stands for a code point above every single character.
        return Character.isSurrogate(x) == Character.isSurrogate(y)
            ? Character.compare(x, y)
            : Character.isSurrogate(x) ? 1 : -1;
      }
    }
    return Integer.compare(a.length(), b.length());
  }

  static boolean contains(Object container, Object wanted, Meter meter) {
    return switch (container) {
      case Undefined _ -> false;
      case MarkedText text -> {
        if (!(wanted instanceof MarkedText part)) {
          throw refused(
              wanted, "'in <string>' requires string as left operand, not " + typeName(wanted));
        }
        meter.search(text.length(), part.length());
        yield text.text().contains(part.text());
      }
      case Map<?, ?> map -> !(wanted instanceof Tuple) && map.containsKey(key(wanted, meter));
      case List<?> list -> contains(list.iterator(), wanted, meter);
      case DictView view -> contains(view.items().iterator(), wanted, meter);
      case Generator generator -> {
        Object next = generator.next(meter);
        while (next != null && !equal(next, wanted, meter)) {
          next = generator.next(meter);
        }
        yield next != null;
      }
      default ->
          throw new TemplateException(
              "argument of type '" + typeName(container) + "' is not iterable");
    };
  }

  private static boolean contains(Iterator<?> elements, Object wanted, Meter meter) {
    while (elements.hasNext()) {
      meter.step(1);
      if (equal(Objects.requireNonNull(elements.next()), wanted, meter)) {
        return true;
      }
    }
    return false;
  }

  /** A simple value in words; all others are written by {@link Representation}. */
  static String string(Object value) {
    return switch (value) {
      case Boolean b -> b ? "True" : "False";
      case Long l -> Long.toString(l);
      case Double d -> decimal(d);
      case None _ -> "None";
      case Undefined _ -> "";
      case Loop loop -> loop.toString();
      default -> "<" + typeName(value) + ">";
    };
  }

  /** The shortest digits that give this number back, with an exponent only far from one. */
  static String decimal(double value) {
    if (Double.isNaN(value)) {
      return "nan";
    }
    if (Double.isInfinite(value)) {
      return value > 0 ? "inf" : "-inf";
    }
    if (value == 0) {
      return 1 / value < 0 ? "-0.0" : "0.0";
    }
    BigDecimal shortest = new BigDecimal(Double.toString(value)).stripTrailingZeros();
    int exponent = shortest.precision() - shortest.scale() - 1;
    if (exponent >= -4 && exponent < 16) {
      String plain = shortest.toPlainString();
      return plain.indexOf('.') < 0 ? plain + ".0" : plain;
    }
    String digits = shortest.unscaledValue().abs().toString();
    return (value < 0 ? "-" : "")
        + digits.charAt(0)
        + (digits.length() > 1 ? "." + digits.substring(1) : "")
        + (exponent < 0 ? "e-" : "e+")
        + (Math.abs(exponent) < 10 ? "0" : "")
        + Math.abs(exponent);
  }
}

package dev.knapsack.text.template;

import dev.knapsack.error.TemplateException;
import dev.knapsack.text.MarkedText;
import java.util.List;

/** The operators {@code + - * / // % **} and the signs. */
final class Arithmetic {
  private Arithmetic() {}

  static Object apply(String operator, Object a, Object b, Meter meter) {
    if (operator.equals("%") && a instanceof MarkedText format) {
      return PercentFormat.format(format, b, meter);
    }
    if (a instanceof Undefined || b instanceof Undefined) {
      throw Values.refused(a instanceof Undefined ? a : b, "");
    }
    if (Values.isNumber(a) && Values.isNumber(b)) {
      return Values.isInteger(a) && Values.isInteger(b)
          ? integers(operator, Values.integer(a), Values.integer(b))
          : decimals(operator, Values.number(a), Values.number(b));
    }
    return switch (operator) {
      case "+" -> sum(a, b, meter);
      case "*" -> Values.isInteger(a) ? repeated(b, a, meter) : repeated(a, b, meter);
      default -> throw unsupported(operator, a, b);
    };
  }

  static Object negative(Object value) {
    if (!Values.isNumber(value)) {
      throw Values.refused(value, "bad operand type for unary -: '" + Values.typeName(value) + "'");
    }
    return value instanceof Double d ? -d : exact(() -> Math.negateExact(Values.integer(value)));
  }

  static Object positive(Object value) {
    if (!Values.isNumber(value)) {
      throw Values.refused(value, "bad operand type for unary +: '" + Values.typeName(value) + "'");
    }
    return value instanceof Double ? value : Values.integer(value);
  }

  private static Object sum(Object a, Object b, Meter meter) {
    if (a instanceof MarkedText s && b instanceof MarkedText t) {
      return meter.text().add(s).add(t).build();
    }
    if (a instanceof List<?> s
        && b instanceof List<?> t
        && !(s instanceof Range)
        && Values.typeName(s).equals(Values.typeName(t))) {
      List<Object> joined = meter.list(s.size() + t.size());
      joined.addAll(s);
      joined.addAll(t);
      return s instanceof Tuple ? new Tuple(joined) : joined;
    }
    if (a instanceof MarkedText) {
      throw new TemplateException(
          "can only concatenate str (not \"" + Values.typeName(b) + "\") to str");
    }
    throw unsupported("+", a, b);
  }

  private static Object repeated(Object value, Object times, Meter meter) {
    if (!Values.isInteger(times)) {
      throw unsupported("*", value, times);
    }
    long count = Values.integer(times);
    if (value instanceof MarkedText text) {
      return meter.text().repeat(text, count).build();
    }
    if (!(value instanceof List<?> list) || value instanceof Range) {
      throw unsupported("*", value, times);
    }
    meter.elements(count > Integer.MAX_VALUE ? count : Math.max(0, count) * list.size());
    List<Object> repeated = meter.list(0);
    for (long i = 0; i < count && !list.isEmpty(); i++) {
      repeated.addAll(list);
    }
    return list instanceof Tuple ? new Tuple(repeated) : repeated;
  }

  private static Object integers(String operator, long a, long b) {
    return switch (operator) {
      case "+" -> exact(() -> Math.addExact(a, b));
      case "-" -> exact(() -> Math.subtractExact(a, b));
      case "*" -> exact(() -> Math.multiplyExact(a, b));
      case "//" -> exact(() -> Math.floorDiv(a, nonZero(b)));
      case "%" -> Math.floorMod(a, nonZero(b));
      case "**" ->
          b < 0 ? Math.pow((double) a, (double) b) : exact(() -> Math.powExact(a, exponent(b)));
      default -> decimals(operator, (double) a, (double) b);
    };
  }

  private static Object decimals(String operator, double a, double b) {
    return switch (operator) {
      case "+" -> a + b;
      case "-" -> a - b;
      case "*" -> a * b;
      case "/" -> a / nonZero(b);
      case "//" -> Math.floor(a / nonZero(b));
      case "%" -> a - Math.floor(a / nonZero(b)) * b;
      default -> Math.pow(a, b);
    };
  }

  /** Of a large exponent only its parity matters: every base but -1, 0 and 1 overflows before. */
  private static int exponent(long value) {
    return (int) Math.min(value, 1_000_000 + (value & 1));
  }

  private static long nonZero(long divisor) {
    if (divisor == 0) {
      throw new TemplateException("division by zero");
    }
    return divisor;
  }

  private static double nonZero(double divisor) {
    if (divisor == 0) {
      throw new TemplateException("division by zero");
    }
    return divisor;
  }

  private interface LongResult {
    long get();
  }

  private static Object exact(LongResult result) {
    try {
      return result.get();
    } catch (ArithmeticException e) {
      throw new TemplateException("an integer grows beyond the limit of 64 bits");
    }
  }

  private static TemplateException unsupported(String operator, Object a, Object b) {
    return new TemplateException(
        "unsupported operand type(s) for %s: '%s' and '%s'"
            .formatted(operator, Values.typeName(a), Values.typeName(b)));
  }
}

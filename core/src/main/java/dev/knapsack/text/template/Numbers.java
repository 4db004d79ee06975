package dev.knapsack.text.template;

import dev.knapsack.error.TemplateException;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.Locale;

/**
 * Numbers as format specifications write them, rounded from the exact value of a double to the
 * nearest, ties to even.
 */
final class Numbers {
  /** Digits after the point that may be asked for; a double has no more that are not 0. */
  static final int MOST_DIGITS = 1100;

  private Numbers() {}

  static boolean isNegative(Object number) {
    return Values.isInteger(number)
        ? Values.integer(number) < 0
        : Math.copySign(1, Values.number(number)) < 0 && !Double.isNaN(Values.number(number));
  }

  /** The digits of a whole number, without its sign; {@code type} is one of {@code dxXob}. */
  static String whole(Object number, char type) {
    BigInteger value =
        number instanceof Double d
            ? new BigDecimal(d).toBigInteger()
            : BigInteger.valueOf(Values.integer(number));
    return switch (type) {
      case 'x' -> value.abs().toString(16);
      case 'X' -> value.abs().toString(16).toUpperCase(Locale.ROOT);
      case 'o' -> value.abs().toString(8);
      case 'b' -> value.abs().toString(2);
      default -> value.abs().toString();
    };
  }

  /**
   * The digits of a number, without its sign.
   *
   * @param type one of {@code eEfFgG%}, or {@code r} for what is shortest
   * @param precision -1 if none is asked for
   * @param alternate keep the point and the zeros that say nothing
   */
  static String decimal(double number, char type, int precision, boolean alternate, Meter meter) {
    meter.step(128); // the exact value of a double may have a thousand digits
    if (precision > MOST_DIGITS) {
      throw new TemplateException(
          "a format asks for " + precision + " digits, more than the limit of " + MOST_DIGITS);
    }
    if (Double.isNaN(number) || Double.isInfinite(number)) {
      String name = Double.isNaN(number) ? "nan" : "inf";
      name = Character.isUpperCase(type) ? name.toUpperCase(Locale.ROOT) : name;
      return type == '%' ? name + "%" : name;
    }
    BigDecimal value = new BigDecimal(number).abs();
    int digits = precision < 0 ? 6 : precision;
    return switch (type) {
      case 'f', 'F' -> fixed(value, digits, alternate);
      case '%' -> fixed(new BigDecimal(Math.abs(number) * 100), digits, alternate) + "%";
      case 'e' -> exponential(value, digits, alternate);
      case 'E' -> exponential(value, digits, alternate).toUpperCase(Locale.ROOT);
      case 'g' -> general(value, Math.max(1, digits), alternate, false);
      case 'G' -> general(value, Math.max(1, digits), alternate, false).toUpperCase(Locale.ROOT);
      default ->
          precision < 0
              ? Values.decimal(Math.abs(number))
              : general(value, Math.max(1, digits), alternate, true);
    };
  }

  private static String fixed(BigDecimal value, int digits, boolean alternate) {
    String text = value.setScale(digits, RoundingMode.HALF_EVEN).toPlainString();
    return alternate && digits == 0 ? text + "." : text;
  }

  private static String exponential(BigDecimal value, int digits, boolean alternate) {
    BigDecimal rounded = value.round(new MathContext(digits + 1, RoundingMode.HALF_EVEN));
    String all = rounded.unscaledValue().toString();
    int exponent = rounded.signum() == 0 ? 0 : rounded.precision() - rounded.scale() - 1;
    StringBuilder mantissa = new StringBuilder(all);
    mantissa.repeat("0", Math.max(0, digits + 1 - all.length())).setLength(digits + 1);
    if (digits > 0 || alternate) {
      mantissa.insert(1, '.');
    }
    return mantissa + exponent(exponent);
  }

  private static String exponent(int exponent) {
    int size = Math.abs(exponent);
    return (exponent < 0 ? "e-" : "e+") + (size < 10 ? "0" : "") + size;
  }

  private static String general(BigDecimal value, int digits, boolean alternate, boolean decimal) {
    BigDecimal rounded = value.round(new MathContext(digits, RoundingMode.HALF_EVEN));
    int exponent = rounded.signum() == 0 ? 0 : rounded.precision() - rounded.scale() - 1;
    boolean plain = exponent >= -4 && exponent < digits - (decimal ? 1 : 0);
    if (plain) {
      String text = fixed(rounded, Math.max(0, digits - 1 - exponent), alternate);
      String cut = alternate ? text : withoutZeros(text);
      return decimal && cut.indexOf('.') < 0 ? cut + ".0" : cut;
    }
    String text = exponential(rounded, digits - 1, alternate);
    int at = text.indexOf('e');
    return alternate ? text : withoutZeros(text.substring(0, at)) + text.substring(at);
  }

  private static String withoutZeros(String text) {
    if (text.indexOf('.') < 0) {
      return text;
    }
    int end = text.length();
    while (text.charAt(end - 1) == '0') {
      end--;
    }
    return text.substring(0, text.charAt(end - 1) == '.' ? end - 1 : end);
  }
}

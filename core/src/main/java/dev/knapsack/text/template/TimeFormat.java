package dev.knapsack.text.template;

import dev.knapsack.error.TemplateException;
import dev.knapsack.text.MarkedText;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.Locale;

/** Writes a time in a format of C's {@code strftime}, in the C locale. */
final class TimeFormat {
  private TimeFormat() {}

  static MarkedText format(MarkedText format, ZonedDateTime time, Meter meter) {
    Meter.Text out = meter.text();
    for (int i = 0; i < format.length(); i++) {
      char c = format.charAt(i);
      if (c != '%' || i + 1 == format.length()) {
        out.add(format, i, i + 1);
        continue;
      }
      // Making a formatter takes longer than writing a few characters.
      meter.step(16);
      boolean control = format.isControl(i, i + 1);
      c = format.charAt(++i);
      boolean unpadded = c == '-' && i + 1 < format.length();
      if (unpadded) {
        c = format.charAt(++i);
      }
      String text = DateTimeFormatter.ofPattern(pattern(c), Locale.ENGLISH).format(time);
      boolean cut = unpadded && text.startsWith("0") && text.length() > 1;
      out.add(cut ? text.substring(1) : text, control);
    }
    return out.build();
  }

  private static String pattern(char directive) {
    return switch (directive) {
      case 'Y' -> "yyyy";
      case 'y' -> "yy";
      case 'm' -> "MM";
      case 'B' -> "MMMM";
      case 'b', 'h' -> "MMM";
      case 'd' -> "dd";
      case 'e' -> "ppd";
      case 'j' -> "DDD";
      case 'A' -> "EEEE";
      case 'a' -> "EEE";
      case 'H' -> "HH";
      case 'I' -> "hh";
      case 'M' -> "mm";
      case 'S' -> "ss";
      case 'f' -> "SSSSSS";
      case 'p' -> "a";
      case 'z' -> "xx";
      case 'Z' -> "zzz";
      case 'F' -> "yyyy-MM-dd";
      case 'T' -> "HH:mm:ss";
      case 'R' -> "HH:mm";
      case 'D' -> "MM/dd/yy";
      case 'c' -> "EEE MMM ppd HH:mm:ss yyyy";
      case 'x' -> "MM/dd/yy";
      case 'X' -> "HH:mm:ss";
      case '%' -> "'%'";
      case 'n' -> "'\n'";
      case 't' -> "'\t'";
      default ->
          throw new TemplateException(
              "strftime_now: unknown directive '%" + directive + "' in the format");
    };
  }
}

package dev.knapsack.text.template;

import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** Strings as the language of the reference sees them: sequences of code points. */
final class Strings {
  private Strings() {}

  /** White space in the sense of {@code str.isspace}. */
  static boolean isSpace(int c) {
    return (c >= 9 && c <= 13)
        || (c >= 28 && c <= 32)
        || c == 0x85
        || c == 0xa0
        || (c > 0xff && Character.isSpaceChar(c));
  }

  /** Strips white space, or any of the characters given, from the start and the end asked for. */
  static String strip(String text, Object characters, boolean start, boolean end, Meter meter) {
    String set = characters == None.NONE ? null : Values.requireString(characters);
    meter.search(text.length(), set == null ? 1 : set.length());
    int from = 0;
    int to = text.length();
    while (start && from < to && strips(text.codePointAt(from), set)) {
      from += Character.charCount(text.codePointAt(from));
    }
    while (end && to > from && strips(text.codePointBefore(to), set)) {
      to -= Character.charCount(text.codePointBefore(to));
    }
    meter.characters(to - from);
    return text.substring(from, to);
  }

  private static boolean strips(int c, @Nullable String set) {
    return set == null ? isSpace(c) : set.indexOf(c) >= 0;
  }

  static List<Object> split(String text, Object separator, long max, Meter meter) {
    List<Object> parts = meter.list(0);
    if (separator == None.NONE) {
      splitAtSpace(text, max, parts, meter);
      return parts;
    }
    String mark = mark(separator);
    meter.search(text.length(), mark.length());
    int from = 0;
    for (int at = text.indexOf(mark);
        at >= 0 && (max < 0 || parts.size() < max);
        at = text.indexOf(mark, from)) {
      add(parts, text, from, at, meter);
      from = at + mark.length();
    }
    add(parts, text, from, text.length(), meter);
    return parts;
  }

  static List<Object> splitFromEnd(String text, Object separator, long max, Meter meter) {
    if (max < 0 || separator == None.NONE) {
      return split(text, separator, max, meter);
    }
    String mark = mark(separator);
    meter.search(text.length(), mark.length());
    List<Object> parts = meter.list(0);
    int to = text.length();
    while (parts.size() < max) {
      int at = to < mark.length() ? -1 : text.lastIndexOf(mark, to - mark.length());
      if (at < 0) {
        break;
      }
      add(parts, text, at + mark.length(), to, meter);
      to = at;
    }
    add(parts, text, 0, to, meter);
    return parts.reversed();
  }

  private static String mark(Object separator) {
    String mark = Values.requireString(separator);
    if (mark.isEmpty()) {
      throw new TemplateException("empty separator");
    }
    return mark;
  }

  private static void splitAtSpace(String text, long max, List<Object> parts, Meter meter) {
    meter.step(text.length() >> 3);
    int i = 0;
    while (true) {
      while (i < text.length() && isSpace(text.charAt(i))) {
        i++;
      }
      if (i == text.length()) {
        return;
      }
      int start = i;
      if (max >= 0 && parts.size() == max) {
        int end = text.length();
        while (isSpace(text.charAt(end - 1))) {
          end--;
        }
        add(parts, text, start, end, meter);
        return;
      }
      while (i < text.length() && !isSpace(text.charAt(i))) {
        i++;
      }
      add(parts, text, start, i, meter);
    }
  }

  private static void add(List<Object> parts, String text, int from, int to, Meter meter) {
    meter.characters(8L + to - from);
    parts.add(text.substring(from, to));
  }

  static List<Object> lines(String text, boolean keepEnds, Meter meter) {
    List<Object> lines = meter.list(0);
    meter.step(text.length() >> 3);
    int from = 0;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c == '\n' || c == '\r' || c == 0x0b || c == 0x0c || c == 0x85 || c == 0x2028) {
        int end = i;
        if (c == '\r' && i + 1 < text.length() && text.charAt(i + 1) == '\n') {
          i++;
        }
        add(lines, text, from, keepEnds ? i + 1 : end, meter);
        from = i + 1;
      }
    }
    if (from < text.length()) {
      add(lines, text, from, text.length(), meter);
    }
    return lines;
  }

  static String replace(String text, String from, String to, long max, Meter meter) {
    meter.search(text.length(), from.length());
    Meter.Text out = meter.text();
    int copied = 0;
    int at = text.indexOf(from);
    for (long count = 0; at >= 0 && (max < 0 || count < max); count++) {
      out.add(text.substring(copied, at)).add(to);
      copied = at;
      if (from.isEmpty()) {
        if (at == text.length()) {
          break;
        }
        at++;
      } else {
        copied = at + from.length();
        at = text.indexOf(from, copied);
      }
    }
    return out.add(text.substring(copied)).toString();
  }

  /** The code points from one index to another, both within the string or clamped to it. */
  static String slice(String text, long from, long to, Meter meter) {
    meter.scan(text.length());
    int length = text.codePointCount(0, text.length());
    int start = Math.clamp(from, 0, length);
    int end = Math.clamp(to, start, length);
    meter.characters(end - start);
    if (length == text.length()) {
      return text.substring(start, end);
    }
    int first = text.offsetByCodePoints(0, start);
    return text.substring(first, text.offsetByCodePoints(first, end - start));
  }

  static String capitalize(String text) {
    if (text.isEmpty()) {
      return text;
    }
    int end = text.offsetByCodePoints(0, 1);
    return upper(text.substring(0, end)) + lower(text.substring(end));
  }

  /** Every word with a capital, where a word is what this says: letters, or what has no blanks. */
  static String title(String text, boolean lettersOnly) {
    StringBuilder out = new StringBuilder(text.length());
    boolean inWord = false;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      boolean letter = lettersOnly ? Character.isLetter(c) : !isSpace(c) && "-({[<".indexOf(c) < 0;
      out.append(inWord ? Character.toLowerCase(c) : Character.toUpperCase(c));
      inWord = letter;
    }
    return out.toString();
  }

  static String upper(String text) {
    return text.toUpperCase(Locale.ROOT);
  }

  static String lower(String text) {
    return text.toLowerCase(Locale.ROOT);
  }
}

package dev.knapsack.text.template;

import dev.knapsack.error.TemplateException;
import dev.knapsack.text.MarkedText;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Strings as the language of the reference sees them: sequences of code points, each of which keeps
 * its mark whatever becomes of the string.
 */
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

  /** The number of code points. */
  static int length(String text, Meter meter) {
    meter.scan(text.length());
    return text.codePointCount(0, text.length());
  }

  /** Strips white space, or any of the characters given, from the start and the end asked for. */
  static MarkedText strip(
      MarkedText marked, Object characters, boolean start, boolean end, Meter meter) {
    String set = characters == None.NONE ? null : Values.requireString(characters);
    String text = marked.text();
    meter.search(text.length(), set == null ? 1 : set.length());
    int from = 0;
    int to = text.length();
    while (start && from < to && strips(text.codePointAt(from), set)) {
      from += Character.charCount(text.codePointAt(from));
    }
    while (end && to > from && strips(text.codePointBefore(to), set)) {
      to -= Character.charCount(text.codePointBefore(to));
    }
    return part(marked, from, to, meter);
  }

  private static boolean strips(int c, @Nullable String set) {
    return set == null ? isSpace(c) : set.indexOf(c) >= 0;
  }

  /** A part of a text, from one UTF-16 unit up to another. */
  static MarkedText part(MarkedText text, int from, int to, Meter meter) {
    meter.characters(to - from);
    return text.slice(from, to);
  }

  static List<Object> split(MarkedText text, Object separator, long max, Meter meter) {
    List<Object> parts = meter.list(0);
    if (separator == None.NONE) {
      splitAtSpace(text, max, parts, meter);
      return parts;
    }
    String mark = mark(separator);
    meter.search(text.length(), mark.length());
    int from = 0;
    for (int at = text.text().indexOf(mark);
        at >= 0 && (max < 0 || parts.size() < max);
        at = text.text().indexOf(mark, from)) {
      add(parts, text, from, at, meter);
      from = at + mark.length();
    }
    add(parts, text, from, text.length(), meter);
    return parts;
  }

  static List<Object> splitFromEnd(MarkedText text, Object separator, long max, Meter meter) {
    if (max < 0) {
      return split(text, separator, max, meter);
    }
    List<Object> parts = meter.list(0);
    if (separator == None.NONE) {
      splitAtSpaceFromEnd(text, max, parts, meter);
      return parts.reversed();
    }
    String mark = mark(separator);
    meter.search(text.length(), mark.length());
    int to = text.length();
    while (parts.size() < max) {
      int at = to < mark.length() ? -1 : text.text().lastIndexOf(mark, to - mark.length());
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

  private static void splitAtSpace(MarkedText text, long max, List<Object> parts, Meter meter) {
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
        add(parts, text, start, text.length(), meter);
        return;
      }
      while (i < text.length() && !isSpace(text.charAt(i))) {
        i++;
      }
      add(parts, text, start, i, meter);
    }
  }

  private static void splitAtSpaceFromEnd(
      MarkedText text, long max, List<Object> parts, Meter meter) {
    meter.step(text.length() >> 3);
    int i = text.length();
    while (true) {
      while (i > 0 && isSpace(text.charAt(i - 1))) {
        i--;
      }
      if (i == 0) {
        return;
      }
      int end = i;
      if (parts.size() == max) {
        add(parts, text, 0, end, meter);
        return;
      }
      while (i > 0 && !isSpace(text.charAt(i - 1))) {
        i--;
      }
      add(parts, text, i, end, meter);
    }
  }

  private static void add(List<Object> parts, MarkedText text, int from, int to, Meter meter) {
    meter.characters(8L + to - from);
    parts.add(text.slice(from, to));
  }

  static List<Object> lines(MarkedText text, boolean keepEnds, Meter meter) {
    List<Object> lines = meter.list(0);
    meter.step(text.length() >> 3);
    int from = 0;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (endsLine(c)) {
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

  private static boolean endsLine(char c) {
    return (c >= 0x0a && c <= 0x0d)
        || (c >= 0x1c && c <= 0x1e)
        || c == 0x85
        || c == 0x2028
        || c == 0x2029;
  }

  static MarkedText replace(
      MarkedText text, MarkedText from, MarkedText to, long max, Meter meter) {
    meter.search(text.length(), from.length());
    Meter.Text out = meter.text();
    int copied = 0;
    int at = text.text().indexOf(from.text());
    for (long count = 0; at >= 0 && (max < 0 || count < max); count++) {
      out.add(text, copied, at).add(to);
      copied = at;
      if (from.isEmpty()) {
        if (at == text.length()) {
          break;
        }
        at = text.text().offsetByCodePoints(at, 1);
      } else {
        copied = at + from.length();
        at = text.text().indexOf(from.text(), copied);
      }
    }
    return out.add(text, copied, text.length()).build();
  }

  /** The code points from one index to another, both within the string or clamped to it. */
  static MarkedText slice(MarkedText text, long from, long to, Meter meter) {
    int length = length(text.text(), meter);
    int start = Math.clamp(from, 0, length);
    int end = Math.clamp(to, start, length);
    if (length == text.length()) {
      return part(text, start, end, meter);
    }
    int first = text.text().offsetByCodePoints(0, start);
    return part(text, first, text.text().offsetByCodePoints(first, end - start), meter);
  }

  /** Texts with another between each two of them. */
  static MarkedText join(MarkedText separator, Iterable<?> parts, Meter meter) {
    Meter.Text out = meter.text();
    boolean first = true;
    for (Object part : parts) {
      meter.step(1);
      if (!first) {
        out.add(separator);
      }
      out.add(Representation.of(part, meter));
      first = false;
    }
    return out.build();
  }

  /** A text of one code point among blanks, or another fill of one code point. */
  static MarkedText pad(MarkedText text, long before, MarkedText fill, long after, Meter meter) {
    return meter.text().repeat(fill, before).add(text).repeat(fill, after).build();
  }
}

package dev.knapsack.text.template;

import dev.knapsack.text.MarkedText;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A text in HTML, of which the text alone is wanted. */
final class Markup {
  /** The named characters that are in use outside of tables; others stay as they are written. */
  private static final Map<String, String> NAMED =
      Map.ofEntries(
          Map.entry("amp", "&"),
          Map.entry("lt", "<"),
          Map.entry("gt", ">"),
          Map.entry("quot", "\""),
          Map.entry("apos", "'"),
          Map.entry("nbsp", "\u00a0"),
          Map.entry("copy", "\u00a9"),
          Map.entry("reg", "\u00ae"),
          Map.entry("trade", "\u2122"),
          Map.entry("laquo", "\u00ab"),
          Map.entry("raquo", "\u00bb"),
          Map.entry("lsquo", "\u2018"),
          Map.entry("rsquo", "\u2019"),
          Map.entry("ldquo", "\u201c"),
          Map.entry("rdquo", "\u201d"),
          Map.entry("ndash", "\u2013"),
          Map.entry("mdash", "\u2014"),
          Map.entry("hellip", "\u2026"),
          Map.entry("bull", "\u2022"),
          Map.entry("middot", "\u00b7"),
          Map.entry("deg", "\u00b0"),
          Map.entry("times", "\u00d7"),
          Map.entry("euro", "\u20ac"));

  /** The names that need no semicolon behind them. */
  private static final List<String> OPEN =
      List.of(
          "amp", "lt", "gt", "quot", "nbsp", "copy", "reg", "laquo", "raquo", "middot", "deg",
          "times");

  /** The characters that HTML takes for the numbers 128 to 159: those of Windows-1252. */
  private static final String WINDOWS =
      "\u20ac\u0081\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u008d\u017d\u008f"
          + "\u0090\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u009d\u017e\u0178";

  private static final int LONGEST_NAME = 32;

  private final MarkedText source;
  private final Meter meter;

  Markup(MarkedText source, Meter meter) {
    this.source = source;
    this.meter = meter;
  }

  /** The text without comments and tags, blanks drawn together, references resolved. */
  MarkedText withoutTags() {
    MarkedText text = without(without(source, "<!--", "-->"), "<", ">");
    return resolved(
        Strings.join(MarkedText.input(" "), Strings.split(text, None.NONE, -1, meter), meter));
  }

  private MarkedText without(MarkedText text, String begin, String end) {
    meter.step(1 + (text.length() >> 3));
    Meter.Text out = meter.text();
    int copied = 0;
    while (true) {
      int from = text.text().indexOf(begin, copied);
      int to = from < 0 ? -1 : text.text().indexOf(end, from);
      if (to < 0) {
        return out.add(text, copied, text.length()).build();
      }
      out.add(text, copied, from);
      copied = to + end.length();
    }
  }

  private MarkedText resolved(MarkedText text) {
    Meter.Text out = meter.text();
    int copied = 0;
    for (int at = text.text().indexOf('&'); at >= 0; at = text.text().indexOf('&', at + 1)) {
      meter.step(1);
      int end = at + 1;
      while (end < text.length() && end - at <= LONGEST_NAME && isName(text.charAt(end))) {
        end++;
      }
      boolean closed = end < text.length() && text.charAt(end) == ';';
      String name = text.text().substring(at + 1, end);
      String character = closed || name.startsWith("#") ? character(name) : null;
      if (character == null) {
        name = OPEN.stream().filter(name::startsWith).findAny().orElse("");
        closed = false;
        character = NAMED.get(name);
      }
      if (character != null) {
        out.add(text, copied, at).add(character, text.isControl(at, end));
        copied = at + 1 + name.length() + (closed ? 1 : 0);
      }
    }
    return out.add(text, copied, text.length()).build();
  }

  private static boolean isName(char c) {
    return c == '#' || (c < 0x80 && Character.isLetterOrDigit(c));
  }

  private static @Nullable String character(String name) {
    if (!name.startsWith("#")) {
      return NAMED.get(name);
    }
    boolean hexadecimal = name.startsWith("#x") || name.startsWith("#X");
    try {
      int c = Integer.parseInt(name.substring(hexadecimal ? 2 : 1), hexadecimal ? 16 : 10);
      boolean none = c <= 0 || c > Character.MAX_CODE_POINT || (c >= 0xd800 && c < 0xe000);
      return none
          ? "\ufffd"
          : c >= 0x80 && c < 0xa0 ? WINDOWS.substring(c - 0x80, c - 0x7f) : Character.toString(c);
    } catch (NumberFormatException e) {
      return null;
    }
  }
}

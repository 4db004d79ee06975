package dev.knapsack.text.template;

import dev.knapsack.text.MarkedText;
import java.util.Locale;

/**
 * Capitals and small letters, a code point at a time: the JDK's own conversions of a whole string
 * move all that follows whenever one letter becomes two.
 */
final class Letters {
  /** Characters that stand within words without being letters (Unicode's Word_Break, in part). */
  private static final String IN_WORDS =
      "'.:\u00b7\u055f\u05f4\u2018\u2019\u2024\u2027" + "\ufe13\ufe52\ufe55\uff07\uff0e\uff1a";

  private static final String[] ASCII = new String[0x80];

  static {
    for (int c = 0; c < ASCII.length; c++) {
      ASCII[c] = Character.toString(c);
    }
  }

  private Letters() {}

  /** One code point of a text as another kind of letter. */
  private interface Mapping {
    String apply(int c, int at);
  }

  private static MarkedText map(MarkedText text, Mapping mapping, Meter meter) {
    meter.scan(text.length());
    Meter.Text out = meter.text();
    for (int from = 0; from < text.length(); ) {
      int end = text.runEnd(from);
      boolean control = text.isControl(from, end);
      while (from < end) {
        int c = text.text().codePointAt(from);
        out.add(mapping.apply(c, from), control);
        from += Character.charCount(c);
      }
    }
    return out.build();
  }

  static MarkedText upper(MarkedText text, Meter meter) {
    return map(text, (c, _) -> upper(c), meter);
  }

  static MarkedText lower(MarkedText text, Meter meter) {
    return map(text, (c, at) -> lower(text.text(), c, at), meter);
  }

  /** As for comparing texts whatever their capitals. */
  static MarkedText folded(MarkedText text, Meter meter) {
    return map(text, (c, _) -> lower(upper(c)), meter);
  }

  static MarkedText swapped(MarkedText text, Meter meter) {
    return map(
        text, (c, at) -> Character.isUpperCase(c) ? lower(text.text(), c, at) : upper(c), meter);
  }

  /** The first letter a capital, all others small. */
  static MarkedText capitalized(MarkedText text, Meter meter) {
    return map(text, (c, at) -> at == 0 ? title(c) : lower(text.text(), c, at), meter);
  }

  /** Every word with a capital, where a word is a run of letters. */
  static MarkedText titled(MarkedText text, Meter meter) {
    return map(
        text,
        (c, at) ->
            at > 0 && isCased(text.text().codePointBefore(at))
                ? lower(text.text(), c, at)
                : title(c),
        meter);
  }

  /** Every word with a capital, where words are what blanks, hyphens and brackets part. */
  static MarkedText titledWords(MarkedText text, Meter meter) {
    Meter.Text out = meter.text();
    for (int from = 0; from < text.length(); ) {
      boolean parts = partsWords(text.charAt(from));
      int rest = text.text().offsetByCodePoints(from, 1);
      int end = rest;
      while (end < text.length() && partsWords(text.charAt(end)) == parts) {
        end++;
      }
      out.add(upper(text.slice(from, rest), meter)).add(lower(text.slice(rest, end), meter));
      from = end;
    }
    return out.build();
  }

  private static boolean partsWords(int c) {
    return switch (c) {
      case '-', '(', '{', '[', '<' -> true;
      default -> Strings.isSpace(c);
    };
  }

  private static String upper(int c) {
    return c < 0x80
        ? ASCII[Character.toUpperCase(c)]
        : Character.toString(c).toUpperCase(Locale.ROOT);
  }

  private static String lower(int c) {
    return c < 0x80 ? ASCII[Character.toLowerCase(c)] : lower(Character.toString(c));
  }

  private static String lower(String letters) {
    return letters.toLowerCase(Locale.ROOT);
  }

  private static String lower(String text, int c, int at) {
    return c == 'Σ' ? (endsWord(text, at) ? "ς" : "σ") : lower(c);
  }

  /** The capital that begins a word, where that is one letter of two ({@code ǅ}). */
  private static String title(int c) {
    int single = Character.toTitleCase(c);
    String upper = upper(c);
    if (single != c || upper.length() < 2 || Character.charCount(c) == upper.length()) {
      return single != c ? Character.toString(single) : upper;
    }
    int first = upper.offsetByCodePoints(0, 1);
    return c == 'ŉ' ? upper : upper.substring(0, first) + lower(upper.substring(first));
  }

  /** Says whether a sigma ends a word: letters before it, none behind (Unicode's Final_Sigma). */
  private static boolean endsWord(String text, int at) {
    int before = at;
    while (before > 0 && isIgnored(text.codePointBefore(before))) {
      before -= Character.charCount(text.codePointBefore(before));
    }
    if (before == 0 || !isCased(text.codePointBefore(before))) {
      return false;
    }
    int after = at + 1;
    while (after < text.length() && isIgnored(text.codePointAt(after))) {
      after += Character.charCount(text.codePointAt(after));
    }
    return after == text.length() || !isCased(text.codePointAt(after));
  }

  private static boolean isIgnored(int c) {
    return switch (Character.getType(c)) {
      case Character.NON_SPACING_MARK,
          Character.ENCLOSING_MARK,
          Character.FORMAT,
          Character.MODIFIER_LETTER,
          Character.MODIFIER_SYMBOL ->
          true;
      default -> IN_WORDS.indexOf(c) >= 0;
    };
  }

  static boolean isCased(int c) {
    return Character.isLowerCase(c) || Character.isUpperCase(c) || Character.isTitleCase(c);
  }

  /** Says whether there are letters of this size in a text, and none of another. */
  static boolean areAll(boolean upper, String text, Meter meter) {
    meter.step(1 + (text.length() >> 3));
    boolean found = false;
    for (int i = 0; i < text.length(); ) {
      int c = text.codePointAt(i);
      if (isCased(c)) {
        if (!(upper ? Character.isUpperCase(c) : Character.isLowerCase(c))) {
          return false;
        }
        found = true;
      }
      i += Character.charCount(c);
    }
    return found;
  }

  /** Says whether capitals begin words, and stand nowhere else. */
  static boolean areTitled(String text, Meter meter) {
    meter.step(1 + (text.length() >> 3));
    boolean found = false;
    boolean inWord = false;
    for (int i = 0; i < text.length(); ) {
      int c = text.codePointAt(i);
      boolean cased = isCased(c);
      if (cased && inWord != Character.isLowerCase(c)) {
        return false;
      }
      found |= cased;
      inWord = cased;
      i += Character.charCount(c);
    }
    return found;
  }
}

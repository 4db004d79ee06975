package dev.knapsack.text.answer;

import java.util.Collection;

/** Marks in a text that is still coming. */
final class Marks {
  private Marks() {}

  static int indexOf(CharSequence text, String mark, int from) {
    for (int i = Math.max(0, from); i + mark.length() <= text.length(); i++) {
      if (startsWith(text, i, mark)) {
        return i;
      }
    }
    return -1;
  }

  static boolean startsWith(CharSequence text, int at, String mark) {
    if (at + mark.length() > text.length()) {
      return false;
    }
    for (int i = 0; i < mark.length(); i++) {
      if (text.charAt(at + i) != mark.charAt(i)) {
        return false;
      }
    }
    return true;
  }

  /** Says whether all that has come from a place on may become a mark. */
  static boolean mayBegin(CharSequence text, int at, String mark) {
    int there = text.length() - at;
    return there < mark.length()
        && startsWith(mark, 0, text.subSequence(at, text.length()).toString());
  }

  /** The place where the end of a text may be the beginning of a mark; its length if nowhere. */
  static int held(CharSequence text, Collection<String> marks) {
    int longest = marks.stream().mapToInt(String::length).max().orElse(0);
    for (int i = Math.max(0, text.length() - longest + 1); i < text.length(); i++) {
      for (String mark : marks) {
        if (mayBegin(text, i, mark)) {
          return i;
        }
      }
    }
    return text.length();
  }
}

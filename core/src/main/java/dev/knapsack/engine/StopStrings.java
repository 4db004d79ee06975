package dev.knapsack.engine;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Finds the first stop string in a text that arrives in pieces, and holds back only what may yet
 * become one.
 *
 * <p>The stop string that is complete first counts, and of several that end together the longest;
 * the answer is what lies before it. So where pieces begin and end makes no difference.
 */
final class StopStrings {
  private final List<String> stops;
  private final StringBuilder held = new StringBuilder();
  private @Nullable String found;

  StopStrings(List<String> stops) {
    this.stops = stops;
  }

  /** Says whether a stop string has come up; nothing is released after that. */
  boolean isFound() {
    return found != null;
  }

  /** The stop string that has come up; null if none has. */
  @Nullable String found() {
    return found;
  }

  /** Takes the next piece of the text, and returns what is now certain to be answer. */
  String next(String piece) {
    if (stops.isEmpty()) {
      return piece;
    }
    for (int i = 0; i < piece.length() && found == null; i++) {
      held.append(piece.charAt(i));
      int start = completed();
      if (start >= 0) {
        found = held.substring(start);
        held.setLength(start);
        return release(held.length());
      }
    }
    return found != null ? "" : release(held.length() - possible());
  }

  /** The text that was held back, when no more comes. */
  String finish() {
    return release(held.length());
  }

  private String release(int length) {
    String text = held.substring(0, length);
    held.delete(0, length);
    return text;
  }

  /** The beginning of the longest stop string that ends the held text, or -1. */
  private int completed() {
    int start = -1;
    for (String stop : stops) {
      int at = held.length() - stop.length();
      if (at >= 0 && (start < 0 || at < start) && endsWith(stop, stop.length())) {
        start = at;
      }
    }
    return start;
  }

  /** The length of the longest end of the held text that a stop string begins with. */
  private int possible() {
    int longest = 0;
    for (String stop : stops) {
      for (int n = Math.min(stop.length() - 1, held.length()); n > longest; n--) {
        if (endsWith(stop, n)) {
          longest = n;
        }
      }
    }
    return longest;
  }

  private boolean endsWith(String stop, int length) {
    int at = held.length() - length;
    for (int i = 0; i < length; i++) {
      if (held.charAt(at + i) != stop.charAt(i)) {
        return false;
      }
    }
    return true;
  }
}

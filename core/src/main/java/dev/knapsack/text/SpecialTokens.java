package dev.knapsack.text;

import java.util.Arrays;
import java.util.BitSet;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Finds special tokens that are written out in a text: the leftmost first, and of those that begin
 * at one place the longest.
 *
 * <p>User-defined tokens are always found; tokens that {@linkplain #steers steer} the model only
 * where the text may do that.
 */
final class SpecialTokens {
  /**
   * A token as it stands in text.
   *
   * @param steers the model, and is found only where the text may do that
   * @param singleWord stands between characters that are no part of a word
   * @param leftStrip blanks before it belong to it
   * @param rightStrip blanks that follow it belong to it
   */
  record Entry(
      int token,
      String text,
      boolean steers,
      boolean singleWord,
      boolean leftStrip,
      boolean rightStrip) {}

  /** Says whether the characters from {@code from} to {@code to} may steer the model. */
  interface Control {
    boolean allows(int from, int to);
  }

  /** Texts that mark turns, and have no look of their own. */
  private static final Set<String> TURNS =
      Set.of(
          "<start_of_turn>",
          "<end_of_turn>",
          "<|turn>",
          "<turn|>",
          "[INST]",
          "[/INST]",
          "[SYSTEM_PROMPT]",
          "[/SYSTEM_PROMPT]");

  /** Takes the parts of a text in order. */
  interface Sink {
    void text(int from, int to);

    void token(int token);
  }

  private final Entry[] entries;
  private final BitSet firsts = new BitSet();

  SpecialTokens(List<Entry> entries) {
    this.entries =
        entries.stream()
            .filter(entry -> !entry.text().isEmpty())
            .sorted(Comparator.comparing(Entry::text).thenComparingInt(Entry::token))
            .toArray(Entry[]::new);
    for (Entry entry : this.entries) {
      firsts.set(entry.text().charAt(0));
    }
  }

  /**
   * Says whether a token steers the model. Many files have tokens that mark turns among the
   * user-defined ones (Gemma's {@code <start_of_turn>}); they count by their look, as in the
   * converter of llama.cpp.
   */
  static boolean steers(TokenType type, String text) {
    return type != TokenType.USER_DEFINED
        || (text.startsWith("<|") && text.endsWith("|>"))
        || (text.startsWith("<\uFF5C") && text.endsWith("\uFF5C>"))
        || TURNS.contains(text);
  }

  boolean isEmpty() {
    return entries.length == 0;
  }

  /** Says whether there is a token that swallows the blanks beside it. */
  boolean swallowBlanks() {
    return Arrays.stream(entries).anyMatch(e -> e.leftStrip() || e.rightStrip());
  }

  void partition(String text, Control control, Sink sink) {
    int done = 0;
    for (int at = 0; at < text.length(); ) {
      Entry entry = firsts.get(text.charAt(at)) ? longestAt(text, control, at) : null;
      if (entry == null) {
        at++;
        continue;
      }
      int end = at + entry.text().length();
      if (!entry.singleWord() || isWord(text, at, end)) {
        int from = entry.leftStrip() ? Math.max(at, done) : at;
        while (entry.leftStrip() && from > done && Characters.isBlank(text.charAt(from - 1))) {
          from--;
        }
        int to = end;
        while (entry.rightStrip() && to < text.length() && Characters.isBlank(text.charAt(to))) {
          to++;
        }
        if (from > done) {
          sink.text(done, from);
        }
        // A token of blanks alone may have lost all of them to the one before it.
        if (from < to) {
          sink.token(entry.token());
        }
        done = to;
      }
      // Blanks that a token swallows may yet begin the next one, as its library has it.
      at = end;
    }
    if (text.length() > done) {
      sink.text(done, text.length());
    }
  }

  private static boolean isWord(String text, int from, int to) {
    return (from == 0 || !Characters.isWord(text.codePointBefore(from)))
        && (to == text.length() || !Characters.isWord(text.codePointAt(to)));
  }

  private @Nullable Entry longestAt(String text, Control control, int at) {
    Entry best = null;
    int low = 0;
    int high = entries.length;
    // Entries low to high agree with the text so far; sorted, the shortest of them comes first.
    for (int length = 1; at + length <= text.length() && low < high; length++) {
      char c = text.charAt(at + length - 1);
      low = bound(low, high, length - 1, c);
      high = bound(low, high, length - 1, (char) (c + 1));
      for (int i = low; i < high && entries[i].text().length() == length; i++) {
        if (!entries[i].steers() || control.allows(at, at + length)) {
          best = entries[i];
          break;
        }
      }
      while (low < high && entries[low].text().length() == length) {
        low++;
      }
    }
    return best;
  }

  /** The first of the entries whose character at {@code index} is {@code c} or greater. */
  private int bound(int from, int to, int index, char c) {
    int low = from;
    int high = to;
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (entries[middle].text().charAt(index) < c) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
}

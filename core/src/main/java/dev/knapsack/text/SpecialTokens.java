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
   * How a token stands in text.
   *
   * @param stripRight blanks that follow it belong to it
   */
  record Entry(int token, String text, boolean steers, boolean stripRight) {}

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
   * Whether a token steers the model. Many files have tokens that mark turns among the user-defined
   * ones (Gemma's {@code <start_of_turn>}); they count by their look, as in the converter of
   * llama.cpp.
   */
  static boolean steers(TokenType type, String text) {
    return type != TokenType.USER_DEFINED
        || (text.startsWith("<|") && text.endsWith("|>"))
        || (text.startsWith("<\uFF5C") && text.endsWith("\uFF5C>"))
        || TURNS.contains(text);
  }

  /** Whether there is a token that swallows the blanks after it. */
  boolean swallowBlanks() {
    return Arrays.stream(entries).anyMatch(Entry::stripRight);
  }

  void partition(MarkedText marked, Sink sink) {
    String text = marked.text();
    int done = 0;
    for (int at = 0; at < text.length(); ) {
      Entry entry = firsts.get(text.charAt(at)) ? longestAt(marked, at) : null;
      if (entry == null) {
        at++;
        continue;
      }
      if (at > done) {
        sink.text(done, at);
      }
      sink.token(entry.token());
      at += entry.text().length();
      while (entry.stripRight() && at < text.length() && isBlank(text.charAt(at))) {
        at++;
      }
      done = at;
    }
    if (text.length() > done) {
      sink.text(done, text.length());
    }
  }

  private @Nullable Entry longestAt(MarkedText marked, int at) {
    String text = marked.text();
    Entry best = null;
    int low = 0;
    int high = entries.length;
    // Entries low to high agree with the text so far; sorted, the shortest of them comes first.
    for (int length = 1; at + length <= text.length() && low < high; length++) {
      char c = text.charAt(at + length - 1);
      low = bound(low, high, length - 1, c);
      high = bound(low, high, length - 1, (char) (c + 1));
      for (int i = low; i < high && entries[i].text().length() == length; i++) {
        if (!entries[i].steers() || marked.isControl(at, at + length)) {
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

  private static boolean isBlank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
  }
}

package dev.knapsack.constraint;

import java.util.ArrayList;
import java.util.List;

/**
 * Characters as their bytes in UTF-8.
 *
 * <p>The ranges of a set are cut where the bytes of all but the last place stay the same, as in
 * Cox, <em>Regular Expression Matching in the Wild</em> (2010).
 */
final class Utf8 {
  /** The last character of so many bytes: 1, 2, 3, 4. */
  private static final int[] LAST = {0x7F, 0x7FF, 0xFFFF, Character.MAX_CODE_POINT};

  private static final int[] LEAD = {0, 0xC0, 0xE0, 0xF0};

  private Utf8() {}

  /** One character of a set. */
  static Term character(Terms terms, CodePoints set) {
    List<Term> options = new ArrayList<>();
    int[] ranges = set.ranges();
    for (int i = 0; i < ranges.length; i += 2) {
      int from = 0;
      for (int length = 0; length < LAST.length; length++) {
        int low = Math.max(from, ranges[i]);
        int high = Math.min(LAST[length], ranges[i + 1]);
        if (low <= high) {
          options.add(range(terms, low, high, length, LEAD[length]));
        }
        from = LAST[length] + 1;
      }
    }
    return terms.choice(options);
  }

  /**
   * Numbers from one to another in so many bytes behind the first, of which the first has a mark.
   */
  private static Term range(Terms terms, int from, int to, int behind, int mark) {
    int bits = 6 * behind;
    int low = from >> bits;
    int high = to >> bits;
    if (behind == 0) {
      return terms.bytes(ByteSet.range(mark | low, mark | high));
    }
    int rest = (1 << bits) - 1;
    List<Term> options = new ArrayList<>();
    if (low == high) {
      return first(terms, mark, low, low, range(terms, from & rest, to & rest, behind - 1, 0x80));
    }
    if ((from & rest) != 0) {
      options.add(first(terms, mark, low, low, range(terms, from & rest, rest, behind - 1, 0x80)));
      low++;
    }
    if ((to & rest) != rest) {
      options.add(first(terms, mark, high, high, range(terms, 0, to & rest, behind - 1, 0x80)));
      high--;
    }
    if (low <= high) {
      options.add(first(terms, mark, low, high, range(terms, 0, rest, behind - 1, 0x80)));
    }
    return terms.choice(options);
  }

  private static Term first(Terms terms, int mark, int low, int high, Term rest) {
    return terms.sequence(terms.bytes(ByteSet.range(mark | low, mark | high)), rest);
  }
}

package dev.knapsack.constraint;

import java.util.Arrays;

/**
 * A set of characters: Unicode code points that UTF-8 can write, which halves of surrogate pairs
 * are not.
 *
 * @param ranges first and last of each range, ascending, apart from each other
 */
record CodePoints(int... ranges) {
  static final CodePoints NONE = new CodePoints();

  /** All characters. */
  static final CodePoints ALL = new CodePoints(0, 0xD7FF, 0xE000, Character.MAX_CODE_POINT);

  CodePoints {
    ranges = ranges.clone();
  }

  static CodePoints of(int... characters) {
    CodePoints set = NONE;
    for (int one : characters) {
      set = set.or(range(one, one));
    }
    return set;
  }

  /** The characters of a text. */
  static CodePoints of(String characters) {
    return of(characters.codePoints().toArray());
  }

  /** The characters from one to another, both of them in it. */
  static CodePoints range(int from, int to) {
    if (from < 0 || to > Character.MAX_CODE_POINT || from > to) {
      throw new IllegalArgumentException(
          "Characters from %X to %X; give 0 to 10FFFF, the smaller first.".formatted(from, to));
    }
    return new CodePoints(from, to).and(ALL);
  }

  boolean has(int character) {
    for (int i = 0; i < ranges.length; i += 2) {
      if (character >= ranges[i] && character <= ranges[i + 1]) {
        return true;
      }
    }
    return false;
  }

  boolean isEmpty() {
    return ranges.length == 0;
  }

  CodePoints or(CodePoints other) {
    int[] sorted = new int[ranges.length + other.ranges.length];
    int size = 0;
    int i = 0;
    int j = 0;
    while (i < ranges.length || j < other.ranges.length) {
      boolean own = j == other.ranges.length || (i < ranges.length && ranges[i] <= other.ranges[j]);
      int from = own ? ranges[i] : other.ranges[j];
      int to = own ? ranges[i + 1] : other.ranges[j + 1];
      i += own ? 2 : 0;
      j += own ? 0 : 2;
      if (size > 0 && from <= sorted[size - 1] + 1) {
        sorted[size - 1] = Math.max(sorted[size - 1], to);
      } else {
        sorted[size++] = from;
        sorted[size++] = to;
      }
    }
    return new CodePoints(Arrays.copyOf(sorted, size));
  }

  CodePoints and(CodePoints other) {
    int[] both = new int[ranges.length + other.ranges.length];
    int size = 0;
    int i = 0;
    int j = 0;
    while (i < ranges.length && j < other.ranges.length) {
      int from = Math.max(ranges[i], other.ranges[j]);
      int to = Math.min(ranges[i + 1], other.ranges[j + 1]);
      if (from <= to) {
        both[size++] = from;
        both[size++] = to;
      }
      if (ranges[i + 1] < other.ranges[j + 1]) {
        i += 2;
      } else {
        j += 2;
      }
    }
    return new CodePoints(Arrays.copyOf(both, size));
  }

  /** All characters that are not in it. */
  CodePoints complement() {
    int[] gaps = new int[ranges.length + 2];
    int size = 0;
    int next = 0;
    for (int i = 0; i < ranges.length; i += 2) {
      if (ranges[i] > next) {
        gaps[size++] = next;
        gaps[size++] = ranges[i] - 1;
      }
      next = ranges[i + 1] + 1;
    }
    if (next <= Character.MAX_CODE_POINT) {
      gaps[size++] = next;
      gaps[size++] = Character.MAX_CODE_POINT;
    }
    return new CodePoints(Arrays.copyOf(gaps, size)).and(ALL);
  }

  CodePoints minus(CodePoints other) {
    return and(other.complement());
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof CodePoints(int[] others) && Arrays.equals(ranges, others);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(ranges);
  }

  @Override
  public int[] ranges() {
    return ranges.clone();
  }
}

package dev.knapsack.text;

import java.util.Arrays;

/**
 * A text that says of each character whether it may be part of a special token: what a template
 * writes may, and what came in as input may not, so that input never becomes control.
 *
 * <p>Immutable. Compared by its characters alone, whatever their marks.
 */
public final class MarkedText implements Comparable<MarkedText> {
  /** The text without characters. */
  public static final MarkedText EMPTY = new MarkedText("", false, new int[0]);

  private final String text;

  /** True if the first character is control. */
  private final boolean control;

  /**
   * The places at which control and input change, in UTF-16 units: rising, all of them within the
   * text.
   */
  private final int[] turns;

  private MarkedText(String text, boolean control, int[] turns) {
    this.text = text;
    this.control = control;
    this.turns = turns;
  }

  /** A text in which special tokens are read as such. */
  public static MarkedText control(String text) {
    return text.isEmpty() ? EMPTY : new MarkedText(text, true, EMPTY.turns);
  }

  /** A text in which special tokens are characters like others. */
  public static MarkedText input(String text) {
    return text.isEmpty() ? EMPTY : new MarkedText(text, false, EMPTY.turns);
  }

  /** This text with another behind it; both keep their marks. */
  public MarkedText plus(MarkedText next) {
    return new Builder().add(this).add(next).build();
  }

  /** The part from one UTF-16 unit up to another. */
  public MarkedText slice(int from, int to) {
    if (from == 0 && to == text.length()) {
      return this;
    }
    if (from == to) {
      return EMPTY;
    }
    int first = turnsUpTo(from);
    int last = first;
    while (last < turns.length && turns[last] < to) {
      last++;
    }
    int[] within = last == first ? EMPTY.turns : Arrays.copyOfRange(turns, first, last);
    for (int i = 0; i < within.length; i++) {
      within[i] -= from;
    }
    return new MarkedText(text.substring(from, to), control ^ (first % 2 == 1), within);
  }

  /** The characters, without their marks. */
  public String text() {
    return text;
  }

  /** The length in UTF-16 units. */
  public int length() {
    return text.length();
  }

  public boolean isEmpty() {
    return text.isEmpty();
  }

  public char charAt(int index) {
    return text.charAt(index);
  }

  /**
   * Says whether the characters from {@code from} to {@code to} may together be a special token.
   */
  public boolean isControl(int from, int to) {
    int before = turnsUpTo(from);
    return (control ^ (before % 2 == 1)) && (before == turns.length || turns[before] >= to);
  }

  /** Up to where the characters from {@code at} on are marked as the one there. */
  public int runEnd(int at) {
    int before = turnsUpTo(at);
    return before == turns.length ? text.length() : turns[before];
  }

  private int turnsUpTo(int at) {
    int found = Arrays.binarySearch(turns, at);
    return found >= 0 ? found + 1 : -found - 1;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof MarkedText marked && text.equals(marked.text);
  }

  @Override
  public int hashCode() {
    return text.hashCode();
  }

  @Override
  public int compareTo(MarkedText other) {
    return text.compareTo(other.text);
  }

  @Override
  public String toString() {
    return text;
  }

  /** A marked text under construction. */
  public static final class Builder {
    private final StringBuilder text = new StringBuilder();
    private final IntList turns = new IntList();
    private boolean first;
    private boolean last;

    /** Adds characters that are control, or input. */
    public Builder add(CharSequence characters, boolean control) {
      if (!characters.isEmpty()) {
        mark(control);
        text.append(characters);
      }
      return this;
    }

    public Builder add(char character, boolean control) {
      mark(control);
      text.append(character);
      return this;
    }

    /** Adds a text, which keeps its marks. */
    public Builder add(MarkedText more) {
      return add(more, 0, more.length());
    }

    /** Adds a part of a text, which keeps its marks. */
    public Builder add(MarkedText more, int from, int to) {
      for (int at = from; at < to; ) {
        int end = Math.min(to, more.runEnd(at));
        mark(more.isControl(at, at + 1));
        text.append(more.text, at, end);
        at = end;
      }
      return this;
    }

    /** Adds a text so many times. */
    public Builder repeat(MarkedText more, int count) {
      if (!more.isEmpty() && more.turns.length == 0 && count > 0) {
        mark(more.control);
        text.repeat(more.text, count);
        return this;
      }
      for (int i = 0; i < count; i++) {
        add(more);
      }
      return this;
    }

    private void mark(boolean control) {
      if (text.isEmpty()) {
        first = control;
      } else if (control != last) {
        turns.add(text.length());
      }
      last = control;
    }

    /** UTF-16 units so far. */
    public int length() {
      return text.length();
    }

    public MarkedText build() {
      return text.isEmpty() ? EMPTY : new MarkedText(text.toString(), first, turns.toArray());
    }
  }
}

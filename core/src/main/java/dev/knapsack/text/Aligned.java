package dev.knapsack.text;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A text, and of each of its characters (UTF-16 units) which characters of the text that was given
 * it comes from.
 */
final class Aligned {
  private final String text;

  /**
   * Bounds of what each character comes from: its beginnings, and its ends; null if nobody will
   * ask.
   */
  private final int @Nullable [] starts;

  private final int @Nullable [] ends;

  /** The place at which this part of the text began when it was last cut. */
  private final int origin;

  private Aligned(String text, int @Nullable [] starts, int @Nullable [] ends, int origin) {
    this.text = text;
    this.starts = starts;
    this.ends = ends;
    this.origin = origin;
  }

  /**
   * A part of a text that was given.
   *
   * @param traced whether anybody will ask where characters come from
   */
  static Aligned of(String whole, int from, int to, boolean traced) {
    String text = whole.substring(from, to);
    if (!traced) {
      return new Aligned(text, null, null, from);
    }
    int[] starts = new int[text.length()];
    int[] ends = new int[text.length()];
    for (int i = 0; i < starts.length; ) {
      int units = Character.charCount(text.codePointAt(i));
      Arrays.fill(starts, i, i + units, from + i);
      Arrays.fill(ends, i, i + units, from + i + units);
      i += units;
    }
    return new Aligned(text, starts, ends, from);
  }

  String text() {
    return text;
  }

  boolean isEmpty() {
    return text.isEmpty();
  }

  /** The place at which this part began when it was last cut; meaningful where it is traced. */
  int origin() {
    return origin;
  }

  int start(int index) {
    return starts == null ? 0 : starts[index];
  }

  int end(int index) {
    return ends == null ? 0 : ends[index];
  }

  /** Characters {@code from} to {@code to}, cut out. */
  Aligned cut(int from, int to) {
    if (from == to) {
      return new Aligned("", starts, ends, origin);
    }
    if (starts == null || ends == null) {
      return from == 0 && to == text.length()
          ? this
          : new Aligned(text.substring(from, to), null, null, origin);
    }
    return new Aligned(
        text.substring(from, to),
        Arrays.copyOfRange(starts, from, to),
        Arrays.copyOfRange(ends, from, to),
        starts[from]);
  }

  /** Writes what this becomes. */
  Builder builder() {
    return new Builder(this);
  }

  /** A text that is made of another. */
  static final class Builder {
    private final Aligned source;
    private final StringBuilder text;
    private int[] starts;
    private int[] ends;

    private Builder(Aligned source) {
      this.source = source;
      text = new StringBuilder(source.text.length() + 8);
      int capacity = source.starts == null ? 0 : source.text.length() + 8;
      starts = new int[capacity];
      ends = new int[capacity];
    }

    /** Adds a character that comes from {@code from} to {@code to} of the source. */
    void add(int character, int from, int to) {
      if (source.starts == null) {
        text.appendCodePoint(character);
      } else {
        append(character, source.start(from), source.end(to - 1));
      }
    }

    /** Adds a character that is new and goes with the one before {@code index} of the source. */
    void insert(int character, int index) {
      if (source.starts == null) {
        text.appendCodePoint(character);
      } else if (index == 0) {
        append(character, source.origin, source.origin);
      } else {
        append(character, source.start(index - 1), source.end(index - 1));
      }
    }

    /** Adds new characters that go with the one before {@code index} of the source. */
    void insert(String characters, int index) {
      characters.codePoints().forEach(c -> insert(c, index));
    }

    /** Adds new characters that go with the first of the source. */
    void prepend(String characters) {
      characters.codePoints().forEach(c -> add(c, 0, 1));
    }

    /** Adds characters of the source as they are. */
    void copy(int from, int to) {
      if (source.starts == null) {
        text.append(source.text, from, to);
        return;
      }
      for (int i = from; i < to; ) {
        int c = source.text.codePointAt(i);
        add(c, i, i + 1);
        i += Character.charCount(c);
      }
    }

    private void append(int character, int start, int end) {
      int at = text.length();
      text.appendCodePoint(character);
      if (text.length() > starts.length) {
        starts = Arrays.copyOf(starts, text.length() * 2);
        ends = Arrays.copyOf(ends, starts.length);
      }
      for (int i = at; i < text.length(); i++) {
        starts[i] = start;
        ends[i] = end;
      }
    }

    Aligned build() {
      return source.starts == null
          ? new Aligned(text.toString(), null, null, source.origin)
          : new Aligned(text.toString(), starts, ends, source.origin);
    }
  }
}

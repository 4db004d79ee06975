package dev.knapsack.text;

import java.util.BitSet;

/**
 * A text that says of each character whether it may be part of a special token: what a template
 * writes may, and what came in as input may not, so that input never becomes control.
 *
 * <p>Immutable.
 */
public final class MarkedText {
  private final String text;

  /** Characters (UTF-16 units) that may not be part of a special token. */
  private final BitSet input;

  private MarkedText(String text, BitSet input) {
    this.text = text;
    this.input = input;
  }

  /** A text in which special tokens are read as such. */
  public static MarkedText control(String text) {
    return new MarkedText(text, new BitSet());
  }

  /** A text in which special tokens are characters like others. */
  public static MarkedText input(String text) {
    BitSet all = new BitSet(text.length());
    all.set(0, text.length());
    return new MarkedText(text, all);
  }

  /** This text with another behind it; both keep their marks. */
  public MarkedText plus(MarkedText next) {
    BitSet both = (BitSet) input.clone();
    next.input.stream().forEach(at -> both.set(text.length() + at));
    return new MarkedText(text + next.text, both);
  }

  /** The characters, without their marks. */
  public String text() {
    return text;
  }

  /** Whether the characters from {@code from} to {@code to} may together be a special token. */
  public boolean isControl(int from, int to) {
    int at = input.nextSetBit(from);
    return at < 0 || at >= to;
  }

  @Override
  public String toString() {
    return text;
  }
}

package dev.knapsack.text.template;

import dev.knapsack.error.TemplateException;
import dev.knapsack.text.MarkedText;
import java.util.ArrayList;
import java.util.List;

/** Counts what one rendering has used, and refuses the template at the first limit it reaches. */
final class Meter {
  private final Limits limits;
  private final long maxSteps;
  private final long maxSpace;
  private long steps;
  private long space;
  private int depth;

  Meter(Limits limits, long inputSize) {
    this.limits = limits;
    maxSteps = limits.steps() + inputSize * limits.perInput();
    maxSpace = limits.space() + inputSize * limits.perInput();
  }

  void step(long count) {
    steps += count;
    if (steps > maxSteps || steps < 0) {
      throw new TemplateException(
          "the template takes more than the limit of " + maxSteps + " steps");
    }
  }

  /** Counts reading a string of this length, which is cheaper by the character than a step. */
  void scan(int length) {
    step(1 + (length >> 6));
  }

  /** Counts searching one string for another, at worst a comparison of all pairs. */
  void search(int length, int wanted) {
    step(1 + (((long) length * Math.max(1, wanted)) >> 6));
  }

  /** Counts characters about to be made. */
  void characters(long count) {
    space += count;
    if (space > maxSpace || space < 0) {
      throw new TemplateException(
          "the template makes more than the limit of "
              + maxSpace
              + " characters and list elements");
    }
  }

  /** Counts list elements or dictionary entries about to be made. */
  void elements(long count) {
    characters(count > maxSpace ? maxSpace + 1 : 8 * count);
  }

  void enter() {
    if (++depth > limits.depth()) {
      throw new TemplateException(
          "the template nests its evaluation deeper than the limit of " + limits.depth());
    }
  }

  void leave() {
    depth--;
  }

  <T> List<T> list(int size) {
    elements(size + 1L);
    return new ArrayList<>(Math.min(size, 1024));
  }

  Text text() {
    return new Text(this);
  }

  /**
   * A text under construction whose every character is counted before it is there. What the
   * interpreter writes of its own accord counts as input: it may depend on input.
   */
  static final class Text {
    private final Meter meter;
    private final MarkedText.Builder builder = new MarkedText.Builder();

    private Text(Meter meter) {
      this.meter = meter;
    }

    Text add(MarkedText text) {
      meter.characters(text.length());
      builder.add(text);
      return this;
    }

    Text add(MarkedText text, int from, int to) {
      meter.characters(to - from);
      builder.add(text, from, to);
      return this;
    }

    /** Adds characters that take the mark of another. */
    Text add(CharSequence text, boolean control) {
      meter.characters(text.length());
      builder.add(text, control);
      return this;
    }

    Text add(char c, boolean control) {
      meter.characters(1);
      builder.add(c, control);
      return this;
    }

    /** Adds what stands neither in the template nor in the input: quotes, commas, digits. */
    Text own(CharSequence text) {
      return add(text, false);
    }

    Text own(char c) {
      return add(c, false);
    }

    Text repeat(MarkedText text, long count) {
      if (count > 0 && !text.isEmpty()) {
        meter.characters(count > Integer.MAX_VALUE ? Long.MAX_VALUE / 4 : count * text.length());
        builder.repeat(text, (int) count);
      }
      return this;
    }

    int length() {
      return builder.length();
    }

    MarkedText build() {
      return builder.build();
    }
  }
}

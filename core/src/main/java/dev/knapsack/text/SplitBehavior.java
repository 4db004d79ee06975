package dev.knapsack.text;

import java.util.Arrays;
import java.util.stream.Collectors;

/** The fates of the matches by which a text is cut into pieces. */
enum SplitBehavior {
  /** Matches are left out. */
  REMOVED("Removed"),
  /** Each match is a piece. */
  ISOLATED("Isolated"),
  /** A match ends the piece before it. */
  MERGED_WITH_PREVIOUS("MergedWithPrevious"),
  /** A match begins the piece after it. */
  MERGED_WITH_NEXT("MergedWithNext"),
  /** Matches that touch are one piece. */
  CONTIGUOUS("Contiguous");

  private final String name;

  SplitBehavior(String name) {
    this.name = name;
  }

  static SplitBehavior read(Component component) {
    String text = component.text("behavior");
    for (SplitBehavior one : values()) {
      if (one.name.equals(text)) {
        return one;
      }
    }
    throw component.wrong(
        "behavior",
        "'"
            + text
            + "' is not known; known are "
            + Arrays.stream(values()).map(b -> b.name).collect(Collectors.joining(", ")));
  }

  /** Takes the pieces of a text in order. */
  interface Pieces {
    void piece(int from, int to);
  }

  /** Takes stretches and gives pieces; {@link Cutter#end} gives the last. */
  Cutter cutter(Pieces pieces) {
    return new Cutter(this, pieces);
  }

  /** Makes pieces of one text's stretches. */
  static final class Cutter implements TextPattern.Sink {
    private final SplitBehavior behavior;
    private final Pieces pieces;
    private int from = -1;
    private int to = -1;

    /** True if the last stretch was a match, or may still be taken for one. */
    private boolean wasMatch;

    private Cutter(SplitBehavior behavior, Pieces pieces) {
      this.behavior = behavior;
      this.pieces = pieces;
    }

    @Override
    public void stretch(int start, int end, boolean match) {
      boolean joins =
          from >= 0
              && switch (behavior) {
                case REMOVED, ISOLATED -> false;
                case MERGED_WITH_PREVIOUS -> match && !wasMatch;
                case MERGED_WITH_NEXT -> wasMatch && !match;
                case CONTIGUOUS -> match == wasMatch;
              };
      if (!joins) {
        end();
        from = behavior == REMOVED && match ? -1 : start;
      }
      to = end;
      wasMatch = match;
    }

    /** Gives what is left. */
    void end() {
      if (from >= 0 && from < to) {
        pieces.piece(from, to);
      }
      from = -1;
    }
  }
}

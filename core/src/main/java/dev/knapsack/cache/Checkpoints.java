package dev.knapsack.cache;

import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.util.List;

/**
 * The copies of the states of a sequence that are kept to go back to: how many, how far apart, and
 * how they are stored.
 *
 * @param distance tokens between two of them, in whole pages: their ends are where the {@link
 *     PrefixTree} can share them
 * @param count copies for each sequence: the last {@value #TURNS} ends of turns, which it has
 *     itself, and of the others those that it has itself or shares through the tree
 * @param format one of {@link #FORMATS}; a state that is no whole blocks of it, or must not be
 *     rounded, is in F32
 */
public record Checkpoints(int distance, int count, Format format) {
  /** Formats in which they may be. */
  public static final List<Format> FORMATS =
      List.of(Formats.F32, Formats.F16, Formats.BF16, Formats.Q8_0);

  /** Those of plans that say nothing of them. */
  public static final Checkpoints USUAL = new Checkpoints(512, 4, Formats.F32);

  /** Ends of turns: where the last prompt began, and where it ended. */
  static final int TURNS = 2;

  /** Those of a layout without states. */
  static final Checkpoints NONE = new Checkpoints(0, 0, Formats.F32);

  public Checkpoints {
    if (distance < 0 || count < 0) {
      throw new IllegalArgumentException(
          "Checkpoints are 0 or more, and so are the tokens between them; not %,d, %,d apart"
              .formatted(count, distance));
    }
    if (!FORMATS.contains(format)) {
      throw new IllegalArgumentException(
          "Checkpoints are not kept in %s; take one of %s"
              .formatted(format.name(), FORMATS.stream().map(Format::name).toList()));
    }
  }

  /** The same, so many for each sequence. */
  public Checkpoints withCount(int value) {
    return new Checkpoints(distance, value, format);
  }

  /** The same in this format. */
  public Checkpoints withFormat(Format value) {
    return new Checkpoints(distance, count, value);
  }

  /** Says whether one is what the state was, to the bit. */
  public boolean exact() {
    return format.equals(Formats.F32);
  }

  /**
   * Copies that a sequence has itself.
   *
   * @param shares whether it shares others through the tree, and needs but one at hand for that
   */
  int own(boolean shares) {
    return shares ? Math.min(count, TURNS + 1) : count;
  }

  /**
   * The one, of some at ascending positions, without which the fewest tokens lie between its
   * neighbours, for how long ago it was: so those that are left lie the closer, the later they are.
   *
   * @param now the position from which one goes back
   */
  static int leastMissed(List<Integer> positions, int now) {
    int least = 0;
    double fewest = Double.MAX_VALUE;
    for (int i = 0; i < positions.size(); i++) {
      int before = i == 0 ? 0 : positions.get(i - 1);
      int after = i + 1 == positions.size() ? now : positions.get(i + 1);
      double missed = (after - before) / Math.max(1.0, now - positions.get(i));
      if (missed < fewest) {
        least = i;
        fewest = missed;
      }
    }
    return least;
  }
}

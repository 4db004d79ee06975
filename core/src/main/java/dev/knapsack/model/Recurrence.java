package dev.knapsack.model;

import dev.knapsack.kernel.Compute;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/**
 * A run's rows in a layer that carries a state from token to token.
 *
 * @param first the first of its rows; the others follow
 * @param rows all that are computed
 * @param added those of them, the first, after which the state is {@code after}; 0 for none, where
 *     that is written already
 * @param before the state before the first row
 * @param after receives the next state
 */
record Recurrence(int first, int rows, int added, MemorySegment before, MemorySegment after) {
  /**
   * The place of a block's state: some of its layer's.
   *
   * @param from the first of its bytes
   */
  record Place(int layer, long from, long bytes) {
    /** Some of it. */
    Place part(long first, long count) {
      return new Place(layer, from + first, count);
    }

    private MemorySegment in(MemorySegment state) {
      return state.asSlice(from, bytes);
    }
  }

  static List<Recurrence> of(List<Run> runs, Place place) {
    List<Recurrence> all = new ArrayList<>(runs.size());
    int first = 0;
    for (Run run : runs) {
      all.add(
          new Recurrence(
              first,
              run.length(),
              run.added(),
              place.in(run.state().state(place.layer)),
              place.in(run.state().next(place.layer))));
      first += run.length();
    }
    return all;
  }

  /**
   * Rows that begin with an empty state and leave none: those of one thing after those of another.
   *
   * @param lengths how many rows each has
   * @param numbers of a state
   */
  static List<Recurrence> whole(IntStream lengths, int numbers) {
    MemorySegment empty = MemorySegment.ofArray(new float[numbers]);
    List<Recurrence> all = new ArrayList<>();
    int first = 0;
    for (int length : lengths.toArray()) {
      all.add(new Recurrence(first, length, 0, empty, empty));
      first += length;
    }
    return all;
  }

  /**
   * Those of some of the rows, one after the other; states that have none of them stay as they are.
   *
   * @param rows their numbers, which ascend
   */
  static List<Recurrence> among(List<Recurrence> all, int[] rows) {
    List<Recurrence> some = new ArrayList<>(all.size());
    for (Recurrence run : all) {
      int first = AdapterRows.below(rows, run.first);
      int added = AdapterRows.below(rows, run.first + run.added) - first;
      int count = AdapterRows.below(rows, run.first + run.rows) - first;
      if (added == 0) {
        run.after.copyFrom(run.before);
      }
      if (count > 0) {
        some.add(new Recurrence(first, count, added, run.before, run.after));
      }
    }
    return some;
  }

  /** A use of some of a run's channels, or of a head. */
  @FunctionalInterface
  interface Part {
    void accept(Recurrence run, int index, int worker);
  }

  /** Does all of {@code count} parts of each run, by all workers. */
  static void each(Compute compute, List<Recurrence> runs, int count, Part task) {
    compute
        .team()
        .run(
            runs.size() * count,
            (part, all, worker) -> task.accept(runs.get(part / count), part % count, worker));
  }
}

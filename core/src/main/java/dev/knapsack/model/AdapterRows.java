package dev.knapsack.model;

import dev.knapsack.kernel.Compute;
import dev.knapsack.tensor.Matrix;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.ToIntFunction;

/** Rows {@code [from, to)} of a step, of neighbouring runs with the same adapter. */
record AdapterRows(Adapter adapter, int from, int to) {
  static final AdapterRows[] NONE = {};

  /**
   * The rows of a step that have adapters.
   *
   * @param rows how many a run has
   */
  static AdapterRows[] of(List<Run> runs, ToIntFunction<Run> rows) {
    List<AdapterRows> groups = new ArrayList<>();
    int first = 0;
    for (Run run : runs) {
      int end = first + rows.applyAsInt(run);
      Adapter adapter = run.adapter();
      if (adapter != null && end > first) {
        int last = groups.size() - 1;
        if (last >= 0 && groups.get(last).adapter == adapter && groups.get(last).to == first) {
          groups.set(last, new AdapterRows(adapter, groups.get(last).from, end));
        } else {
          groups.add(new AdapterRows(adapter, first, end));
        }
      }
      first = end;
    }
    return groups.isEmpty() ? NONE : groups.toArray(NONE);
  }

  /** The same of some of a step's rows, by their numbers, which ascend. */
  static AdapterRows[] among(AdapterRows[] all, int[] rows) {
    return Arrays.stream(all)
        .map(a -> new AdapterRows(a.adapter, below(rows, a.from), below(rows, a.to)))
        .filter(a -> a.to > a.from)
        .toArray(AdapterRows[]::new);
  }

  /** Counts the rows before one, among those of these numbers, which ascend. */
  static int below(int[] rows, int row) {
    int count = 0;
    while (count < rows.length && rows[count] < row) {
      count++;
    }
    return count;
  }

  /** Adds to what maps gave of the step's rows what the adapter adds to these. */
  void add(Compute compute, Matrix x, Linear.Into... maps) {
    for (Linear.Into each : maps) {
      adapter.add(compute, each.map(), x.rows(from, to), each.out().rows(from, to));
    }
  }
}

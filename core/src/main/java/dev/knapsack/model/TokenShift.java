package dev.knapsack.model;

import dev.knapsack.kernel.Compute;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * The step from each row to the one before it in its sequence, which is carried from step to step;
 * what a block reads is somewhere between the two, channel by channel.
 */
final class TokenShift {
  private TokenShift() {}

  /** Bytes that are carried: a row. */
  static long bytes(int width) {
    return (long) Float.BYTES * width;
  }

  /** {@code previous − x}, where {@code previous} is the row before; the first of all is 0. */
  static void back(Compute compute, List<Recurrence> runs, Matrix x, Matrix out) {
    long bytes = x.rowBytes();
    for (Recurrence run : runs) {
      MemorySegment.copy(run.before(), 0, out.data(), out.rowOffset(run.first()), bytes);
      if (run.rows() > 1) {
        MemorySegment.copy(
            x.data(),
            x.rowOffset(run.first()),
            out.data(),
            out.rowOffset(run.first() + 1),
            (run.rows() - 1) * bytes);
      }
      long last = x.rowOffset(run.first() + run.added() - 1);
      MemorySegment.copy(x.data(), last, run.after(), 0, bytes);
    }
    compute.add(out, x, -1);
  }
}

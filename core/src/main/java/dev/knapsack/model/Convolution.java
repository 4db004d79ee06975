package dev.knapsack.model;

import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/**
 * A causal convolution along a sequence, of each channel by itself. It carries the rows before from
 * step to step, as many as it has taps but one: the oldest first.
 *
 * @param taps F32, a row of factors for each channel; the last meets the present row
 * @param bias F32, a number for each channel; null for none
 * @param place where, of the numbers that a layer carries, the convolution's begin
 */
record Convolution(Matrix taps, @Nullable MemorySegment bias, int place) {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

  /** Numbers that are carried. */
  static int carried(int taps, int channels) {
    return (taps - 1) * channels;
  }

  /** Convolves a channel of a run's rows into the same place of {@code out}, which may be x. */
  void apply(int channel, Recurrence run, Matrix x, Matrix out) {
    int count = taps.columns();
    float shift = bias == null ? 0 : bias.getAtIndex(FLOAT, channel);
    for (int i = 0; i < count - 1; i++) {
      float number = number(channel, run, run.added() - (count - 1) + i, x);
      run.after().setAtIndex(FLOAT, place(i, channel), number);
    }
    // From the last on: a row's result may take the row's place once those after it are done.
    for (int row = run.rows() - 1; row >= 0; row--) {
      float sum = shift;
      for (int tap = 0; tap < count; tap++) {
        float factor = taps.data().getAtIndex(FLOAT, (long) channel * count + tap);
        sum += factor * number(channel, run, row - (count - 1) + tap, x);
      }
      out.data().setAtIndex(FLOAT, (long) (run.first() + row) * out.columns() + channel, sum);
    }
  }

  private long place(int row, int channel) {
    return place + (long) row * taps.rows() + channel;
  }

  /** A channel's number in a row of a run; in one that was carried, where the row is below 0. */
  private float number(int channel, Recurrence run, int row, Matrix x) {
    return row < 0
        ? run.before().getAtIndex(FLOAT, place(taps.columns() - 1 + row, channel))
        : x.data().getAtIndex(FLOAT, (long) (run.first() + row) * x.columns() + channel);
  }
}

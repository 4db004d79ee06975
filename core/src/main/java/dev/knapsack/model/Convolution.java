package dev.knapsack.model;

import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * A causal convolution along a sequence, of each channel by itself. It carries the rows before from
 * step to step, as many as it reaches back to: the oldest first.
 *
 * @param taps F32, a row of factors for each channel; the last meets the present row
 * @param bias F32, a number for each channel; null for none
 * @param silu if silu is taken of what comes out
 * @param dilation rows from one that a tap meets to the next
 * @param place where, of the numbers that a layer carries, the convolution's begin
 */
record Convolution(
    Matrix taps, @Nullable MemorySegment bias, boolean silu, int dilation, int place) {
  /** One whose taps meet rows that follow each other. */
  Convolution(Matrix taps, @Nullable MemorySegment bias, boolean silu, int place) {
    this(taps, bias, silu, 1, place);
  }

  /** Rows that a result depends on, or lie between them: its own and those before. */
  static int reach(int taps, int dilation) {
    return (taps - 1) * dilation + 1;
  }

  int reach() {
    return reach(taps.columns(), dilation);
  }

  /** Numbers that are carried. */
  static int carried(int reach, int channels) {
    return (reach - 1) * channels;
  }

  /** The place of channels' numbers in a row that is carried, in bytes. */
  long carriedAt(int row, int channel) {
    return Float.BYTES * (place + (long) row * taps.rows() + channel);
  }
}

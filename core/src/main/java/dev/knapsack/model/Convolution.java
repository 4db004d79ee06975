package dev.knapsack.model;

import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * A causal convolution along a sequence, of each channel by itself. It carries the rows before from
 * step to step, as many as it has taps but one: the oldest first.
 *
 * @param taps F32, a row of factors for each channel; the last meets the present row
 * @param bias F32, a number for each channel; null for none
 * @param silu if silu is taken of what comes out
 * @param place where, of the numbers that a layer carries, the convolution's begin
 */
record Convolution(Matrix taps, @Nullable MemorySegment bias, boolean silu, int place) {
  /** Numbers that are carried. */
  static int carried(int taps, int channels) {
    return (taps - 1) * channels;
  }

  /** The place of channels' numbers in a row that is carried, in bytes. */
  long carriedAt(int row, int channel) {
    return Float.BYTES * (place + (long) row * taps.rows() + channel);
  }
}

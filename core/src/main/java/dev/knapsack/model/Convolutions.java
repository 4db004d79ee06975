package dev.knapsack.model;

import dev.knapsack.kernel.Compute;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Computes each {@link Convolution}: channels and sequences by all workers. */
final class Convolutions {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

  /** Channels that are convolved as one part of the work. */
  private static final int CHANNELS = 128;

  /** Rows that are convolved at once: they stay in a processor's nearest cache meanwhile. */
  private static final int ROWS = 16;

  private final Compute compute;
  private final @Nullable Scratch[] scratches;

  Convolutions(Compute compute) {
    this.compute = compute;
    this.scratches = new Scratch[compute.team().workers()];
  }

  /** Factors of rows before they are convolved, and of what comes out. */
  record Gates(Matrix before, Matrix after) {}

  /**
   * Convolves runs' rows.
   *
   * @param gates null for none
   * @param out receives the results; it may be {@code x}
   */
  void apply(
      Convolution convolution, List<Recurrence> runs, Matrix x, @Nullable Gates gates, Matrix out) {
    int channels = x.columns();
    Recurrence.each(
        compute,
        runs,
        Math.ceilDiv(channels, CHANNELS),
        (run, part, worker) -> {
          int first = part * CHANNELS;
          int count = Math.min(CHANNELS, channels - first);
          Scratch scratch = scratch(worker, count, convolution.reach());
          scratch.load(convolution, first);
          convolve(convolution, run, first, x, gates, out, scratch);
        });
  }

  private Scratch scratch(int worker, int channels, int taps) {
    Scratch scratch = scratches[worker];
    if (scratch == null
        || scratch.bias.length != channels
        || scratch.taps.length != channels * taps) {
      scratch = Scratch.of(channels, taps);
      scratches[worker] = scratch;
    }
    return scratch;
  }

  /**
   * Numbers of some channels that a worker is at.
   *
   * @param stored taps channel by channel, as a file has them
   * @param taps those tap by tap, with zeros where a dilated convolution has none
   * @param x rows, after those before them
   */
  private record Scratch(
      float[] stored, float[] taps, float[] bias, float[] x, float[] gate, float[] out) {
    static Scratch of(int channels, int taps) {
      return new Scratch(
          new float[channels * taps],
          new float[channels * taps],
          new float[channels],
          new float[channels * (taps - 1 + ROWS)],
          new float[channels],
          new float[channels * ROWS]);
    }

    private void load(Convolution convolution, int first) {
      int channels = bias.length;
      int count = convolution.taps().columns();
      convolution.taps().read(first, 0, stored, 0, channels * count);
      Arrays.fill(taps, 0);
      for (int channel = 0, at = 0; channel < channels; channel++) {
        for (int tap = 0; tap < count; tap++, at++) {
          taps[tap * convolution.dilation() * channels + channel] = stored[at];
        }
      }
      if (convolution.bias() != null) {
        MemorySegment.copy(convolution.bias(), FLOAT, 4L * first, bias, 0, channels);
      } else {
        Arrays.fill(bias, 0);
      }
    }

    /** Multiplies numbers from {@code at} on with a row's. */
    private void multiply(float[] numbers, int at, Matrix factors, int row, int first) {
      factors.read(row, first, gate);
      for (int i = 0; i < gate.length; i++) {
        numbers[at + i] *= gate[i];
      }
    }
  }

  /** Convolves some channels of a run's rows, some rows after the other. */
  private void convolve(
      Convolution convolution,
      Recurrence run,
      int first,
      Matrix x,
      @Nullable Gates gates,
      Matrix out,
      Scratch s) {
    int channels = s.bias.length;
    int carried = convolution.reach() - 1;
    for (int i = 0; i < carried; i++) {
      long from = convolution.carriedAt(i, first);
      MemorySegment.copy(run.before(), FLOAT, from, s.x, i * channels, channels);
    }
    for (int row = 0; row < run.rows(); ) {
      int end = row < run.added() ? run.added() : run.rows();
      int rows = Math.min(ROWS, end - row);
      for (int i = 0; i < rows; i++) {
        int at = (carried + i) * channels;
        x.read(run.first() + row + i, first, s.x, at, channels);
        if (gates != null) {
          s.multiply(s.x, at, gates.before, run.first() + row + i, first);
        }
      }
      compute
          .kernels()
          .recurrences()
          .convolve(s.taps, s.bias, convolution.silu(), s.x, rows, s.out);
      for (int i = 0; i < rows; i++) {
        int to = run.first() + row + i;
        if (gates != null) {
          s.multiply(s.out, i * channels, gates.after, to, first);
        }
        out.write(to, first, s.out, i * channels, channels);
      }
      System.arraycopy(s.x, rows * channels, s.x, 0, carried * channels);
      row += rows;
      if (row == run.added()) {
        for (int i = 0; i < carried; i++) {
          long to = convolution.carriedAt(i, first);
          MemorySegment.copy(s.x, i * channels, run.after(), FLOAT, to, channels);
        }
      }
    }
  }
}

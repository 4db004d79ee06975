package dev.knapsack.kernel.vector;

import dev.knapsack.kernel.Recurrences;
import dev.knapsack.kernel.Shapes;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * Recurrences, a few vectors of a state's columns at a time. A column's sums are in the order of
 * rows, however many columns go together.
 */
final class VectorRecurrences implements Recurrences {
  private static final int FOUR = 4 * Lanes.LENGTH;

  @Override
  public void convolve(float[] taps, float[] bias, boolean silu, float[] x, int rows, float[] out) {
    Shapes.checkConvolution(taps, bias, x, rows, out);
    int channels = bias.length;
    for (int row = 0; row < rows * channels; row += channels) {
      int channel = 0;
      for (; channel < Lanes.whole(channels); channel += Lanes.LENGTH) {
        FloatVector y = Lanes.load(bias, channel);
        for (int tap = channel; tap < taps.length; tap += channels) {
          y = Lanes.load(taps, tap).fma(Lanes.load(x, row + tap), y);
        }
        Lanes.store(silu ? Functions.silu(y) : y, out, row + channel);
      }
      for (; channel < channels; channel++) {
        float y = bias[channel];
        for (int tap = channel; tap < taps.length; tap += channels) {
          y = Math.fma(taps[tap], x[row + tap], y);
        }
        out[row + channel] = silu ? Functions.silu(Lanes.broadcast(y)).lane(0) : y;
      }
    }
  }

  @Override
  public void decay(float[] rate, float[] step, float[] out) {
    Shapes.checkDecay(rate, step, out);
    int columns = step.length;
    for (int row = 0; row < rate.length; row += columns) {
      int column = 0;
      for (; column < Lanes.whole(columns); column += Lanes.LENGTH) {
        FloatVector power = Lanes.load(rate, row + column).mul(Lanes.load(step, column));
        Lanes.store(Functions.exp(power), out, row + column);
      }
      for (; column < columns; column++) {
        FloatVector power = Lanes.broadcast(rate[row + column] * step[column]);
        out[row + column] = Functions.exp(power).lane(0);
      }
    }
  }

  @Override
  public void deltaRule(
      float[] query,
      float[] key,
      float[] decay,
      float strength,
      float[] value,
      float[] state,
      float[] out) {
    Shapes.checkState(state, value, out, query, key, decay);
    int column = 0;
    for (; column <= value.length - FOUR; column += FOUR) {
      DeltaRuleStep.fourVectors(query, key, decay, strength, value, state, out, column);
    }
    for (; column < value.length; column += Lanes.LENGTH) {
      VectorMask<Float> some = Lanes.some(value.length - column);
      DeltaRuleStep.vector(query, key, decay, strength, value, state, out, column, some);
    }
  }

  @Override
  public void stateSpace(
      float kept,
      float step,
      float skip,
      float[] x,
      float[] b,
      float[] c,
      float[] state,
      float[] out) {
    Shapes.checkState(state, x, out, b, c);
    int column = 0;
    for (; column <= x.length - FOUR; column += FOUR) {
      StateSpaceStep.fourVectors(kept, step, skip, x, b, c, state, out, column);
    }
    for (; column < x.length; column += Lanes.LENGTH) {
      VectorMask<Float> some = Lanes.some(x.length - column);
      StateSpaceStep.vector(kept, step, skip, x, b, c, state, out, column, some);
    }
  }

  @Override
  public void selectiveScan(
      float[] kept,
      float[] step,
      float[] skip,
      float[] x,
      float[] b,
      float[] c,
      float[] state,
      float[] out) {
    Shapes.checkState(state, x, out, b, c);
    Shapes.checkLengths(x.length, step, skip);
    Shapes.checkLengths(state.length, kept);
    int column = 0;
    for (; column < Lanes.whole(x.length); column += Lanes.LENGTH) {
      FloatVector in = Lanes.load(step, column).mul(Lanes.load(x, column));
      FloatVector sum = Lanes.load(skip, column).mul(Lanes.load(x, column));
      for (int n = 0, at = column; n < b.length; n++, at += x.length) {
        FloatVector added = Lanes.broadcast(b[n]).mul(in);
        FloatVector s = Lanes.load(kept, at).fma(Lanes.load(state, at), added);
        Lanes.store(s, state, at);
        sum = Lanes.broadcast(c[n]).fma(s, sum);
      }
      Lanes.store(sum, out, column);
    }
    for (; column < x.length; column++) {
      float in = step[column] * x[column];
      float sum = skip[column] * x[column];
      for (int n = 0, at = column; n < b.length; n++, at += x.length) {
        state[at] = Math.fma(kept[at], state[at], b[n] * in);
        sum = Math.fma(c[n], state[at], sum);
      }
      out[column] = sum;
    }
  }

  @Override
  public void timeMix(
      float[] query,
      float[] key,
      float[] decay,
      float[] removed,
      float[] written,
      float[] value,
      float[] state,
      float[] out) {
    Shapes.checkState(state, value, out, query, key, decay, removed, written);
    int column = 0;
    for (; column <= value.length - FOUR; column += FOUR) {
      TimeMixStep.fourVectors(query, key, decay, removed, written, value, state, out, column);
    }
    for (; column < value.length; column += Lanes.LENGTH) {
      VectorMask<Float> some = Lanes.some(value.length - column);
      TimeMixStep.vector(query, key, decay, removed, written, value, state, out, column, some);
    }
  }
}

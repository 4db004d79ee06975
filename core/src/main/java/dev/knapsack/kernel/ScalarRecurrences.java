package dev.knapsack.kernel;

/** Recurrences by their definition. */
final class ScalarRecurrences implements Recurrences {
  @Override
  public void convolve(float[] taps, float[] bias, boolean silu, float[] x, int rows, float[] out) {
    Shapes.checkConvolution(taps, bias, x, rows, out);
    int channels = bias.length;
    for (int i = 0; i < rows * channels; i++) {
      double sum = bias[i % channels];
      for (int tap = i % channels, at = i; tap < taps.length; tap += channels, at += channels) {
        sum += (double) taps[tap] * x[at];
      }
      out[i] = (float) (silu ? ScalarGate.ungated(Activation.SILU, sum) : sum);
    }
  }

  @Override
  public void decay(float[] rate, float[] step, float[] out) {
    Shapes.checkDecay(rate, step, out);
    for (int i = 0; i < rate.length; i++) {
      out[i] = (float) Math.exp((double) rate[i] * step[i % step.length]);
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
    int columns = value.length;
    for (int c = 0; c < columns; c++) {
      double known = 0;
      for (int n = 0; n < key.length; n++) {
        known += (double) key[n] * decay[n] * state[n * columns + c];
      }
      double correction = strength * (value[c] - known);
      double sum = 0;
      for (int n = 0; n < key.length; n++) {
        int at = n * columns + c;
        double next = (double) decay[n] * state[at] + key[n] * correction;
        state[at] = (float) next;
        sum += query[n] * next;
      }
      out[c] = (float) sum;
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
    int columns = x.length;
    for (int i = 0; i < columns; i++) {
      double in = (double) step * x[i];
      double sum = (double) skip * x[i];
      for (int n = 0; n < b.length; n++) {
        int at = n * columns + i;
        double next = (double) kept * state[at] + b[n] * in;
        state[at] = (float) next;
        sum += c[n] * next;
      }
      out[i] = (float) sum;
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
    int columns = x.length;
    for (int i = 0; i < columns; i++) {
      double in = (double) step[i] * x[i];
      double sum = (double) skip[i] * x[i];
      for (int n = 0; n < b.length; n++) {
        int at = n * columns + i;
        double next = (double) kept[at] * state[at] + b[n] * in;
        state[at] = (float) next;
        sum += c[n] * next;
      }
      out[i] = (float) sum;
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
    int columns = value.length;
    for (int c = 0; c < columns; c++) {
      double gone = 0;
      for (int n = 0; n < key.length; n++) {
        gone += (double) removed[n] * state[n * columns + c];
      }
      double sum = 0;
      for (int n = 0; n < key.length; n++) {
        int at = n * columns + c;
        double kept = (double) decay[n] * state[at] - written[n] * gone;
        double next = kept + (double) key[n] * value[c];
        state[at] = (float) next;
        sum += query[n] * next;
      }
      out[c] = (float) sum;
    }
  }
}

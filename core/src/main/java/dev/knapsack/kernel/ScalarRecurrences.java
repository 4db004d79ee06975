package dev.knapsack.kernel;

/** Recurrences by their definition. */
final class ScalarRecurrences implements Recurrences {
  @Override
  public void deltaRule(
      float[] query,
      float[] key,
      float[] decay,
      float strength,
      float[] value,
      float[] state,
      float[] out) {
    Shapes.checkState(query, key, decay, value, state, out);
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
}

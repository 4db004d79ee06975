package dev.knapsack.engine;

import dev.knapsack.cache.LayerLayout;
import dev.knapsack.cache.SequenceState;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.SplittableRandom;

/** Keys and values that no model computed: as many bytes as those of real tokens. */
final class RandomTokens {
  private RandomTokens() {}

  /**
   * Fills an empty sequence.
   *
   * @param step tokens at a time, as if a prompt were read so
   * @return the tokens
   */
  static int[] fill(SequenceState state, int[] tokens, int step) {
    SplittableRandom random = new SplittableRandom(tokens.length);
    List<LayerLayout.Heads> layers = state.layout().heads();
    state.prompt(tokens.length);
    int widest = 0;
    for (LayerLayout.Heads layer : layers) {
      widest = Math.max(widest, layer.kvHeads() * Math.max(layer.keySize(), layer.valueSize()));
    }
    float[] keys = new float[step * widest];
    float[] values = new float[step * widest];
    while (state.length() < tokens.length) {
      int rows = Math.min(step, tokens.length - state.length());
      state.reserve(rows);
      for (int l = 0; l < layers.size(); l++) {
        LayerLayout.Heads layer = layers.get(l);
        state
            .kv()
            .append(
                l,
                0,
                matrix(random, rows, layer.kvHeads() * layer.keySize(), keys),
                matrix(random, rows, layer.kvHeads() * layer.valueSize(), values),
                0,
                rows);
      }
      state.commit(rows);
      state.settle();
    }
    return tokens;
  }

  private static Matrix matrix(SplittableRandom random, int rows, int columns, float[] numbers) {
    for (int i = 0; i < rows * columns; i++) {
      numbers[i] = (float) random.nextDouble(-1, 1);
    }
    return new Matrix(Formats.F32, rows, columns, MemorySegment.ofArray(numbers));
  }
}

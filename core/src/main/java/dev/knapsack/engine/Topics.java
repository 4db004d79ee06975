package dev.knapsack.engine;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Vectors of what parts of a text are about: the mean of the model's embeddings of their tokens,
 * each weighed by how few parts have it, as in {@code log((1 + parts) / parts with it)}.
 *
 * <p>After Arora, Liang, Ma 2017 (SIF), with frequencies of the text itself in place of those of a
 * language, since what all of it is about tells no parts apart. Tokens that no part has count
 * nothing, and neither do those that mark turns.
 */
final class Topics {
  private final Engine engine;
  private final int parts;

  /** Parts that have a token. */
  private final Map<Integer, Integer> having = new HashMap<>();

  Topics(Engine engine, List<int[]> parts) {
    this.engine = engine;
    this.parts = parts.size();
    for (int[] part : parts) {
      Arrays.stream(part)
          .filter(token -> !engine.isControl(token))
          .distinct()
          .forEach(token -> having.merge(token, 1, Integer::sum));
    }
  }

  /** Of length 1; of length 0 where no token says anything. */
  float[] of(int[] tokens) {
    double[] weights =
        Arrays.stream(tokens)
            .mapToDouble(token -> {
              Integer with = having.get(token);
              return with == null ? 0 : Math.log((1.0 + parts) / with);
            })
            .toArray();
    float[] sum = engine.embedding(tokens, weights);
    Clusters.normalize(sum);
    return sum;
  }
}

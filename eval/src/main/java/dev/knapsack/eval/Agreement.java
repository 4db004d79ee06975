package dev.knapsack.eval;

import com.google.gson.JsonObject;

/**
 * The nearness of predictions to those with a full cache.
 *
 * @param positions predictions compared
 * @param divergence mean Kullback-Leibler divergence from those with the full cache, in nats
 * @param same share of positions at which both hold the same token for the most probable, 0 to 1
 */
public record Agreement(long positions, double divergence, double same) {
  JsonObject json() {
    JsonObject object = new JsonObject();
    object.addProperty("positions", positions);
    object.addProperty("divergence", divergence);
    object.addProperty("sameToken", same);
    return object;
  }

  /** A sum of comparisons. */
  static final class Sum {
    private long positions;
    private double divergence;
    private long same;

    void add(Distribution full, Distribution other) {
      positions++;
      divergence += full.divergence(other);
      same += full.best() == other.best() ? 1 : 0;
    }

    Agreement mean() {
      return positions == 0
          ? new Agreement(0, 0, 1)
          : new Agreement(positions, divergence / positions, (double) same / positions);
    }
  }
}

package dev.knapsack.cache;

/**
 * The way in which a layer's queries come to meet its cached keys: by RoPE, and by what the layout
 * does to keys. All of it is linear, so that it can be done to a cached key instead, backwards.
 */
public interface QueryFrame {
  /** Factor of the scores. */
  float scale();

  /**
   * Queries that stand at each of some positions, on average.
   *
   * @param first position
   * @param count positions from there on, 1 or more
   */
  Backwards from(int first, int count);

  /** Turns cached keys back to queries that are not rotated. */
  interface Backwards {
    /**
     * Such a query's product with {@code out} is the mean, over the positions, of the product that
     * it has there with the cached key.
     *
     * @param key as {@link CachedHead#key} decodes it
     * @param out receives {@link LayerLayout.Heads#channels()} numbers
     */
    void turn(int kvHead, float[] key, float[] out);
  }
}

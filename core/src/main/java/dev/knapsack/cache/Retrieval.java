package dev.knapsack.cache;

/**
 * The way in which a {@link KvPolicy} has some of the tokens read again that it moves to disk, in
 * units that leave memory together and come back together: see {@link CachedHead#spill}.
 *
 * <p>Before a layer attends, the cache asks how much each unit of a head matters to the step, takes
 * the best that fit in the head's room, whole ones only, and reads those that are not there yet.
 * Attention sees these and what never left memory; {@link KvBounds#most} counts both.
 */
public interface Retrieval {
  /** The fewest tokens of a unit: what is kept in memory of it is paid for by these. */
  int fewest();

  /** The most tokens of a unit. */
  int mostUnit();

  /**
   * Says how much units matter to a step; more is more.
   *
   * @param queries of each query head that shares the KV head, one after the other, the mean over
   *     the step's rows; encoded as cached keys are
   * @param out receives a number for each of {@link CachedHead#units}
   */
  void score(CachedHead head, float[] queries, float[] out);
}

package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.CoarseForm;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.cache.LayerStep;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;

/**
 * Keeps such tokens with keys that lose the channels that say least to the last queries: ThinK (Xu
 * et al., arXiv 2407.21018). A channel counts by the mean square of the last {@value #ROWS}
 * queries' numbers in it times that of the keys' numbers (the norms of its equation 4, which choose
 * as its greedy minimisation of the scores' error does). The channels are chosen when the first
 * tokens lose some, and stay chosen.
 *
 * <p>Where heads are rotated no channel counts less than others: this goes with heads as they are.
 *
 * @param percent of the channels go, or as near to that as whole blocks of the format allow
 */
record ShrinkKeys(int percent) implements Action {
  private static final int ROWS = 32;

  ShrinkKeys {
    if (percent < 1 || percent > 99) {
      throw new IllegalArgumentException("1 to 99 percent of channels go, not " + percent);
    }
  }

  @Override
  public String name() {
    return "shrink(" + percent + ")";
  }

  @Override
  public Optional<CoarseForm> coarse() {
    return Optional.of(new CoarseForm(percent));
  }

  @Override
  public boolean looks(int layer) {
    return true;
  }

  @Override
  public int memory(LayerLayout.Heads heads) {
    return 2 * heads.keySize();
  }

  /** Of each channel the squares of the queries in a window's rows, and in those before it. */
  private static MemorySegment squares(CachedHead head, boolean before) {
    MemorySegment memory = head.memory();
    long bytes = (long) Float.BYTES * head.keySize();
    return memory.asSlice(memory.byteSize() - (before ? 2 : 1) * bytes, bytes);
  }

  @Override
  public void observe(CachedHead head, LayerStep step) {
    if (head.channels() != null) {
      return;
    }
    int size = head.keySize();
    float[] queries = new float[head.heads().group() * size];
    MemorySegment now = squares(head, false);
    for (int row = Math.max(0, step.rows() - 2 * ROWS); row < step.rows(); row++) {
      // Windows follow one another so that one ends with the prompt.
      if (Math.floorMod(step.position(row) - head.cache().text().promptEnd(), ROWS) == 0) {
        squares(head, true).copyFrom(now);
        now.fill((byte) 0);
      }
      step.queries(row, head.kvHead(), queries);
      for (int i = 0; i < queries.length; i++) {
        float sum = now.getAtIndex(ValueLayout.JAVA_FLOAT, i % size) + queries[i] * queries[i];
        now.setAtIndex(ValueLayout.JAVA_FLOAT, i % size, sum);
      }
    }
  }

  @Override
  public void apply(CachedHead head, int[] kept) {
    if (head.coarse() == 0) {
      int[] channels = Recipe.best(channelScores(head), head.coarseKeySize());
      head.shrink(channels);
    }
    head.requantise(Action.others(head, kept));
  }

  private static float[] channelScores(CachedHead head) {
    int size = head.keySize();
    int last = head.cache().length() - 1 - head.cache().text().promptEnd();
    float lacking = (ROWS - 1 - Math.floorMod(last, ROWS)) / (float) ROWS;
    MemorySegment now = squares(head, false);
    MemorySegment before = squares(head, true);
    float[] keys = new float[size];
    Rows.keys(head, (_, key) -> Rows.addProducts(key, key, keys));
    float[] scores = new float[size];
    for (int c = 0; c < size; c++) {
      float queries =
          now.getAtIndex(ValueLayout.JAVA_FLOAT, c)
              + lacking * before.getAtIndex(ValueLayout.JAVA_FLOAT, c);
      scores[c] = queries * keys[c];
    }
    return scores;
  }
}

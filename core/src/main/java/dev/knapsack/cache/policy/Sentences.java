package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.KvLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Tokens come back by sentences: SentenceKV (Zhu et al., arXiv 2504.00970). Of what was read,
 * {@code factor} times the budget stay candidates, those that the score prefers; a sentence's
 * candidates are one unit, known by the mean of their keys. A step asks with the mean query of the
 * sentence that is being written: {@code score(unit) = mean(q)·mean(k)}, over the query heads that
 * share the KV head.
 *
 * <p>Beside the paper: the budget counts the first and the last tokens as well; a unit has {@value
 * #FEWEST} tokens at least, as small sentences are joined to the next, and a page's at most, as
 * longer ones are cut evenly; and a step of several rows asks with their mean.
 *
 * @param factor candidates, in budgets
 */
record Sentences(int factor) implements OnDisk {
  static final int FEWEST = 8;

  Sentences {
    if (factor < 1) {
      throw new IllegalArgumentException("1 budget or more are candidates, not " + factor);
    }
  }

  @Override
  public String name() {
    return "sentences(" + factor + ")";
  }

  @Override
  public boolean wantsSentences() {
    return true;
  }

  @Override
  public int fewest() {
    return FEWEST;
  }

  @Override
  public int mostUnit() {
    return KvLayout.PAGE_TOKENS;
  }

  @Override
  public int[] candidates(CachedHead head, int[] places, float[] scores, int tokens) {
    int count = (int) Math.min(places.length, Math.max(FEWEST, (long) factor * tokens));
    if (count == places.length) {
      return places;
    }
    float[] theirs = new float[places.length];
    for (int i = 0; i < places.length; i++) {
      theirs[i] = scores[places[i] - head.coarse()];
    }
    int[] best = Recipe.best(theirs, count);
    Arrays.setAll(best, i -> places[best[i]]);
    return best;
  }

  @Override
  public int[][] units(CachedHead head, int[] places, int most) {
    List<int[]> units = new ArrayList<>();
    int from = 0;
    for (int i = 1; i <= places.length; i++) {
      boolean left = places.length - i >= FEWEST || i == places.length;
      if (left && i - from >= FEWEST && (i == places.length || endsBetween(head, places, i))) {
        cut(places, from, i, most, units);
        from = i;
      }
    }
    return units.toArray(int[][]::new);
  }

  /**
   * Says whether a sentence ends after the place before {@code i}, and before that of {@code i}.
   */
  private static boolean endsBetween(CachedHead head, int[] places, int i) {
    int end = head.cache().text().sentenceEnd(head.position(places[i - 1]));
    return end < head.position(places[i]);
  }

  private static void cut(int[] places, int from, int to, int most, List<int[]> units) {
    int parts = Math.ceilDiv(to - from, most);
    for (int p = 0; p < parts; p++) {
      int begin = from + (int) ((long) (to - from) * p / parts);
      units.add(
          Arrays.copyOfRange(places, begin, from + (int) ((long) (to - from) * (p + 1) / parts)));
    }
  }

  @Override
  public void score(CachedHead head, float[] queries, float[] out) {
    int size = head.keySize();
    float[] numbers = head.numbers(NEXT + size);
    int next = head.cache().length();
    if (next > 0 && head.cache().text().sentenceEnd(next - 1) == next - 1) {
      Arrays.fill(numbers, NEXT, NEXT + size, 0);
    }
    for (int i = 0; i < queries.length; i++) {
      numbers[NEXT + i % size] += queries[i];
    }
    float[] key = new float[size];
    for (int unit = 0; unit < out.length; unit++) {
      head.unitKey(unit, key);
      out[unit] = Rows.dot(key, numbers, NEXT);
    }
  }
}

package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.tensor.Matrix;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * A policy made of four parts: a published method is a combination, and combinations nobody has
 * published yet are as good.
 *
 * <p>Layers with a sliding window are left as they are: they forget by themselves.
 *
 * @param scorer which tokens matter
 * @param allocator how tokens are divided among layers and heads
 * @param action what happens to the others
 * @param trigger when
 */
public record Recipe(Scorer scorer, Allocator allocator, Action action, Trigger trigger)
    implements KvPolicy {
  /** Tokens by which a cache may pass what it keeps: evicting has a price for each page. */
  private static final int BLOCK = KvLayout.PAGE_TOKENS;

  /** What can be asked for. */
  public static final List<String> NAMES =
      List.of(
          "full",
          "streaming",
          "streaming(SINKS,RECENT)",
          "score=streaming(SINKS) budget=uniform(TOKENS) action=evict when=block(TOKENS)");

  /**
   * The recipe of this name: {@code full}, {@code streaming(4,1020)}, or as {@link #name} writes
   * it, with its parts in any order.
   *
   * @throws IllegalArgumentException if there is none: says which part is wrong, and what there is
   */
  public static KvPolicy of(String name) {
    return name.strip().equalsIgnoreCase("full") ? FULL : RecipeText.read(name);
  }

  /**
   * StreamingLLM (Xiao et al., arXiv 2309.17453), with keys at the positions at which they were
   * read: the first {@code sinks} tokens and the last {@code recent}.
   */
  public static Recipe streaming(int sinks, int recent) {
    return new Recipe(
        new Scorer.Streaming(sinks),
        new Allocator.Uniform(Math.addExact(sinks, recent)),
        Action.EVICT,
        new Trigger.Block(BLOCK));
  }

  @Override
  public String name() {
    return "score=%s budget=%s action=%s when=%s"
        .formatted(scorer.name(), allocator.name(), action.name(), trigger.name());
  }

  @Override
  public int most(int tokens) {
    return (int) Math.min(tokens, (long) allocator.most(tokens) + trigger.slack());
  }

  @Override
  public Optional<Coarse> coarse() {
    return action.coarse();
  }

  @Override
  public int mostCoarse(int tokens) {
    return action.coarse().isPresent() ? tokens : 0;
  }

  @Override
  public int weightRows(int layer) {
    return scorer.weightRows(layer);
  }

  @Override
  public void observe(CachedHead head, Matrix weights) {
    scorer.observe(head, weights);
  }

  @Override
  public void compress(KvCache cache, boolean promptRead) {
    List<KvLayout.Layer> layers = cache.layout().layers();
    for (int l = 0; l < layers.size(); l++) {
      for (int h = 0; layers.get(l).window() == 0 && h < layers.get(l).kvHeads(); h++) {
        CachedHead head = cache.head(l, h);
        int keep = allocator.tokens(cache, l, h);
        int first = head.coarse(); // what counted less once stays so
        int surplus = head.count() - first - keep;
        if (surplus > 0 && trigger.due(surplus, promptRead)) {
          float[] scores = new float[head.count()];
          scorer.score(head, scores);
          int[] kept = best(Arrays.copyOfRange(scores, first, scores.length), keep);
          Arrays.setAll(kept, i -> kept[i] + first);
          action.apply(head, kept);
        }
      }
    }
  }

  /** The places of the {@code count} highest scores, ascending; of equal ones the later. */
  static int[] best(float[] scores, int count) {
    float[] sorted = scores.clone();
    Arrays.sort(sorted);
    float least = sorted[sorted.length - count];
    int above = 0;
    for (float score : scores) {
      above += score > least ? 1 : 0;
    }
    int[] kept = new int[count];
    int equal = count - above;
    int at = count;
    for (int i = scores.length - 1; i >= 0; i--) {
      if (scores[i] > least || (scores[i] == least && equal-- > 0)) {
        kept[--at] = i;
      }
    }
    return kept;
  }

  @Override
  public String toString() {
    return name();
  }
}

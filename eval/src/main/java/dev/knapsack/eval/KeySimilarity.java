package dev.knapsack.eval;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.cache.LayerStep;
import dev.knapsack.cache.StepObserver;
import dev.knapsack.cache.policy.Calibration;
import dev.knapsack.cache.policy.Recipe;
import dev.knapsack.engine.Engine;
import dev.knapsack.engine.Reading;
import dev.knapsack.tensor.Matrix;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import org.jspecify.annotations.Nullable;

/**
 * Compares the keys of a text's tokens with those that they have when earlier ones are forgotten
 * block by block: the text is read twice, first with everything kept. One text at a time.
 */
final class KeySimilarity implements KvPolicy, StepObserver {
  private static final KvPolicy FORGETTING =
      Recipe.of("score=patch(32) budget=uniform(25%) action=evict when=prompt(64)");

  private static final StepObserver LOOKING = FORGETTING.observer();

  /** Of one KV head. */
  private static final class Cosines {
    double sum;
    long tokens;
  }

  private final Cosines[][] heads;

  /** The cache of what has been read with everything kept. */
  private @Nullable KvCache whole;

  private boolean comparing;

  /** Keys of a model whose cache has such layers. */
  KeySimilarity(KvLayout layout) {
    heads = new Cosines[layout.layers().size()][];
    for (int l = 0; l < heads.length; l++) {
      LayerLayout.Heads layer = layout.heads(l);
      heads[l] = new Cosines[layer.window() > 0 ? 0 : layer.kvHeads()];
      for (int h = 0; h < heads[l].length; h++) {
        heads[l][h] = new Cosines();
      }
    }
  }

  /** Adds a text, read by an engine that was opened with this policy. */
  void add(Engine engine, int[] text) {
    try (Reading _ = engine.read(text, (_, _) -> {})) {
      comparing = true;
      engine.read(text, (_, _) -> {}).close();
    } finally {
      comparing = false;
      whole = null;
    }
  }

  /** These figures with the likeness of each layer's keys. */
  Calibration with(Calibration figures) {
    List<Calibration.Layer> layers = new ArrayList<>();
    for (int l = 0; l < heads.length; l++) {
      double sum = 0;
      long tokens = 0;
      for (Cosines head : heads[l]) {
        sum += head.sum;
        tokens += head.tokens;
      }
      Calibration.Layer layer = figures.layers().get(l);
      OptionalDouble mean =
          tokens == 0
              ? OptionalDouble.empty()
              : OptionalDouble.of(Math.clamp(sum / tokens, -1.0, 1.0));
      layers.add(new Calibration.Layer(layer.spread(), layer.error(), mean, layer.heads()));
    }
    return new Calibration(figures.model(), figures.prompts(), figures.right(), layers);
  }

  @Override
  public String name() {
    return "key similarity";
  }

  @Override
  public StepObserver observer() {
    return this;
  }

  @Override
  public int lookahead() {
    return LOOKING.lookahead();
  }

  @Override
  public int lookahead(KvCache cache, int tokens) {
    return comparing ? LOOKING.lookahead(cache, tokens) : 0;
  }

  @Override
  public int weightRows(int layer) {
    return LOOKING.weightRows(layer);
  }

  @Override
  public boolean wantsWeights(CachedHead head, int rows) {
    return comparing && LOOKING.wantsWeights(head, rows);
  }

  @Override
  public void observe(CachedHead head, int position, Matrix weights) {
    LOOKING.observe(head, position, weights);
  }

  @Override
  public int numbers(LayerLayout.Heads layer) {
    return LOOKING.numbers(layer);
  }

  /** True: what a patch looks at is not kept by stores. */
  @Override
  public boolean remembers() {
    return true;
  }

  @Override
  public boolean looks(int layer) {
    return true;
  }

  @Override
  public boolean looks(KvCache cache, int layer, int rows) {
    return comparing;
  }

  @Override
  public void observe(CachedHead head, LayerStep step) {
    KvCache kept = whole;
    if (kept == null) {
      throw new IllegalStateException("The text has not been read with everything kept");
    }
    CachedHead before = kept.head(head.layer(), head.kvHead());
    Cosines cosines = heads[head.layer()][head.kvHead()];
    float[] key = new float[head.keySize()];
    float[] other = new float[key.length];
    int end = head.cache().text().stepEnd();
    for (int row = 0; row < step.rows() && step.position(row) < end; row++) {
      head.key(head.count() + row, key);
      before.key(step.position(row), other);
      cosines.sum += cosine(key, other);
      cosines.tokens++;
    }
  }

  private static double cosine(float[] a, float[] b) {
    double product = 0;
    double first = 0;
    double second = 0;
    for (int i = 0; i < a.length; i++) {
      product += (double) a[i] * b[i];
      first += (double) a[i] * a[i];
      second += (double) b[i] * b[i];
    }
    double lengths = Math.sqrt(first * second);
    return lengths == 0 ? 1 : product / lengths;
  }

  @Override
  public void compress(KvCache cache) {
    if (comparing) {
      FORGETTING.compress(cache);
    } else {
      whole = cache;
    }
  }
}

package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.Companion;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.ValueLayout;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Tokens matter that the layer's semantic retrieval heads look at in the last rows: CompressKV (Lin
 * et al., arXiv 2508.02401). Those are the query heads that looked most at {@linkplain
 * Calibration.Head#needle the answer in the prompt} while they wrote it; the others say nothing. A
 * token's score is their attention, summed over the window's rows, averaged over neighbours and
 * heads, and the same for all KV heads of the layer.
 *
 * @param heads query heads of a layer that count, 4 in the paper
 * @param rows of the window, 8 in the paper, whose tokens always stay
 */
record RetrievalHeads(int heads, int rows, @Nullable Calibration figures) implements Scorer {
  RetrievalHeads {
    ObservationWindow.check(rows);
    if (heads < 1) {
      throw new IllegalArgumentException("1 head of a layer or more counts, not " + heads);
    }
  }

  @Override
  public String name() {
    return "retrieval(" + heads + "," + rows + ")";
  }

  @Override
  public Set<Companion<?>> lacks() {
    return figures == null ? Set.of(Calibration.FILE) : Set.of();
  }

  /**
   * {@inheritDoc}
   *
   * @throws IllegalArgumentException if no answer was right when figures were measured
   */
  @Override
  public RetrievalHeads with(Companion.Reader files) {
    Calibration read = files.read(Calibration.FILE);
    if (read.right() == 0) {
      throw new IllegalArgumentException(
          "the model answered none of %d questions rightly when it was calibrated, so that nobody knows which heads retrieve; calibrate with questions that it can answer"
              .formatted(read.prompts()));
    }
    return new RetrievalHeads(heads, rows, read);
  }

  @Override
  public int numbers(LayerLayout.Heads heads) {
    return ObservationWindow.NUMBERS;
  }

  @Override
  public int weightRows(int layer) {
    return rows;
  }

  @Override
  public void observe(CachedHead head, int position, Matrix weights) {
    float[] now = ObservationWindow.now(head, 0, position, rows, weights.columns());
    int first = head.kvHead() * weights.rows();
    for (int query : counting(head.layer())) {
      if (query >= first && query < first + weights.rows()) {
        long at = (long) (query - first) * weights.columns();
        for (int i = 0; i < weights.columns(); i++) {
          now[i] += weights.data().getAtIndex(ValueLayout.JAVA_FLOAT, at + i);
        }
      }
    }
  }

  /** The query heads of a layer that count. */
  private int[] counting(int layer) {
    List<Calibration.Head> all = HeadSizes.given(figures).layers().get(layer).heads();
    return IntStream.range(0, all.size())
        .boxed()
        .sorted(Comparator.comparingDouble(h -> -all.get(h).needle()))
        .limit(heads)
        .mapToInt(h -> h)
        .toArray();
  }

  @Override
  public void score(CachedHead head, float[] out) {
    KvCache cache = head.cache();
    // Heads hold the same tokens, unless something else than these scores divides them.
    float[] layer = new float[cache.length()];
    for (int h = 0; h < cache.layout().heads(head.layer()).kvHeads(); h++) {
      CachedHead other = cache.head(head.layer(), h);
      float[] sums = new float[other.count()];
      ObservationWindow.sums(other, 0, rows, sums);
      for (int i = 0; i < sums.length; i++) {
        layer[other.position(i)] += sums[i] / heads;
      }
    }
    float[] own = new float[head.count()];
    for (int i = 0; i < own.length; i++) {
      own[i] = layer[head.position(i)];
    }
    ObservationWindow.pool(own, own.length - ObservationWindow.keepLast(head, rows, out), out);
  }
}

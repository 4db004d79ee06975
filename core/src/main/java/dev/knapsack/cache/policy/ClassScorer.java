package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.Companion;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.tensor.Matrix;
import java.util.Locale;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Each class of heads its own way: of those that look at what is near the first and the last tokens
 * matter, of the others {@linkplain ObservationWindow what the last rows look at}. See {@link
 * Classes}.
 *
 * @param rows of the window
 */
record ClassScorer(Classes classes, int rows, @Nullable Calibration figures) implements Scorer {
  private static final Scorer NEAR = new Streaming(Calibration.SINKS);

  ClassScorer {
    ObservationWindow.check(rows);
  }

  @Override
  public String name() {
    return classes.name().toLowerCase(Locale.ROOT) + "(" + rows + ")";
  }

  @Override
  public Set<Companion<?>> lacks() {
    return figures == null ? Set.of(Calibration.FILE) : Set.of();
  }

  @Override
  public ClassScorer with(Companion.Reader files) {
    return new ClassScorer(classes, rows, files.read(Calibration.FILE));
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
    of(head).observe(head, position, weights);
  }

  @Override
  public void score(CachedHead head, float[] out) {
    of(head).score(head, out);
  }

  private Scorer of(CachedHead head) {
    return classes.near(
            HeadSizes.given(figures), head.cache().layout(), head.layer(), head.kvHead())
        ? NEAR
        : new ObservationWindow(rows);
  }
}

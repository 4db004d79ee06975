package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.Companion;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.cache.LayerStep;
import dev.knapsack.cache.RetentionGates;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Tokens matter as long as a gate said when they were read: TRIM-KV (Bui et al., arXiv 2512.03324).
 * A token's score at position {@code t} is {@code (t − i) · log β}, where {@code i} is its own and
 * {@code β} what the gate gave it in this head.
 *
 * @param learned null until they have been read
 */
record Retention(@Nullable RetentionGates learned) implements Scorer {
  private static final int LOG_BETA = 0;

  @Override
  public String name() {
    return "retention";
  }

  @Override
  public Set<Companion<?>> lacks() {
    return learned == null ? Set.of(RetentionGates.FILE) : Set.of();
  }

  @Override
  public Scorer with(Companion.Reader files) {
    return learned == null ? new Retention(files.read(RetentionGates.FILE)) : this;
  }

  @Override
  public Optional<RetentionGates> gates() {
    return Optional.ofNullable(learned);
  }

  @Override
  public int numbers(LayerLayout.Heads heads) {
    return 1;
  }

  @Override
  public boolean looks(int layer) {
    return true;
  }

  @Override
  public void observe(CachedHead head, LayerStep step) {
    int first = head.count();
    float[] logs = head.scores(LOG_BETA, first + step.rows());
    for (int row = 0; row < step.rows(); row++) {
      logs[first + row] = step.retention(row, head.kvHead());
    }
  }

  /** True: what a gate said is not said again. */
  @Override
  public boolean remembers() {
    return true;
  }

  @Override
  public void score(CachedHead head, float[] out) {
    int count = head.count();
    float[] logs = head.scores(LOG_BETA, count);
    int last = head.cache().length() - 1;
    for (int i = 0; i < count; i++) {
      out[i] = (last - head.position(i)) * logs[i];
    }
  }
}

package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.CoarseForm;
import dev.knapsack.cache.Companion;
import dev.knapsack.cache.HeadBases;
import dev.knapsack.tensor.Format;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Keeps such tokens with keys and values in fewer numbers: products with the directions that say
 * most in each head (after CSKV, Wang et al., arXiv 2409.10593). The directions come from a file
 * beside the model. Attention reads the fewer numbers and nothing else.
 *
 * @param keys percent of a key's numbers that are left, or as near to that as whole blocks of the
 *     format allow
 * @param values the same of a value's
 * @param format of those numbers; null for that of other tokens
 * @param found null until they have been read
 */
record LowRank(int keys, int values, @Nullable Format format, @Nullable HeadBases found)
    implements Action {
  LowRank {
    for (int percent : new int[] {keys, values}) {
      if (percent < 1 || percent > 100) {
        throw new IllegalArgumentException("1 to 100 percent of numbers stay, not " + percent);
      }
    }
  }

  @Override
  public String name() {
    return format == null
        ? "lowrank(%d,%d)".formatted(keys, values)
        : "lowrank(%d,%d,%s)".formatted(keys, values, format.name().toLowerCase(Locale.ROOT));
  }

  @Override
  public Set<Companion<?>> lacks() {
    return found == null ? Set.of(HeadBases.FILE) : Set.of();
  }

  @Override
  public Action with(Companion.Reader files) {
    return found == null ? new LowRank(keys, values, format, files.read(HeadBases.FILE)) : this;
  }

  @Override
  public Optional<HeadBases> bases() {
    return Optional.ofNullable(found);
  }

  @Override
  public Optional<CoarseForm> coarse() {
    return Optional.of(new CoarseForm(format, format, 100 - keys, 100 - values));
  }

  @Override
  public void apply(CachedHead head, int[] kept) {
    head.requantise(Action.others(head, kept));
  }
}

package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.tensor.Format;
import java.util.Locale;
import java.util.Optional;

/** What happens to tokens that are not kept: the third part of a {@link Recipe}. */
public interface Action {
  /** As it is written in a recipe. */
  String name();

  /**
   * Brings a head to the tokens it keeps.
   *
   * @param kept places of tokens, ascending, none of which is in coarser formats
   */
  void apply(CachedHead head, int[] kept);

  /** Formats of what is not kept and not forgotten either. */
  default Optional<KvPolicy.Coarse> coarse() {
    return Optional.empty();
  }

  /**
   * They stay, in formats of fewer bits (as in Liu et al., arXiv 2402.02750, and Hooper et al.,
   * arXiv 2401.18079, which keep first and recent tokens in full precision).
   *
   * @param keys format of keys
   * @param values format of values
   */
  record Quantise(Format keys, Format values) implements Action {
    @Override
    public String name() {
      String key = keys.name().toLowerCase(Locale.ROOT);
      String value = values.name().toLowerCase(Locale.ROOT);
      return key.equals(value)
          ? "quantise(" + key + ")"
          : "quantise(k=%s,v=%s)".formatted(key, value);
    }

    @Override
    public Optional<KvPolicy.Coarse> coarse() {
      return Optional.of(new KvPolicy.Coarse(keys, values));
    }

    @Override
    public void apply(CachedHead head, int[] kept) {
      int[] others = new int[head.count() - head.coarse() - kept.length];
      int n = 0;
      int next = 0;
      for (int i = head.coarse(); i < head.count(); i++) {
        if (next < kept.length && kept[next] == i) {
          next++;
        } else {
          others[n++] = i;
        }
      }
      head.requantise(others);
    }
  }

  /** They are forgotten, and their pages freed. */
  Action EVICT =
      new Action() {
        @Override
        public String name() {
          return "evict";
        }

        @Override
        public void apply(CachedHead head, int[] kept) {
          head.keep(kept);
        }
      };
}

package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;

/** What happens to tokens that are not kept: the third part of a {@link Recipe}. */
public interface Action {
  /** As it is written in a recipe. */
  String name();

  /**
   * Brings a head to the tokens it keeps.
   *
   * @param kept places of tokens, ascending
   */
  void apply(CachedHead head, int[] kept);

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

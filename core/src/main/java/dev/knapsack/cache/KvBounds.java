package dev.knapsack.cache;

import java.util.Optional;

/**
 * The most that a sequence's cache holds by a {@link KvPolicy}, and in which form: as layouts,
 * pools and plans count it.
 */
@FunctionalInterface
public interface KvBounds {
  /** All tokens, as the layout says. */
  KvBounds ALL = tokens -> tokens;

  /**
   * The most tokens that a head holds after {@link KvPolicy#compress} in the layout's formats, of a
   * sequence of {@code tokens} tokens.
   */
  int most(int tokens);

  /**
   * The most tokens that the heads of a layer without a sliding window hold together, as {@link
   * #most} says of one: for policies that give heads or layers different numbers.
   */
  default long together(KvLayout layout, int layer, int tokens) {
    return (long) layout.heads(layer).kvHeads() * most(tokens);
  }

  /** The most tokens that the heads of all such layers hold together, as {@link #most} says. */
  default long inAll(KvLayout layout, int tokens) {
    long sum = 0;
    for (int l = 0; l < layout.layers().size(); l++) {
      sum += layout.heads(l).seeAll() ? together(layout, l, tokens) : 0;
    }
    return sum;
  }

  /** The form of tokens that count less; empty if all are kept as the layout says. */
  default Optional<CoarseForm> coarse() {
    return Optional.empty();
  }

  /** The most tokens that a head holds so, beside the others. */
  default int mostCoarse(int tokens) {
    return 0;
  }

  /** The bases by which it reduces {@linkplain #coarse coarser tokens}; empty unless it does. */
  default Optional<HeadBases> bases() {
    return Optional.empty();
  }
}

package dev.knapsack.cache;

import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Matrix;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Which tokens a sequence's cache keeps, and in what form: asked after each step.
 *
 * <p>A policy has no state of a sequence; what it wants to remember of a token is kept by the cache
 * and moves with the token: {@link CachedHead#scores}.
 */
public interface KvPolicy {
  /** Keeps everything. */
  KvPolicy FULL =
      new KvPolicy() {
        @Override
        public String name() {
          return "full";
        }

        @Override
        public int most(int tokens) {
          return tokens;
        }

        @Override
        public void compress(KvCache cache) {}

        @Override
        public String toString() {
          return name();
        }
      };

  /** The recipe as it is written: part of what tells caches apart. */
  String name();

  /** The files beside the model that it goes by and has not been given: without, it cannot work. */
  default Set<Companion<?>> lacks() {
    return Set.of();
  }

  /** The same policy, which has read the files that it {@linkplain #lacks lacked}. */
  default KvPolicy with(Companion.Reader files) {
    return this;
  }

  /**
   * The most tokens that a head holds after {@link #compress} in the layout's formats, of a
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

  /** How tokens that count less are kept; empty if all are kept as the layout says. */
  default Optional<Coarse> coarse() {
    return Optional.empty();
  }

  /** The most tokens that a head holds so, beside the others. */
  default int mostCoarse(int tokens) {
    return 0;
  }

  /**
   * How tokens that count less are kept: in formats of fewer bits, or in fewer numbers, or both.
   *
   * @param keys one of {@link dev.knapsack.tensor.Formats#cache()}; null for that of other tokens
   * @param values one of them; null for that of other tokens
   * @param dropped percent of a key's channels, or of its numbers by {@link #bases}, that are left
   *     out: as near to that as whole blocks of the format allow
   * @param droppedOfValues the same of a value's numbers, by bases alone
   */
  record Coarse(@Nullable Format keys, @Nullable Format values, int dropped, int droppedOfValues) {
    /** Machine code takes so many numbers at a time. */
    private static final int LANES = 8;

    public Coarse {
      for (int percent : new int[] {dropped, droppedOfValues}) {
        if (percent < 0 || percent > 99) {
          throw new IllegalArgumentException("0 to 99 percent of channels go, not " + percent);
        }
      }
    }

    /** With whole keys and values. */
    public Coarse(Format keys, Format values) {
      this(keys, values, 0, 0);
    }

    /** With some channels of keys. */
    public Coarse(@Nullable Format keys, @Nullable Format values, int dropped) {
      this(keys, values, dropped, 0);
    }

    /** The format of keys, where those of other tokens are in this one. */
    public Format keysBeside(Format others) {
      return keys == null ? others : keys;
    }

    /** The format of values, where those of other tokens are in this one. */
    public Format valuesBeside(Format others) {
      return values == null ? others : values;
    }

    /**
     * Numbers in a key.
     *
     * @param size those of other tokens
     * @param others the format of other tokens
     */
    public int keySize(int size, Format others) {
      return held(size, keysBeside(others), dropped);
    }

    /** Numbers in a value; see {@link #keySize}. */
    public int valueSize(int size, Format others) {
      return held(size, valuesBeside(others), droppedOfValues);
    }

    private static int held(int size, Format format, int dropped) {
      int unit = Math.max(LANES, format.blockValues());
      if (dropped == 0 || size % unit != 0) {
        return size;
      }
      return unit * Math.max(1, Math.round((100 - dropped) / 100f * size / unit));
    }
  }

  /**
   * Of how many of a step's last query rows the attention weights are wanted, of a layer without a
   * sliding window: 0 for none, which costs nothing.
   */
  default int weightRows(int layer) {
    return 0;
  }

  /**
   * Whether they are wanted of this head.
   *
   * @param rows of the step, which the head's sequence does not count yet
   */
  default boolean wantsWeights(CachedHead head, int rows) {
    return weightRows(head.layer()) > 0;
  }

  /**
   * Takes in the attention weights of one query row. Heads of a layer may be looked at by several
   * threads at once.
   *
   * @param position where the row stands in the sequence
   * @param weights a row for each query head that shares the KV head, a column for each token that
   *     the head holds, this step's included
   */
  default void observe(CachedHead head, int position, Matrix weights) {}

  /**
   * The most rows that it looks at after the tokens of a step: as queries to come might, they look
   * at what is held, and are forgotten before {@link #compress}. The step computes them beside its
   * own; {@link KvCache#patch} says which tokens they are.
   */
  default int lookahead() {
    return 0;
  }

  /**
   * How many of them it wants after a step of a prompt.
   *
   * @param tokens that the step adds to the sequence
   */
  default int lookahead(KvCache cache, int tokens) {
    return cache.length() + tokens == cache.promptEnd() ? lookahead() : 0;
  }

  /**
   * Whether it looks at steps in a layer without a sliding window, beside attention weights; if
   * not, that costs nothing.
   */
  default boolean looks(int layer) {
    return false;
  }

  /**
   * Whether it looks at this step.
   *
   * @param rows of the step, which the sequence does not count yet
   */
  default boolean looks(KvCache cache, int layer, int rows) {
    return looks(layer);
  }

  /**
   * Whether it wants {@link LayerStep#outputNorm} where it looks: that costs as much as the
   * projection of attention's results does.
   */
  default boolean wantsOutputNorms(int layer) {
    return false;
  }

  /** Learned gates that it wants {@link LayerStep#retention} of where it looks. */
  default Optional<RetentionGates> gates() {
    return Optional.empty();
  }

  /** By what it reduces {@linkplain #coarse coarser tokens}; empty unless it does. */
  default Optional<HeadBases> bases() {
    return Optional.empty();
  }

  /**
   * Looks at a step. Heads of a layer may be looked at by several threads at once.
   *
   * @param head without the step's tokens, which come after those that it counts
   */
  default void observe(CachedHead head, LayerStep step) {}

  /** Numbers that it keeps of each head as a whole, for the time that a sequence needs them. */
  default int memory(LayerLayout.Heads heads) {
    return 0;
  }

  /**
   * How many numbers it keeps of each token of a layer without a sliding window: {@link
   * CachedHead#scores}.
   */
  default int numbers(LayerLayout.Heads heads) {
    return 0;
  }

  /**
   * Whether it remembers so much of tokens, in {@link CachedHead#scores} or on disk, that a
   * sequence cannot go on without: stores do not keep that.
   */
  default boolean remembers() {
    return false;
  }

  /** How it has tokens read again that it {@linkplain CachedHead#spill moves to disk}. */
  default Optional<Retrieval> retrieval() {
    return Optional.empty();
  }

  /** Whether it asks where sentences end: {@link KvCache#sentenceEnd}. */
  default boolean wantsSentences() {
    return false;
  }

  /** Brings a cache back to what it may hold, after a step. */
  void compress(KvCache cache);
}

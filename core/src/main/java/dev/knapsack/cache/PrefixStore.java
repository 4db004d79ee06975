package dev.knapsack.cache;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Blocks of the beginnings of sequences that are kept beyond what a {@link PrefixTree} has memory
 * for, each under its {@link PrefixKey}. What it says of a block may be gone a moment later.
 */
public interface PrefixStore {
  /** Parts of a block, of which a store may have some. */
  enum Part {
    /** The pages of heads that see all tokens. */
    PAGES,
    /** Those of heads with a sliding window. */
    WINDOWS,
    /** The states after its last token. */
    STATES
  }

  /**
   * The parts of a block that a store has.
   *
   * @param exact whether they were computed, as the store's user computes, as a prompt that depends
   *     on no other
   */
  record Kept(Set<Part> parts, boolean exact) {
    public static final Kept NOTHING = new Kept(Set.of(), false);

    public Kept {
      parts = Set.copyOf(parts);
    }
  }

  /**
   * The beginning of the blocks of one layout.
   *
   * @param salt tells blocks from those of others with whom nothing is shared
   */
  PrefixKey root(KvLayout layout, String salt);

  /** The parts of a block that are there now. */
  Kept look(PrefixKey key);

  /**
   * Reads parts of a block.
   *
   * @param into the pages of each part, in the order of layers and heads
   * @return whether all of them were there and whole; if not, what the pages hold has no meaning
   */
  boolean read(PrefixKey key, Map<Part, List<MemorySegment>> into);
}

package dev.knapsack.cache;

import dev.knapsack.cache.PrefixStore.Part;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.SortedMap;
import org.jspecify.annotations.Nullable;

/** A block of a {@link PrefixTree}; the root of a layout is one without tokens. */
final class PrefixNode {
  /** The blocks of one layout and salt: the pages of each, and what they cost. */
  static final class Blocks {
    final KvPool pool;

    /** Tells its blocks from those of others that share nothing with them. */
    final String salt;

    /** Pages of a block in layers without and with a window. */
    final SortedMap<Long, Long> full;

    final SortedMap<Long, Long> windows;

    /** The page of a checkpoint; none where no layer carries a state. */
    final SortedMap<Long, Long> checkpoint;

    /** By layer and head, whether the layer has a window. */
    final boolean[] inWindow;

    /** Bytes of all pages that are held of them. */
    long held;

    Blocks(KvPool pool, String salt) {
      this.pool = pool;
      this.salt = salt;
      this.full = pool.layout().blockSlabs(false);
      this.windows = pool.layout().blockSlabs(true);
      this.checkpoint = pool.layout().checkpoint();
      this.inWindow = new boolean[pool.blockPages()];
      int page = 0;
      for (LayerLayout.Heads layer : pool.layout().heads()) {
        Arrays.fill(inWindow, page, page + layer.kvHeads(), layer.window() > 0);
        page += layer.kvHeads();
      }
    }

    /** The pages of a part, of a block that has these; in the order of layers and heads. */
    List<MemorySegment> pages(Part part, int[] slabs, int states) {
      List<MemorySegment> pages = new ArrayList<>();
      if (part == Part.STATES) {
        pages.add(pool.pages().arena(checkpoint.firstKey()).slab(states));
        return pages;
      }
      for (int i = 0; i < slabs.length; i++) {
        if (inWindow[i] == (part == Part.WINDOWS)) {
          pages.add(pool.page(i, slabs[i]));
        }
      }
      return pages;
    }
  }

  final Blocks blocks;
  final @Nullable PrefixNode parent;
  final int depth;
  final long key;
  final int[] tokens;

  /** Pages by layer and head; -1 where the layer has a window and its page was given up. */
  final int[] slabs;

  /** Says that it and those before it were computed as a prompt that depends on no other is. */
  final boolean exact;

  /** Says that pages of layers with a window are held. */
  boolean windowed;

  /** The page of the checkpoint at its end; -1 if there is none. */
  int checkpoint = -1;

  /** Says that a sequence has gone on from there. */
  boolean goneOnFrom;

  /** Blocks that follow. */
  int children;

  /** Sequences that share this block and none that follows. */
  int users;

  /** The time of its last use; its place among those that nobody uses. */
  long used;

  /** The next node with the same key. */
  @Nullable PrefixNode next;

  /** Says that the tree has given it up. */
  boolean gone;

  /** Parts that the store has, as far as is known. */
  final Set<Part> saved = EnumSet.noneOf(Part.class);

  private @Nullable PrefixKey stored;

  PrefixNode(
      Blocks blocks,
      @Nullable PrefixNode parent,
      long key,
      int[] tokens,
      int[] slabs,
      boolean exact) {
    this.blocks = blocks;
    this.exact = exact;
    this.parent = parent;
    this.depth = parent == null ? 0 : parent.depth + 1;
    this.key = key;
    this.tokens = tokens;
    this.slabs = slabs;
  }

  /** Says whether a sequence could go on from here, as far as states are concerned. */
  boolean hasState() {
    return checkpoint >= 0 || !blocks.pool.layout().carriesStates();
  }

  /** Parts that it holds. */
  Set<Part> held() {
    Set<Part> held = EnumSet.of(Part.PAGES);
    if (windowed) {
      held.add(Part.WINDOWS);
    }
    if (checkpoint >= 0) {
      held.add(Part.STATES);
    }
    return held;
  }

  /** Says whether it holds more than the store has. */
  boolean isUnsaved() {
    return !gone && parent != null && !saved.containsAll(held());
  }

  /** The pages of a part that it holds. */
  List<MemorySegment> pages(Part part) {
    return blocks.pages(part, slabs, checkpoint);
  }

  /** The key under which a store has it. */
  PrefixKey stored(PrefixStore store) {
    if (stored == null) {
      stored =
          parent == null
              ? store.root(blocks.pool.layout(), blocks.salt)
              : parent.stored(store).next(tokens);
    }
    return stored;
  }
}

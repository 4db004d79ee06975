package dev.knapsack.cache;

import dev.knapsack.cache.PrefixStore.Kept;
import dev.knapsack.cache.PrefixStore.Part;
import dev.knapsack.error.BudgetExceededException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/**
 * The reading of a sequence's next blocks from a {@link PrefixStore}: into pages that the sequence
 * has been promised. Blocks that the tree has are taken from there. The sequence itself stays as it
 * is until all are there that it needs to go on from the last.
 */
final class PrefixReading implements AutoCloseable {
  /** A block on the way: what the tree has of it, and what the store. */
  private record Step(PrefixKey key, @Nullable PrefixNode node, Kept kept) {
    boolean has(Part part) {
      return kept.parts().contains(part) || inTree(part) != null;
    }

    /** The block of the tree, if that has this part of it now. */
    @Nullable PrefixNode inTree(Part part) {
      return node != null && !node.gone && node.held().contains(part) ? node : null;
    }

    boolean exact() {
      PrefixNode held = inTree(Part.PAGES);
      return held == null ? kept.exact() : held.exact;
    }
  }

  private final PrefixNode.Blocks blocks;
  private final PrefixStore store;

  /** Blocks that the sequence shares already. */
  private final int held;

  /** From the beginning to where the sequence is to go on. */
  private final List<Step> way;

  /** The pages of each block, by layer and head; -1 where none is held. */
  private final int[][] slabs;

  /** The first block of which layers with a window need pages. */
  private final int windowFrom;

  private int checkpoint = -1;
  private int next;

  private PrefixReading(PrefixNode last, PrefixStore store, List<Step> way, int windowFrom) {
    this.blocks = last.blocks;
    this.store = store;
    this.held = last.depth;
    this.way = way;
    this.windowFrom = windowFrom;
    this.next = Math.min(held, windowFrom);
    this.slabs = new int[way.size()][blocks.inWindow.length];
    for (int[] pages : slabs) {
      Arrays.fill(pages, -1);
    }
  }

  /**
   * The reading of the longest beginning that tree and store have together.
   *
   * @param last the last block that the sequence shares
   * @param tokens the tokens of each block of the sequence
   * @param most blocks to look for at most
   * @param exact whether only those will do that depend on no other
   * @return null if there is none that goes beyond {@code last}
   */
  static @Nullable PrefixReading plan(
      PrefixTree tree,
      PrefixStore store,
      PrefixNode last,
      IntFunction<int[]> tokens,
      int most,
      boolean exact) {
    KvLayout layout = last.blocks.pool.layout();
    boolean windows = layout.longestWindow() > 0;
    List<Step> way = new ArrayList<>();
    for (PrefixNode n = last; n.parent != null; n = n.parent) {
      way.addFirst(new Step(n.stored(store), n, look(store, n, windows && !n.windowed)));
    }
    PrefixNode node = last;
    PrefixKey key = last.stored(store);
    while (way.size() < most) {
      int[] block = tokens.apply(way.size());
      node = node == null ? null : tree.child(node, block);
      key = node == null ? key.next(block) : node.stored(store);
      boolean lacks = node == null || !node.hasState() || (windows && !node.windowed);
      Step step = new Step(key, node, lacks ? store.look(key) : Kept.NOTHING);
      if (!step.has(Part.PAGES) || (exact && !step.exact())) {
        break;
      }
      way.add(step);
    }
    for (; way.size() > last.depth; way.removeLast()) {
      int from = firstInWindow(layout, way.size());
      boolean seen = way.subList(from, way.size()).stream().allMatch(s -> s.has(Part.WINDOWS));
      if ((from == way.size() || seen)
          && (!layout.carriesStates() || way.getLast().has(Part.STATES))) {
        return new PrefixReading(last, store, List.copyOf(way), from);
      }
    }
    return null;
  }

  private static Kept look(PrefixStore store, PrefixNode node, boolean lacks) {
    return lacks ? store.look(node.stored(store)) : Kept.NOTHING;
  }

  /**
   * The first block whose pages the token after so many blocks sees in some layer with a window.
   */
  private static int firstInWindow(KvLayout layout, int blocks) {
    int page = layout.pageTokens();
    int window = layout.longestWindow();
    return window == 0 ? blocks : Math.max(0, blocks * page - window + 1) / page;
  }

  /** Blocks from the beginning to where the sequence is to go on. */
  int blocks() {
    return way.size();
  }

  /** Of those, the first that depend on no other. */
  int exactBlocks() {
    int exact = 0;
    while (exact < way.size() && way.get(exact).exact()) {
      exact++;
    }
    return exact;
  }

  boolean isDone() {
    return next == way.size();
  }

  /**
   * Reads the next block.
   *
   * @return bytes that were read; -1 if it is not to be had, or memory has no room for it
   */
  long readNext() {
    int block = next;
    Step step = way.get(block);
    Map<Part, List<MemorySegment>> missing = new EnumMap<>(Part.class);
    try {
      if (block >= held) {
        take(step, block, Part.PAGES, missing);
      }
      if (block >= windowFrom) {
        take(step, block, Part.WINDOWS, missing);
      }
      if (block == way.size() - 1 && blocks.pool.layout().carriesStates()) {
        takeCheckpoint(step, missing);
      }
    } catch (BudgetExceededException noRoom) {
      return -1;
    }
    if (!missing.isEmpty() && !store.read(step.key(), missing)) {
      return -1;
    }
    next++;
    return missing.values().stream().flatMap(List::stream).mapToLong(MemorySegment::byteSize).sum();
  }

  /** Blocks, from the beginning, that have been read or need not be. */
  int read() {
    return next;
  }

  private void take(Step step, int block, Part part, Map<Part, List<MemorySegment>> missing) {
    PrefixNode node = step.inTree(part);
    for (int i = 0; i < blocks.inWindow.length; i++) {
      if (blocks.inWindow[i] == (part == Part.WINDOWS)) {
        if (node == null) {
          slabs[block][i] = blocks.pool.allocate(i);
        } else {
          blocks.pool.share(i, node.slabs[i]);
          slabs[block][i] = node.slabs[i];
        }
      }
    }
    if (node == null) {
      missing.put(part, blocks.pages(part, slabs[block], -1));
    }
  }

  private void takeCheckpoint(Step step, Map<Part, List<MemorySegment>> missing) {
    SlabArena arena = blocks.pool.pages().arena(blocks.checkpoint.firstKey());
    PrefixNode node = step.inTree(Part.STATES);
    if (node == null) {
      checkpoint = arena.allocate();
      missing.put(Part.STATES, blocks.pages(Part.STATES, slabs[0], checkpoint));
    } else {
      arena.share(node.checkpoint);
      checkpoint = node.checkpoint;
    }
  }

  /** Makes all of it the sequence's beginning, which shares the first blocks already. */
  void adopt(SequenceState state, PrefixNode last) {
    IntFunction<int[]> shared = PrefixTree.path(last);
    state.adopt(
        held,
        way.size(),
        b -> {
          int[] pages = slabs[b].clone();
          for (int i = 0; b < held && i < pages.length; i++) {
            pages[i] = blocks.inWindow[i] ? pages[i] : shared.apply(b)[i];
          }
          return pages;
        },
        checkpoint);
  }

  /** The page of the states at its end; -1 where no layer carries one. */
  int checkpoint() {
    return checkpoint;
  }

  /** Says which parts the store has of a block and those before it. */
  void markSaved(PrefixNode last) {
    for (PrefixNode n = last; n.parent != null; n = n.parent) {
      if (n.depth <= way.size()) {
        n.saved.addAll(way.get(n.depth - 1).kept().parts());
      }
    }
  }

  /** Gives back what the sequence has not adopted. */
  @Override
  public void close() {
    for (int[] block : slabs) {
      for (int i = 0; i < block.length; i++) {
        if (block[i] >= 0) {
          blocks.pool.release(i, block[i]);
        }
      }
    }
    if (checkpoint >= 0) {
      blocks.pool.pages().arena(blocks.checkpoint.firstKey()).release(checkpoint);
    }
  }
}

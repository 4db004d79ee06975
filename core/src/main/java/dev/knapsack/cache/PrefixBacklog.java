package dev.knapsack.cache;

import dev.knapsack.cache.PrefixStore.Part;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The blocks of a {@link PrefixTree} that its store is to be given, and those that it is to be told
 * have been used. Blocks come before those that follow them, else in the order in which they came
 * into the tree. Used on the tree's thread alone.
 */
public final class PrefixBacklog {
  /** A block, which can be copied piece by piece as long as the tree holds it. */
  public final class Block {
    private final PrefixNode node;
    private final PrefixKey key;
    private final SortedMap<Part, Long> parts;

    private Block(PrefixNode node, PrefixKey key, SortedMap<Part, Long> parts) {
      this.node = node;
      this.key = key;
      this.parts = parts;
    }

    public PrefixKey key() {
      return key;
    }

    /** Bytes of each part that is to be written. */
    public SortedMap<Part, Long> parts() {
      return parts;
    }

    /** True if it was computed as a prompt that depends on no other. */
    public boolean exact() {
      return node.exact;
    }

    /**
     * Copies bytes of a part, from {@code from} on; between steps, on the tree's thread.
     *
     * @return whether the tree still holds it; if not, nothing was copied
     */
    public boolean copy(Part part, long from, long bytes, MemorySegment into, long at) {
      if (node.gone || !node.held().contains(part)) {
        return false;
      }
      long skipped = from;
      long copied = 0;
      for (MemorySegment page : node.pages(part)) {
        long n = Math.clamp(page.byteSize() - skipped, 0, bytes - copied);
        if (n > 0) {
          MemorySegment.copy(page, skipped, into, at + copied, n);
          copied += n;
        }
        skipped = Math.max(0, skipped - page.byteSize());
      }
      return true;
    }

    /** The store has it now. */
    public void saved() {
      node.saved.addAll(parts.keySet());
    }

    /** The store has it no longer. */
    public void lost() {
      node.saved.clear();
      add(node);
    }
  }

  private final Deque<PrefixNode> unsaved = new ArrayDeque<>();

  /** The last blocks of sequences that have ended. */
  private final Set<PrefixNode> used = new LinkedHashSet<>();

  private Runnable listener = () -> {};
  private boolean stopped;

  PrefixBacklog() {}

  /** Is told, on the tree's thread, that there is something. */
  public void listen(Runnable other) {
    listener = other;
  }

  /** Is not told any more, since nothing is written. */
  public void stop() {
    listener = () -> {};
    unsaved.clear();
    stopped = true;
  }

  /** Says whether there are blocks that will be written. */
  public boolean isPending() {
    return !unsaved.isEmpty();
  }

  void add(PrefixNode node) {
    if (node.isUnsaved() && !stopped) {
      unsaved.add(node);
      listener.run();
    }
  }

  /** A sequence that shared a block, and those before it, has ended. */
  void used(PrefixNode node) {
    if (node.parent != null && !node.saved.isEmpty() && !stopped) {
      used.add(node);
      listener.run();
    }
  }

  /** The next block to be written; null if there is none. */
  public @Nullable Block next(PrefixStore store) {
    while (!unsaved.isEmpty()) {
      PrefixNode node = unsaved.element();
      // One whose states are not kept is of use to those that follow it, which come later.
      PrefixNode first = node.gone || !node.hasState() ? null : firstUnsaved(node);
      if (first != null) {
        SortedMap<Part, Long> parts = new TreeMap<>();
        for (Part part : first.held()) {
          parts.put(part, first.pages(part).stream().mapToLong(MemorySegment::byteSize).sum());
        }
        return new Block(first, first.stored(store), parts);
      }
      unsaved.remove();
    }
    return null;
  }

  /** The first block up to this one of which the store lacks what others need of it. */
  private static @Nullable PrefixNode firstUnsaved(PrefixNode node) {
    PrefixNode first = node.isUnsaved() ? node : null;
    for (PrefixNode n = node; n.parent != null; n = n.parent) {
      first = n.saved.isEmpty() ? n : first;
    }
    return first;
  }

  /** Blocks that have been used since this was asked last, each before its followers. */
  public List<Block> used(PrefixStore store) {
    Set<PrefixNode> blocks = new LinkedHashSet<>();
    for (PrefixNode last : used) {
      List<PrefixNode> path = new ArrayList<>();
      for (PrefixNode n = last; n != null && n.parent != null && !blocks.contains(n); ) {
        path.addFirst(n);
        n = n.parent;
      }
      blocks.addAll(path);
    }
    used.clear();
    return blocks.stream().map(n -> new Block(n, n.stored(store), new TreeMap<>())).toList();
  }
}

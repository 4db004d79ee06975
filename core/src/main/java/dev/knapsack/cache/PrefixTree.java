package dev.knapsack.cache;

import dev.knapsack.memory.Account;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/**
 * The beginnings of sequences, kept so that another sequence with the same beginning need not
 * compute it: a radix tree whose nodes are blocks of as many tokens as a page has.
 *
 * <p>A node holds a reference of its own to the page of every layer and KV head. It is found by a
 * hash of its tokens, chained to that of the blocks before it, and believed only when its tokens
 * and its parent are those asked for. The chain begins with the {@link KvLayout}, so that caches
 * that were made in different ways have nothing in common, and with a salt, such as the name of who
 * asks: those of one have nothing in common with those of another.
 *
 * <p>What the tree holds is charged to an account of its own, once, however many sequences share
 * it. A block that a sequence completes brings its bytes along from the sequence's {@link
 * KvPromise}: the tree grows without asking for any. The exception are layers with a sliding
 * window, whose sequences need room for their window however much they share. Pages of those the
 * tree takes only where room is free, and gives up even while the block is shared.
 *
 * <p>Where layers carry states, a block is of use if there is a checkpoint of them at its end: a
 * page that the tree takes, gives up and pays for as it does those of windows. Of those on the way
 * to a new one the least missed makes room for it.
 *
 * <p>A block that a sequence shares stays. The others go when their bytes are {@linkplain #drop
 * wanted}, the end of a chain before its beginning, least recently used first. Where there is a
 * {@link PrefixStore} the {@link #backlog} is written to it, what it has goes first, and what is
 * not here is {@linkplain SharedPrefix#advance read} from it. Not safe for use by several threads
 * at once, and to be closed before its pool.
 */
public final class PrefixTree implements AutoCloseable {
  /** A hash of a block of tokens that follows others. */
  @FunctionalInterface
  interface BlockHash {
    long of(long before, int[] block);
  }

  /** All that two sequences of the same tokens must have in common to share their blocks. */
  private record Origin(KvLayout layout, String salt) {}

  private final PagePool pages;
  private final Account account;
  private final BlockHash hash;
  private final @Nullable PrefixStore store;
  private final PrefixBacklog backlog = new PrefixBacklog();

  /** By layout and salt. */
  private final Map<Origin, PrefixNode> roots = new HashMap<>();

  private final Map<Long, PrefixNode> nodes = new HashMap<>();
  private int size;

  /** Blocks that nobody uses and none follows, least recently used first. */
  private final NavigableMap<Long, PrefixNode> idle = new TreeMap<>();

  private long clock;

  /**
   * An empty tree.
   *
   * @param pool where its sequences have their pages, or pools beside it
   * @param account what its pages are charged to, of the same budget as the pool's
   * @param store has blocks that the tree has not; null for none
   */
  public PrefixTree(KvPool pool, Account account, @Nullable PrefixStore store) {
    this(pool, account, store, PrefixTree::mix);
  }

  PrefixTree(KvPool pool, Account account, @Nullable PrefixStore store, BlockHash hash) {
    this.pages = pool.pages();
    this.account = account;
    this.store = store;
    this.hash = hash;
  }

  /** Mixes as the finalizer of SplitMix64 does, token by token. */
  private static long mix(long before, int[] block) {
    long h = before;
    for (int token : block) {
      h = (h ^ token) + 0x9e3779b97f4a7c15L;
      h = (h ^ (h >>> 30)) * 0xbf58476d1ce4e5b9L;
      h = (h ^ (h >>> 27)) * 0x94d049bb133111ebL;
      h ^= h >>> 31;
    }
    return h;
  }

  /** Blocks that it holds. */
  public int size() {
    return size;
  }

  /** Bytes of the pages that it holds. */
  public long bytes() {
    return account.own();
  }

  /**
   * The longest beginning of a sequence that the tree holds, which stays as long as it is shared.
   *
   * @param pool the sequence's, whose layout has all that makes two caches of the same tokens
   *     differ
   * @param salt tells sequences from others with whom they share nothing
   * @param tokens the tokens of each block of the sequence
   * @param most blocks to look for at most
   * @param exact whether only those will do that were computed as a prompt that does not depend, in
   *     rounding, on what others computed beside it
   */
  public SharedPrefix find(
      KvPool pool, String salt, IntFunction<int[]> tokens, int most, boolean exact) {
    PrefixNode root =
        roots.computeIfAbsent(
            new Origin(pool.layout(), salt),
            origin -> {
              int[] none = {};
              long key = hash.of(origin.hashCode(), none);
              return new PrefixNode(new PrefixNode.Blocks(pool, salt), null, key, none, none, true);
            });
    return new SharedPrefix(this, pin(usable(deepest(root, tokens, most, exact), root)));
  }

  /** The last block from {@code from} on that there is of a sequence. */
  PrefixNode deepest(PrefixNode from, IntFunction<int[]> tokens, int most, boolean exact) {
    PrefixNode node = from;
    while (node.depth < most) {
      PrefixNode child = child(node, tokens.apply(node.depth));
      if (child == null || (exact && !child.exact)) {
        break;
      }
      node = child;
    }
    return node;
  }

  /** The last block from {@code from} to this one that a sequence can go on from. */
  PrefixNode usable(PrefixNode deepest, PrefixNode from) {
    PrefixNode node = deepest;
    while (node != from && node.parent != null && !(hasWindow(node) && node.hasState())) {
      node = node.parent;
    }
    return node;
  }

  /** Says whether all is held that the token after this block sees in layers with a window. */
  private boolean hasWindow(PrefixNode node) {
    boolean windows = node.blocks.pool.layout().longestWindow() > 0;
    int first = firstSeen(node);
    for (PrefixNode n = node; windows && n != null && n.depth > first; n = n.parent) {
      if (!n.windowed) {
        return false;
      }
    }
    return true;
  }

  @Nullable PrefixNode child(PrefixNode parent, int[] tokens) {
    PrefixNode node = nodes.get(hash.of(parent.key, tokens));
    while (node != null && (node.parent != parent || !Arrays.equals(node.tokens, tokens))) {
      node = node.next;
    }
    return node;
  }

  /**
   * Adds the block that follows {@code parent} in a sequence, or makes the sequence share it.
   *
   * @param exact whether the sequence has computed it as a prompt that depends on no other
   * @param onlyExact whether it may share no other
   * @return the block; null if it could not be added
   */
  @Nullable PrefixNode add(
      PrefixNode parent,
      int[] tokens,
      SharedBlocks own,
      KvPromise promise,
      boolean exact,
      boolean onlyExact) {
    PrefixNode.Blocks blocks = parent.blocks;
    int[] slabs = own.pages(parent.depth);
    for (int i = 0; i < slabs.length; i++) {
      if (slabs[i] < 0 && !blocks.inWindow[i]) {
        return null;
      }
    }
    PrefixNode node = child(parent, tokens);
    if (onlyExact && !(node == null ? exact : node.exact)) {
      return null;
    }
    if (node == null) {
      // The tree pays from now on, out of what the promise had for it.
      if (!promise.handOver()) {
        return null;
      }
      int[] none = new int[slabs.length];
      Arrays.fill(none, -1);
      long key = hash.of(parent.key, tokens);
      node = new PrefixNode(blocks, parent, key, tokens, none, exact && parent.exact);
      node.next = nodes.get(node.key);
      nodes.put(node.key, node);
      size++;
      parent.children++;
      take(blocks, blocks.full);
      hold(node, slabs, false);
    } else {
      own.replace(parent.depth, node.slabs);
      promise.share(node.depth);
    }
    takeWindows(node, slabs);
    grown(node);
    return node;
  }

  /** Holds a block's pages of windows too, if a sequence has all of them and there is room. */
  private void takeWindows(PrefixNode node, int[] slabs) {
    SortedMap<Long, Long> windows = node.blocks.windows;
    boolean all = !node.windowed;
    for (int i = 0; i < slabs.length; i++) {
      all &= slabs[i] >= 0 || !node.blocks.inWindow[i];
    }
    if (all && (reserve(windows, node) || leaveWindow(node))) {
      take(node.blocks, windows);
      hold(node, slabs, true);
      node.windowed = true;
    }
  }

  /**
   * Takes from a sequence that ends what it has in windows of the last block and those before it:
   * there is room for that now, with what it was promised.
   */
  void inherit(PrefixNode last, SharedBlocks own) {
    for (PrefixNode n = last; n.parent != null && n.depth > firstSeen(last); n = n.parent) {
      takeWindows(n, own.pages(n.depth - 1));
      grown(n);
    }
  }

  /** Takes the bytes of windows from the last block before this one that is behind its window. */
  private boolean leaveWindow(PrefixNode node) {
    int first = firstSeen(node);
    for (PrefixNode n = node.parent; n != null; n = n.parent) {
      if (n.depth < first && n.windowed && n.users == 0 && n.children == 1) {
        dropWindows(n);
        return pages.tryReserve(node.blocks.windows);
      }
    }
    return false;
  }

  /** Blocks of which the token after this one sees nothing in layers with a window. */
  private static int firstSeen(PrefixNode node) {
    KvLayout layout = node.blocks.pool.layout();
    int page = layout.pageTokens();
    return Math.max(0, node.depth * page - layout.longestWindow() + 1) / page;
  }

  private void hold(PrefixNode node, int[] slabs, boolean windows) {
    for (int i = 0; i < slabs.length; i++) {
      if (node.blocks.inWindow[i] == windows) {
        node.blocks.pool.share(i, slabs[i]);
        node.slabs[i] = slabs[i];
      }
    }
  }

  /**
   * Holds the checkpoint at a block's end too, if there is room for it.
   *
   * @param slab its page, which a sequence has; -1 if it has none
   * @param exact whether the sequence has computed it as a prompt that depends on no other
   */
  void keep(PrefixNode node, int slab, boolean exact) {
    SortedMap<Long, Long> one = node.blocks.checkpoint;
    if (slab < 0 || node.checkpoint >= 0 || (node.exact && !exact)) {
      return;
    }
    boolean reserved = reserve(one, node);
    PrefixNode least = reserved ? null : leastMissed(node);
    if (least != null) {
      dropCheckpoint(least);
      reserved = pages.tryReserve(one);
    }
    if (reserved) {
      take(node.blocks, one);
      pages.arena(one.firstKey()).share(slab);
      node.checkpoint = slab;
      grown(node);
    }
  }

  private void grown(PrefixNode node) {
    if (store != null) {
      backlog.add(node);
    }
  }

  /** The store that has blocks beyond its memory; null if there is none. */
  @Nullable PrefixStore store() {
    return store;
  }

  /** The blocks that its store has not got yet. */
  public PrefixBacklog backlog() {
    return backlog;
  }

  /**
   * The block before this one whose checkpoint is the least missed: of those that nobody has gone
   * on from, if there are any; null if others part, or end, at all of them.
   */
  private static @Nullable PrefixNode leastMissed(PrefixNode node) {
    List<PrefixNode> held = new ArrayList<>();
    for (PrefixNode n = node.parent; n != null; n = n.parent) {
      if (n.checkpoint >= 0 && n.users == 0 && n.children == 1) {
        held.addFirst(n);
      }
    }
    List<PrefixNode> fresh = held.stream().filter(n -> !n.goneOnFrom).toList();
    List<PrefixNode> of = fresh.isEmpty() ? held : fresh;
    List<Integer> depths = of.stream().map(n -> n.depth).toList();
    return of.isEmpty() ? null : of.get(Checkpoints.leastMissed(depths, node.depth));
  }

  /** Takes the bytes of pages, if they are free or blocks can go for them that nobody uses. */
  private boolean reserve(SortedMap<Long, Long> slabs, PrefixNode but) {
    if (slabs.isEmpty()) {
      return false;
    }
    boolean reserved = pages.tryReserve(slabs);
    while (!reserved && !idle.isEmpty() && idlest() != but) {
      drop(idlest());
      reserved = pages.tryReserve(slabs);
    }
    return reserved;
  }

  /** The block that goes next: what the store has can be had again. */
  private PrefixNode idlest() {
    if (store != null) {
      for (PrefixNode node : idle.values()) {
        if (!node.isUnsaved()) {
          return node;
        }
      }
    }
    return idle.firstEntry().getValue();
  }

  /** Bytes of slabs as such: that a lease is of whole pages is not the tree's to pay. */
  private static long bytes(SortedMap<Long, Long> slabs) {
    return slabs.entrySet().stream()
        .mapToLong(e -> SlabArena.stride(e.getKey()) * e.getValue())
        .sum();
  }

  PrefixNode pin(PrefixNode node) {
    if (node.users++ == 0) {
      idle.remove(node.used, node);
    }
    return node;
  }

  /** A sequence shares this block no more, and used those before it just now. */
  void unpin(PrefixNode node) {
    node.users--;
    // The end of a chain is older than its beginning, which is of use to more sequences.
    for (PrefixNode n = node; n != null; n = n.parent) {
      n.used = ++clock;
    }
    putIfIdle(node);
  }

  /** Keeps a block that nobody uses and none follows, as long as it is of use. */
  private void putIfIdle(PrefixNode node) {
    if (node.users > 0 || node.children > 0) {
      return;
    }
    if (node.parent == null) {
      roots.remove(new Origin(node.blocks.pool.layout(), node.blocks.salt));
    } else if (node.hasState()) {
      idle.put(node.used, node);
    } else {
      drop(node);
    }
  }

  /**
   * Pages that {@link #drop} could give up, by size, if these shared nothing any more.
   *
   * @param unused what some of the sequences share
   */
  public SortedMap<Long, Long> droppable(Collection<SharedPrefix> unused) {
    Map<PrefixNode, Integer> fewer = new HashMap<>();
    unused.forEach(prefix -> fewer.merge(prefix.last(), 1, Integer::sum));
    Set<PrefixNode> kept = new HashSet<>();
    SortedMap<Long, Long> slabs = new TreeMap<>();
    for (PrefixNode node : all()) {
      if (node.users > fewer.getOrDefault(node, 0)) {
        for (PrefixNode n = node; n != null && kept.add(n); n = n.parent) {
          // Those before it stay with it.
        }
      }
    }
    for (PrefixNode node : all()) {
      if (!kept.contains(node)) {
        node.blocks.full.forEach((size, n) -> slabs.merge(size, n, Long::sum));
      }
      if (node.windowed) {
        node.blocks.windows.forEach((size, n) -> slabs.merge(size, n, Long::sum));
      }
      if (node.checkpoint >= 0) {
        node.blocks.checkpoint.forEach((size, n) -> slabs.merge(size, n, Long::sum));
      }
    }
    return slabs;
  }

  private List<PrefixNode> all() {
    List<PrefixNode> all = new ArrayList<>();
    for (PrefixNode chain : nodes.values()) {
      for (PrefixNode n = chain; n != null; n = n.next) {
        all.add(n);
      }
    }
    return all;
  }

  /**
   * Gives up blocks that no sequence shares, and then pages that sharing sequences do not need.
   *
   * @param bytes bytes to give back, if there are as many
   * @return bytes given back; they are free for others once the pool is compacted
   */
  public long drop(long bytes) {
    long given = 0;
    while (given < bytes && !idle.isEmpty()) {
      given += drop(idlest());
    }
    if (given < bytes) {
      // What others went on from they may again, and what comes last in a chain can be of use to
      // one that follows it; the rest hardly.
      List<PrefixNode> held = all();
      held.removeIf(n -> !n.windowed && n.checkpoint < 0);
      held.sort(
          Comparator.<PrefixNode>comparingInt(n -> n.goneOnFrom ? 1 : 0)
              .thenComparingInt(n -> n.children > 0 ? 0 : 1)
              .thenComparingLong(n -> n.used));
      for (int i = 0; i < held.size() && given < bytes; i++) {
        given += dropBeside(held.get(i));
      }
    }
    return given;
  }

  /** Bytes of the pages that it holds for one salt. */
  public long bytes(String salt) {
    return roots.entrySet().stream()
        .filter(root -> root.getKey().salt.equals(salt))
        .mapToLong(root -> root.getValue().blocks.held)
        .sum();
  }

  /** Gives up blocks of one salt that no sequence shares; see {@link #drop(long)}. */
  public long drop(String salt, long bytes) {
    long given = 0;
    while (given < bytes) {
      PrefixNode oldest =
          idle.values().stream().filter(n -> n.blocks.salt.equals(salt)).findFirst().orElse(null);
      if (oldest == null) {
        break;
      }
      given += drop(oldest);
    }
    return given;
  }

  /** Gives up a block, and those before it that are of no use without it. */
  private long drop(PrefixNode last) {
    idle.remove(last.used, last);
    long bytes = 0;
    PrefixNode node = last;
    do {
      PrefixNode parent = node.parent;
      if (parent == null) {
        throw new IllegalStateException("A root is not dropped");
      }
      unlink(node);
      node.gone = true;
      size--;
      parent.children--;
      bytes += dropBeside(node) + giveUp(node, false);
      node = parent;
    } while (node.parent != null && node.users == 0 && node.children == 0 && !node.hasState());
    putIfIdle(node);
    return bytes;
  }

  /** Gives up what can be had without the block: pages of windows, and its checkpoint. */
  private long dropBeside(PrefixNode node) {
    long bytes = node.windowed ? dropWindows(node) : 0;
    return bytes + (node.checkpoint >= 0 ? dropCheckpoint(node) : 0);
  }

  private long dropCheckpoint(PrefixNode node) {
    SortedMap<Long, Long> one = node.blocks.checkpoint;
    pages.arena(one.firstKey()).release(node.checkpoint);
    node.checkpoint = -1;
    return unreserve(node.blocks, one);
  }

  private void unlink(PrefixNode node) {
    PrefixNode first = nodes.get(node.key);
    if (first == node) {
      if (node.next == null) {
        nodes.remove(node.key);
      } else {
        nodes.put(node.key, node.next);
      }
      return;
    }
    for (PrefixNode n = first; n != null; n = n.next) {
      if (n.next == node) {
        n.next = node.next;
      }
    }
  }

  private long dropWindows(PrefixNode node) {
    node.windowed = false;
    return giveUp(node, true);
  }

  private long giveUp(PrefixNode node, boolean windows) {
    for (int i = 0; i < node.slabs.length; i++) {
      if (node.blocks.inWindow[i] == windows) {
        node.blocks.pool.release(i, node.slabs[i]);
        node.slabs[i] = -1;
      }
    }
    return unreserve(node.blocks, windows ? node.blocks.windows : node.blocks.full);
  }

  private void take(PrefixNode.Blocks blocks, SortedMap<Long, Long> slabs) {
    long bytes = bytes(slabs);
    pages.account().move(bytes, account);
    blocks.held += bytes;
  }

  private long unreserve(PrefixNode.Blocks blocks, SortedMap<Long, Long> slabs) {
    long bytes = bytes(slabs);
    blocks.held -= bytes;
    account.move(bytes, pages.account());
    pages.unreserve(slabs);
    return bytes;
  }

  /** Gives up all blocks; no sequence may share any. */
  @Override
  public void close() {
    drop(Long.MAX_VALUE);
    if (size > 0) {
      throw new IllegalStateException(
          "Prefix tree closed while %,d of its blocks are shared".formatted(size));
    }
  }

  /** The blocks up to one, in order: their pages. */
  static IntFunction<int[]> path(PrefixNode node) {
    int[][] slabs = new int[node.depth][];
    for (PrefixNode n = node; n.parent != null; n = n.parent) {
      slabs[n.depth - 1] = n.slabs;
    }
    return b -> slabs[b];
  }
}

package dev.knapsack.cache;

import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.error.SpillException;
import dev.knapsack.kernel.WorkerTeam;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Lease;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collection;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * The pool of what sequences of one model and layout need: pages, which pools of other layouts may
 * share, and what has been said of the model.
 *
 * <p>Safe for use by many threads. Closing it takes the pages of caches that are still open.
 */
public final class KvPool implements AutoCloseable {
  private final KvLayout layout;
  private final PagePool pages;

  /** The arena of each page of a block, by layer and head. */
  private final SlabArena[] blockArenas;

  private volatile @Nullable BitSet sentenceEnds;

  /** The threads that do what policies do to caches; null for the one that asks for it. */
  private volatile @Nullable WorkerTeam workers;

  /** By layer and KV head. */
  private volatile List<List<HeadBases.Head>> bases = List.of();

  /** A pool without pages yet, which may take all of the budget. */
  public KvPool(KvLayout layout, Account account) {
    this(layout, account, Path.of(System.getProperty("java.io.tmpdir")));
  }

  /**
   * A pool without pages yet, which may take all of the budget.
   *
   * @param folder where tokens go that the layout does not keep in memory
   * @throws SpillException if there are such, and they cannot be kept there
   */
  public KvPool(KvLayout layout, Account account, Path folder) {
    this(layout, new PagePool(account, account.budget().total(), account, folder));
  }

  /**
   * A pool without pages yet, whose sequences all have {@linkplain #promise promises}.
   *
   * @param most bytes that may be promised
   * @param folder where tokens go that the layout does not keep in memory
   * @throws SpillException if there are such, and they cannot be kept there
   */
  public KvPool(KvLayout layout, Account account, long most, Path folder) {
    this(layout, PagePool.promised(account, most, folder));
  }

  KvPool(KvLayout layout, PagePool pages) {
    this.layout = layout;
    this.pages = pages;
    this.blockArenas = blockArenas(layout, pages);
    if (layout.usesDisk()) {
      pages.spillFolder();
    }
  }

  private static SlabArena[] blockArenas(KvLayout layout, PagePool pages) {
    List<SlabArena> arenas = new ArrayList<>();
    for (int l = 0; l < layout.layers().size(); l++) {
      for (int h = 0; h < layout.heads(l).kvHeads(); h++) {
        arenas.add(pages.arena(layout.stored(l).pageBytes()));
      }
    }
    return arenas.toArray(SlabArena[]::new);
  }

  /**
   * A pool for sequences of the same model in another layout, which share the pages of this one,
   * what may be promised, and what has been said of the model. It is not to be closed, and of no
   * use once this one is.
   *
   * @throws SpillException if the layout does not keep all tokens in memory, and they cannot be
   *     kept on disk
   */
  public KvPool beside(KvLayout other) {
    KvPool pool = new KvPool(other, pages);
    pool.likewise(this);
    if (other.policy().bounds().bases().isEmpty()) {
      pool.bases = List.of();
    }
    return pool;
  }

  public KvLayout layout() {
    return layout;
  }

  PagePool pages() {
    return pages;
  }

  Account account() {
    return pages.account();
  }

  /** The state of a new sequence, without tokens yet, that has all to itself. */
  public SequenceState sequence() {
    return sequence(KvShare.NONE);
  }

  /**
   * The state of a new sequence, without tokens yet.
   *
   * @param share what others are to pay for
   */
  public SequenceState sequence(KvShare share) {
    return new SequenceState(this, share);
  }

  /** A new empty cache of one sequence. */
  public KvCache cache() {
    return new KvCache(this);
  }

  /**
   * Takes the bytes of all pages that a sequence will need, so that it gets them whatever others
   * do.
   *
   * @param tokens tokens that it may have
   * @param step tokens by which it grows at most
   * @param shared what of it a prefix tree pays for
   * @throws BudgetExceededException if they do not fit, after all reclaimers were asked
   * @throws SpillException if the disk has no room for what is to go there
   */
  public KvPromise promise(int tokens, int step, KvShare shared) {
    if (layout.usesDisk()) {
      pages.spillFolder().promise(layout.diskBytes(tokens));
    }
    @Nullable Lease beside = null;
    try {
      beside = pages.reserveBeside(layout.besidePages(tokens, step));
      pages.reserve(layout.slabs(tokens, step, shared));
      return new KvPromise(this, beside, tokens, step, shared);
    } catch (RuntimeException | Error e) {
      giveBack(beside, tokens);
      throw e;
    }
  }

  /** Takes back what a promise for so many tokens has beside pages. */
  void giveBack(@Nullable Lease beside, int tokens) {
    if (layout.usesDisk()) {
      pages.spillFolder().giveBack(layout.diskBytes(tokens));
    }
    if (beside != null) {
      pages.unreserveBeside(beside);
    }
  }

  /** Bytes of such a promise. */
  public long bytes(int tokens, int step, KvShare shared) {
    return layout.besidePages(tokens, step) + SlabArena.bytes(layout.slabs(tokens, step, shared));
  }

  /** Says whether such a promise would keep within what this pool may have. */
  public boolean hasRoom(int tokens, int step, KvShare shared) {
    return pages.hasRoom(layout.slabs(tokens, step, shared), layout.besidePages(tokens, step));
  }

  /**
   * Refuses {@linkplain #promise promises} at once that do not fit even if all reclaimers give back
   * what they can, before any of them does.
   *
   * @param shared what of each sequence a prefix tree pays for
   * @throws BudgetExceededException if memory has no room for them
   * @throws SpillException if the disk has no room for what is to go there
   */
  public void checkRoom(int tokens, int step, List<KvShare> shared) {
    long wanted = shared.size() * layout.besidePages(tokens, step);
    SortedMap<Long, Long> slabs = new TreeMap<>();
    for (KvShare share : shared) {
      layout.slabs(tokens, step, share).forEach((size, n) -> slabs.merge(size, n, Long::sum));
    }
    wanted += pages.change(slabs, 1);
    account().checkRoom(wanted);
    if (layout.usesDisk()) {
      pages.spillFolder().checkRoom(shared.size() * layout.diskBytes(tokens));
    }
  }

  /**
   * Bytes that the budget would have back, once this pool is compacted, without these promises, of
   * this layout and others that share its pages, and without these pages of a prefix tree.
   */
  public long given(Collection<KvPromise> promises, SortedMap<Long, Long> dropped) {
    return pages.given(promises, dropped);
  }

  /** Pages of a block of tokens: one for each head of each layer. */
  int blockPages() {
    return blockArenas.length;
  }

  /** Takes a page of a block, with one holder; see {@link SlabArena#allocate}. */
  int allocate(int page) {
    return blockArenas[page].allocate();
  }

  /** The memory of a page of a block, until the next {@link #compact}. */
  MemorySegment page(int page, int slab) {
    return blockArenas[page].slab(slab);
  }

  /** Adds a holder to a page of a block. */
  void share(int page, int slab) {
    blockArenas[page].share(slab);
  }

  /** Takes a holder from a page of a block. */
  void release(int page, int slab) {
    blockArenas[page].release(slab);
  }

  SlabArena arena(HeadForm form) {
    return pages.arena(form.pageBytes());
  }

  /**
   * Memory beside pages: for attention weights that a policy wants, for states, or for what comes
   * back from disk; where sequences have promises, it is a part of those.
   */
  Lease besidePages(long bytes) {
    return pages.besidePages(bytes);
  }

  /** Bytes of pages leased now: of those that are in use, and of those that are promised. */
  public long leasedBytes() {
    return pages.leasedBytes();
  }

  /** Pages in use now, each counted once however many hold it. */
  public long livePages() {
    return pages.livePages();
  }

  /**
   * Moves pages together, so that the bytes of all that were freed go back to the account and to
   * the operating system. No cache may be used meanwhile, nor a view of one that was made before.
   */
  public void compact() {
    pages.compact();
  }

  /**
   * Says which tokens of the vocabulary end a sentence, for a policy that {@linkplain
   * KvPolicy#wantsSentences asks for that}.
   */
  public void sentenceEnds(@Nullable BitSet tokens) {
    sentenceEnds = tokens;
  }

  /** Those; null if nobody has said so. */
  public @Nullable BitSet sentenceEnds() {
    return sentenceEnds;
  }

  /**
   * Says who shares the work of policies on caches; nothing but time depends on it. What settles a
   * cache is no part of a task of theirs then.
   */
  public void workers(WorkerTeam team) {
    workers = team;
  }

  /** Goes by what has been said to another pool of the same model, before there is a cache. */
  public void likewise(KvPool other) {
    sentenceEnds = other.sentenceEnds;
    workers = other.workers;
    bases = other.bases;
  }

  /** Does a task for each of {@code count} numbers, by those. */
  void forEach(int count, IntConsumer task) {
    WorkerTeam team = workers;
    if (team == null || count < 2) {
      for (int i = 0; i < count; i++) {
        task.accept(i);
      }
    } else {
      team.run(count, (part, parts, worker) -> task.accept(part));
    }
  }

  /**
   * Says how heads are reduced, for a policy that has {@linkplain KvBounds#bases bases}: before
   * there is a cache.
   *
   * @param heads by layer and KV head; there as long as the pool is
   */
  public void bases(List<List<HeadBases.Head>> heads) {
    bases = heads;
  }

  HeadBases.@Nullable Head bases(int layer, int kvHead) {
    List<List<HeadBases.Head>> all = bases;
    return all.isEmpty() || all.get(layer).isEmpty() ? null : all.get(layer).get(kvHead);
  }

  SpillFolder spillFolder() {
    return pages.spillFolder();
  }

  @Override
  public void close() {
    pages.close();
  }
}

package dev.knapsack.cache;

import dev.knapsack.kernel.KvSpan;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * What one KV head of one sequence has cached: tokens in the layout's formats, and perhaps the last
 * ones in full precision.
 */
final class HeadCache {
  private final HeadPages stored;
  private final @Nullable HeadPages recent;
  private final int recentTokens;

  /** What a policy remembers of each token. */
  private float[] scores = {};

  HeadCache(KvPool pool, int layer) {
    KvLayout layout = pool.layout();
    stored = new HeadPages(pool, layout.stored(layer));
    recent = layout.recent() > 0 ? new HeadPages(pool, layout.full(layer)) : null;
    recentTokens = layout.recent();
  }

  private HeadCache(HeadCache other) {
    stored = other.stored.fork();
    recent = other.recent == null ? null : other.recent.fork();
    recentTokens = other.recentTokens;
    scores = other.scores.clone();
  }

  HeadCache fork() {
    return new HeadCache(this);
  }

  /** Where new tokens go. */
  private HeadPages end() {
    return recent == null ? stored : recent;
  }

  /** Tokens that are held. */
  int count() {
    return stored.count() + (recent == null ? 0 : recent.count());
  }

  /** The first position that is held, or would be next. */
  int start() {
    return stored.count() > 0 || recent == null ? stored.start() : recent.start();
  }

  void reserve(int position, int tokens) {
    end().reserve(position, tokens);
  }

  /** See {@link HeadPages#write}; {@code after} counts from the tokens that are held. */
  void write(int after, MemorySegment keys, long key, MemorySegment values, long value) {
    HeadPages end = end();
    end.write(end.count() + after, keys, key, values, value);
  }

  void commit(int tokens) {
    end().commit(tokens);
  }

  /** Gives back room that was reserved and not used. */
  void trim() {
    end().trim();
  }

  void truncate(int position) {
    int before = count();
    stored.truncate(position);
    if (recent != null) {
      recent.truncate(position);
    }
    forgetScores(count(), before);
  }

  private void forgetScores(int from, int to) {
    if (from < scores.length) {
      Arrays.fill(scores, from, Math.min(to, scores.length), 0);
    }
  }

  void clear() {
    forgetScores(0, count());
    stored.clear();
    if (recent != null) {
      recent.clear();
    }
  }

  /** Gives back pages that hold nothing at or after {@code position}. */
  void freeBefore(int position) {
    drop(stored, position);
    if (recent != null) {
      drop(recent, position);
    }
  }

  private static void drop(HeadPages pages, int position) {
    int gone = pages.view(0).before(position) / pages.form().pageTokens();
    if (gone > 0) {
      pages.dropPages(gone);
    }
  }

  /** The page that holds a block of tokens in the layout's formats; see {@link HeadPages#page}. */
  int page(int block) {
    return stored.page(block);
  }

  /** See {@link HeadPages#replace}. */
  void replace(int block, int slab) {
    stored.replace(block, slab);
  }

  /** Adds a full page that follows what is stored; nothing may be recent. */
  void adopt(int slab, int position) {
    stored.adopt(slab, position);
  }

  /** Encodes the oldest recent tokens in the layout's formats, page by page. */
  void encode() {
    if (recent == null) {
      return;
    }
    int page = recent.form().pageTokens();
    while (recent.count() - page >= recentTokens) {
      stored.take(recent, page);
      recent.dropPages(1);
    }
  }

  /** Copies the oldest pages as they are, and gives them back. */
  void moveOut(int pages, MemorySegment into, long at) {
    stored.copyPages(pages, into, at);
    stored.dropPages(pages);
  }

  /** Takes pages, as {@link #moveOut} copied them, where there are none. */
  void moveIn(int position, int pages, MemorySegment from, long at) {
    stored.takePages(position, pages, from, at);
  }

  /** Tokens in the layout's formats. */
  int storedCount() {
    return stored.count();
  }

  /** What attention reads; see {@link HeadPages#view}. */
  KvSpan[] spans(int appended) {
    if (recent == null) {
      return new KvSpan[] {stored.view(appended)};
    }
    if (recent.count() + appended == 0) {
      return new KvSpan[] {stored.view(0)};
    }
    if (stored.count() == 0) {
      return new KvSpan[] {recent.view(appended)};
    }
    return new KvSpan[] {stored.view(0), recent.view(appended)};
  }

  /** Where the token {@code i} of all that are held stands. */
  int position(int i) {
    return i < stored.count() || recent == null
        ? stored.position(i)
        : recent.position(i - stored.count());
  }

  /** Decodes the key or the value of the token {@code i} of all that are held. */
  void read(int i, boolean key, float[] out) {
    if (i < stored.count() || recent == null) {
      stored.read(i, key, out);
    } else {
      recent.read(i - stored.count(), key, out);
    }
  }

  /** See {@link CachedHead#scores}. */
  float[] scores(int tokens) {
    if (scores.length < tokens) {
      scores = Arrays.copyOf(scores, Math.max(tokens, 2 * scores.length));
    }
    return scores;
  }

  /** Whether tokens between the first and the last were evicted. */
  boolean hasGaps() {
    return count() > 0 && position(count() - 1) - position(0) != count() - 1;
  }

  /**
   * All that is held, in order, as a store moves it.
   *
   * @param most tokens that there can be in all
   * @param disk gives those that are not in memory, and takes them; null where all are
   */
  List<KvPart> parts(int most, @Nullable Function<HeadPages, SpilledHead> disk) {
    KvPart earlier = new KvPart(stored, most, disk == null ? null : disk.apply(stored));
    return recent == null
        ? List.of(earlier)
        : List.of(
            earlier, new KvPart(recent, Math.min(most, recentTokens + recent.form().pageTokens())));
  }

  /** Keeps the tokens at these places alone, counted over all that is held, ascending. */
  void retain(int[] kept) {
    int before = count();
    int scored = 0;
    for (; scored < kept.length && kept[scored] < scores.length; scored++) {
      scores[scored] = scores[kept[scored]];
    }
    forgetScores(scored, before);
    int split = 0;
    while (split < kept.length && kept[split] < stored.count()) {
      split++;
    }
    int[] later = new int[kept.length - split];
    for (int i = 0; i < later.length; i++) {
      later[i] = kept[split + i] - stored.count();
    }
    int[] earlier = Arrays.copyOf(kept, split);
    stored.retain(earlier);
    if (recent != null) {
      recent.retain(later);
    }
  }
}

package dev.knapsack.cache;

import dev.knapsack.kernel.KvSpan;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * The cached tokens of one KV head of one sequence: in the layout's formats, perhaps the last ones
 * in full precision, and perhaps some that count less in coarser formats.
 *
 * <p>A place counts the coarse ones first, then the stored and then the recent ones, each in the
 * order of their positions.
 */
final class HeadCache {
  private final @Nullable HeadTokens coarse;
  private final HeadTokens stored;
  private final @Nullable HeadTokens recent;
  private final int recentTokens;

  /** The numbers that the policy remembers of tokens; null where there are none. */
  private final @Nullable HeadNumbers numbers;

  HeadCache(KvPool pool, int layer, int kvHead) {
    KvLayout layout = pool.layout();
    HeadBases.Head bases = pool.bases(layer, kvHead);
    coarse = layout.coarse(layer).map(form -> new HeadTokens(pool, form, bases)).orElse(null);
    stored = new HeadTokens(pool, layout.stored(layer));
    recent = layout.recent() > 0 ? new HeadTokens(pool, layout.full(layer)) : null;
    recentTokens = layout.recent();
    numbers = layout.numbers(layer).map(form -> new HeadNumbers(pool, form)).orElse(null);
  }

  private HeadCache(HeadCache other) {
    coarse = other.coarse == null ? null : other.coarse.fork();
    stored = other.stored.fork();
    recent = other.recent == null ? null : other.recent.fork();
    recentTokens = other.recentTokens;
    numbers = other.numbers == null ? null : other.numbers.fork();
  }

  HeadCache fork() {
    return new HeadCache(this);
  }

  /** The tokens that new ones follow. */
  private HeadTokens end() {
    return recent == null ? stored : recent;
  }

  /** Tokens that are held. */
  int count() {
    return coarseCount() + stored.count() + (recent == null ? 0 : recent.count());
  }

  /** Of these, those of coarser formats: the first places. */
  int coarseCount() {
    return coarse == null ? 0 : coarse.count();
  }

  /** The first position that is held, or would be next. */
  int start() {
    if (coarseCount() > 0) {
      return Math.min(coarse().position(0), startOfStored());
    }
    return startOfStored();
  }

  /** Tokens of coarser formats. */
  HeadTokens coarse() {
    if (coarse == null) {
      throw new IllegalStateException("The policy keeps no tokens in coarser formats");
    }
    return coarse;
  }

  private int startOfStored() {
    return stored.count() > 0 || recent == null ? stored.start() : recent.start();
  }

  void reserve(int position, int tokens) {
    forgetNumbers(count()); // of a step that failed
    end().reserve(position, tokens);
  }

  /** See {@link HeadTokens#write}; {@code after} counts from the tokens that are held. */
  void write(int after, MemorySegment keys, long key, MemorySegment values, long value) {
    HeadTokens end = end();
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
    if (coarse != null) {
      coarse.truncate(position);
    }
    stored.truncate(position);
    if (recent != null) {
      recent.truncate(position);
    }
    forgetNumbers(count());
  }

  /** Forgets what the policy remembers of tokens from a place on. */
  void forgetNumbers(int from) {
    if (numbers != null) {
      numbers.truncate(from);
    }
  }

  void clear() {
    forgetNumbers(0);
    if (coarse != null) {
      coarse.clear();
    }
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

  private static void drop(HeadTokens tokens, int position) {
    int gone = tokens.view(0).before(position) / tokens.form().pageTokens();
    if (gone > 0) {
      tokens.dropPages(gone);
    }
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

  /** See {@link CachedHead#spillable}: how many tokens are not in the form of recent ones. */
  int settledCount() {
    return coarseCount() + stored.count();
  }

  /** Tokens in the layout's formats. */
  HeadTokens stored() {
    return stored;
  }

  /** The spans that attention reads; see {@link HeadTokens#view}. */
  KvSpan[] spans(int appended) {
    List<KvSpan> spans = new ArrayList<>();
    if (coarseCount() > 0) {
      spans.add(coarse().view(0));
    }
    int inStored = recent == null ? appended : 0;
    if (stored.count() + inStored > 0) {
      spans.add(stored.view(inStored));
    }
    if (recent != null && recent.count() + appended > 0) {
      spans.add(recent.view(appended));
    }
    if (spans.isEmpty()) {
      spans.add(stored.view(0));
    }
    return spans.toArray(KvSpan[]::new);
  }

  /** The tokens of one form among which the one at a place is. */
  private HeadTokens among(int place) {
    if (place < coarseCount()) {
      return coarse();
    }
    return recent == null || place - coarseCount() < stored.count() ? stored : recent;
  }

  /** Its number among those. */
  private int index(int place) {
    HeadTokens tokens = among(place);
    return place - (tokens == coarse ? 0 : coarseCount()) - (tokens == recent ? stored.count() : 0);
  }

  /** The position in the sequence of the token at a place. */
  int position(int place) {
    return among(place).position(index(place));
  }

  /** Decodes the key or the value of the token at a place. */
  void read(int place, boolean key, float[] out) {
    among(place).read(index(place), key, out);
  }

  /** Decodes the keys or the values of the tokens at the places of {@code [from, to)}. */
  void read(int from, int to, boolean key, float[] out) {
    int size = key ? stored.form().keySize() : stored.form().valueSize();
    for (int place = from; place < to; ) {
      HeadTokens tokens = among(place);
      int index = index(place);
      int count = Math.min(to - place, tokens.count() - index);
      tokens.read(index, index + count, key, out, (place - from) * size, size);
      place += count;
    }
  }

  /** Encodes another key and value for the token at a place. */
  void put(int place, float[] key, float[] value) {
    among(place).put(index(place), key, value);
  }

  /**
   * Encodes tokens in the coarser formats.
   *
   * @param places of tokens that are not in those yet, ascending
   */
  void requantise(int[] places) {
    int[] order = order(places);
    coarse().merge(this, places);
    int before = coarseCount() - places.length;
    retainFine(complement(places, before, order.length), before);
    if (numbers != null) {
      numbers.order(order);
    }
  }

  /** The place now of the token that will be at each place, once these are coarse. */
  private int[] order(int[] places) {
    int[] order = new int[count()];
    int old = 0;
    int next = 0;
    while (old < coarseCount() || next < places.length) {
      boolean isOld =
          next == places.length || (old < coarseCount() && position(old) < position(places[next]));
      order[old + next] = isOld ? old : places[next];
      old += isOld ? 1 : 0;
      next += isOld ? 0 : 1;
    }
    int[] others = complement(places, coarseCount(), order.length);
    System.arraycopy(others, 0, order, order.length - others.length, others.length);
    return order;
  }

  /** All places of {@code [from, to)} but these. */
  private static int[] complement(int[] places, int from, int to) {
    int[] others = new int[to - from - places.length];
    int n = 0;
    int next = 0;
    for (int i = from; i < to; i++) {
      if (next < places.length && places[next] == i) {
        next++;
      } else {
        others[n++] = i;
      }
    }
    return others;
  }

  /** The numbers that the policy remembers of tokens, by place. */
  HeadNumbers numbers() {
    if (numbers == null) {
      throw new IllegalStateException(
          "The policy does not say that it remembers numbers of tokens");
    }
    return numbers;
  }

  /** Says whether tokens between the first and the last were evicted. */
  boolean hasGaps() {
    if (coarseCount() > 0) {
      return true; // which tokens are coarse depends on what came after
    }
    return count() > 0 && position(count() - 1) - position(0) != count() - 1;
  }

  /**
   * All that is held, in order, as a store moves it.
   *
   * @param most tokens that there can be in all
   * @param disk gives those that are not in memory, and takes them; null where all are
   */
  List<KvPart> parts(int most, @Nullable Function<HeadTokens, SpilledHead> disk) {
    List<KvPart> parts = new ArrayList<>();
    if (coarse != null) {
      parts.add(new KvPart(coarse, most));
    }
    parts.add(new KvPart(stored, most, disk == null ? null : disk.apply(stored)));
    if (recent != null) {
      parts.add(new KvPart(recent, Math.min(most, recentTokens + recent.form().pageTokens())));
    }
    return parts;
  }

  /** Keeps the tokens at these places alone, ascending. */
  void retain(int[] kept) {
    if (numbers != null) {
      numbers.order(kept);
    }
    int coarseBefore = coarseCount();
    int split = 0;
    while (split < kept.length && kept[split] < coarseBefore) {
      split++;
    }
    if (coarse != null) {
      coarse.retain(Arrays.copyOf(kept, split));
    }
    retainFine(Arrays.copyOfRange(kept, split, kept.length), coarseBefore);
  }

  /**
   * Keeps these alone of the tokens that are not coarse.
   *
   * @param first the place of the first of those
   */
  private void retainFine(int[] kept, int first) {
    int split = 0;
    while (split < kept.length && kept[split] - first < stored.count()) {
      split++;
    }
    int[] earlier = new int[split];
    Arrays.setAll(earlier, i -> kept[i] - first);
    int[] later = new int[kept.length - split];
    int afterStored = first + stored.count();
    int from = split;
    Arrays.setAll(later, i -> kept[from + i] - afterStored);
    stored.retain(earlier);
    if (recent != null) {
      recent.retain(later);
    }
  }
}

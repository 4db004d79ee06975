package dev.knapsack.cache;

import dev.knapsack.kernel.KvSpan;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;

/**
 * The units of one KV head that are on disk: of each its mean key, its tokens' number and where it
 * lies; and the tokens of those that have been read back.
 */
final class HeadUnits {
  private final HeadForm form;

  /** The mean key of each unit. */
  private final HeadTokens keys;

  /** Tokens that have been read back, in any order: all of them stand before the next step. */
  private final HeadTokens fetched;

  /** The unit of each of those. */
  private int[] unitOf = {};

  private int count;
  private int[] tokens = {};
  private long[] at = {};

  /** Tokens that may be back at once. */
  private int room;

  /** Numbers that the policy remembers of the head as a whole. */
  private float[] numbers = {};

  HeadUnits(KvPool pool, int layer) {
    this.form = pool.layout().stored(layer);
    this.keys = new HeadTokens(pool, pool.layout().unitKeys(layer));
    this.fetched = new HeadTokens(pool, form);
  }

  private HeadUnits(HeadUnits other) {
    this.form = other.form;
    this.keys = other.keys.fork();
    this.fetched = other.fetched.fork();
    this.unitOf = other.unitOf.clone();
    this.count = other.count;
    this.tokens = other.tokens.clone();
    this.at = other.at.clone();
    this.room = other.room;
    this.numbers = other.numbers.clone();
  }

  HeadUnits fork() {
    return new HeadUnits(this);
  }

  int count() {
    return count;
  }

  int tokens(int unit) {
    return tokens[unit];
  }

  /** The place of a unit in the file. */
  long at(int unit) {
    return at[unit];
  }

  /** Bytes of a unit. */
  long bytes(int unit) {
    return bytes(form, tokens[unit]);
  }

  static long bytes(HeadForm form, int tokens) {
    return tokens * form.tokenBytes();
  }

  void room(int mayBeBack) {
    room = mayBeBack;
  }

  int room() {
    return room;
  }

  float[] numbers(int size) {
    if (numbers.length < size) {
      numbers = Arrays.copyOf(numbers, size);
    }
    return numbers;
  }

  void key(int unit, float[] out) {
    keys.read(unit, true, out);
  }

  /** Tokens that have been read back. */
  int fetched() {
    return fetched.count();
  }

  /** Bytes of the pages that hold them. */
  long fetchedBytes() {
    return form.pages(fetched.count()) * form.pageBytes();
  }

  /** Counts a unit that has been written. */
  void add(int unitTokens, long where, float[] meanKey) {
    keys.reserve(count, 1);
    keys.commit(1);
    keys.put(count, meanKey, new float[0]);
    if (count == tokens.length) {
      tokens = Arrays.copyOf(tokens, Math.max(16, 2 * count));
      at = Arrays.copyOf(at, tokens.length);
    }
    tokens[count] = unitTokens;
    at[count++] = where;
  }

  /**
   * Forgets tokens that have been read back, but for those of the best units that fit in the room.
   *
   * @param scores of each unit: more is better; of equal ones the later is
   * @param missing receives those of them that are not here
   */
  void choose(float[] scores, List<Integer> missing) {
    Integer[] order = new Integer[count];
    Arrays.setAll(order, i -> count - 1 - i);
    Arrays.sort(order, (a, b) -> Float.compare(scores[b], scores[a]));
    boolean[] wanted = new boolean[count];
    int left = room;
    for (int unit : order) {
      if (tokens[unit] <= left) {
        wanted[unit] = true;
        left -= tokens[unit];
      }
    }
    int[] kept = new int[fetched.count()];
    int n = 0;
    boolean[] here = new boolean[count];
    for (int i = 0; i < fetched.count(); i++) {
      if (wanted[unitOf[i]]) {
        here[unitOf[i]] = true;
        kept[n++] = i;
      }
    }
    if (n < kept.length) {
      for (int i = 0; i < n; i++) {
        unitOf[i] = unitOf[kept[i]];
      }
      fetched.retain(Arrays.copyOf(kept, n));
      fetched.renumber();
    }
    for (int unit = 0; unit < count; unit++) {
      if (wanted[unit] && !here[unit]) {
        missing.add(unit);
      }
    }
  }

  /** Takes a unit that has been read. */
  void take(int unit, MemorySegment from, long offset) {
    int before = fetched.count();
    fetched.reserve(before, tokens[unit]);
    fetched.copyIn(tokens[unit], from, offset);
    if (unitOf.length < fetched.count()) {
      unitOf = Arrays.copyOf(unitOf, Math.max(2 * before, fetched.count()));
    }
    Arrays.fill(unitOf, before, fetched.count(), unit);
  }

  /** The units that are here, ascending. */
  int[] here() {
    return Arrays.stream(unitOf, 0, fetched.count()).distinct().sorted().toArray();
  }

  /**
   * The tokens that are here. Their positions are not those at which they were read, but all stand
   * before the step, and so all of its rows see them.
   */
  KvSpan view() {
    return fetched.view(0);
  }

  void clear() {
    keys.clear();
    fetched.clear();
    count = 0;
    Arrays.fill(numbers, 0);
  }
}

package dev.knapsack.cache;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * The numbers that a policy remembers of each token of one KV head of one sequence, by its place,
 * in pages of the pool as keys and values are. Nothing is leased for what was never remembered.
 */
final class HeadNumbers {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  private final HeadForm form;
  private final Pages pages;

  /** Of each number, how many tokens have something else than 0. */
  private final int[] known;

  /** For {@link KvLayout#numbers(int)} of a layer, which are some. */
  HeadNumbers(KvPool pool, HeadForm form) {
    this.form = form;
    this.pages = new Pages(pool.arena(form));
    this.known = new int[form.keySize()];
  }

  private HeadNumbers(HeadNumbers other) {
    form = other.form;
    pages = other.pages.fork(other.pages.count());
    known = other.known.clone();
  }

  HeadNumbers fork() {
    return new HeadNumbers(this);
  }

  /** One number of each of the first {@code tokens} tokens: a copy. */
  float[] get(int which, int tokens) {
    float[] out = new float[tokens];
    int count = Math.min(tokens, known[which]);
    pages.locate();
    for (int i = 0; i < count; i += form.pageTokens()) {
      int n = Math.min(form.pageTokens(), count - i);
      MemorySegment.copy(pages.memory(), FLOAT, at(which, i), out, i, n);
    }
    return out;
  }

  /**
   * Remembers one number of each of the first tokens.
   *
   * @throws dev.knapsack.error.BudgetExceededException if there is no room for more pages
   */
  void put(int which, float[] numbers) {
    pages.grow(form.pages(numbers.length));
    for (int p = 0; p < form.pages(numbers.length); p++) {
      pages.own(p);
    }
    pages.locate();
    for (int i = 0; i < numbers.length; i += form.pageTokens()) {
      int n = Math.min(form.pageTokens(), numbers.length - i);
      MemorySegment.copy(numbers, i, pages.memory(), FLOAT, at(which, i), n);
    }
    known[which] = Math.max(known[which], numbers.length);
  }

  /** The place of a number of the token {@code i}, the first of a page, and of those after it. */
  private long at(int which, int i) {
    int page = form.pageTokens();
    return pages.offsets()[i / page] + (long) Float.BYTES * which * page;
  }

  /** Puts tokens at other places: at each the one that was at the place given for it. */
  void order(int[] places) {
    for (int which = 0; which < known.length; which++) {
      if (known[which] > 0) {
        float[] before = get(which, known[which]);
        float[] after = new float[places.length];
        for (int i = 0; i < after.length; i++) {
          after[i] = places[i] < before.length ? before[places[i]] : 0;
        }
        known[which] = 0;
        put(which, after);
      }
    }
    trim();
  }

  /** Forgets the tokens from a place on. */
  void truncate(int tokens) {
    for (int which = 0; which < known.length; which++) {
      known[which] = Math.min(known[which], tokens);
    }
    trim();
  }

  private void trim() {
    pages.trim(form.pages(Arrays.stream(known).max().orElse(0)));
  }
}

package dev.knapsack.eval;

import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPool;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Lease;
import dev.knapsack.os.Footprint;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.ToLongFunction;

/**
 * The bytes that a sequence's cache takes, said and measured: a cache of the model's layout is
 * filled with tokens and given back.
 *
 * @param tokens tokens it was filled with
 * @param numbers bytes of the keys and values of one token in their formats, alone
 * @param ledger bytes that the account leased for all tokens: whole pages
 * @param resident bytes by which the process's anonymous resident set grew; 0 where the operating
 *     system does not say
 * @param left bytes that were resident still after the cache had been given back
 */
public record CacheBytes(int tokens, long numbers, long ledger, long resident, long left) {
  /** Bytes to fill an F16 cache with: much more than the JVM's own heap moves meanwhile. */
  private static final long ENOUGH = 16L << 20;

  private static final int MOST_TOKENS = 1 << 16;

  private static final int ROUNDS = 3;

  /** Bytes that the account leased for each token. */
  public double ledgerPerToken() {
    return (double) ledger / tokens;
  }

  /** Bytes by which the resident set grew with each token. */
  public double residentPerToken() {
    return (double) resident / tokens;
  }

  /** Tokens to measure caches of this shape with, in whole pages: the same for every format. */
  static int tokens(KvLayout layout) {
    long token = numbers(new KvLayout(layout.layers(), Formats.F16, Formats.F16));
    int pages = Math.clamp(ENOUGH / token / KvLayout.PAGE_TOKENS, 1, MOST_TOKENS);
    return Math.min(MOST_TOKENS, pages * KvLayout.PAGE_TOKENS);
  }

  private static long numbers(KvLayout layout) {
    long bytes = 0;
    for (int l = 0; l < layout.layers().size(); l++) {
      bytes += layout.tokenBytes(l);
    }
    return bytes;
  }

  /**
   * Fills a cache and gives it back, a few times: the medians count, because the JVM's own heap
   * grows and shrinks beside it.
   *
   * @throws dev.knapsack.error.BudgetExceededException if it does not fit; nothing is held then
   */
  static CacheBytes measure(KvLayout layout, int tokens, Account account) {
    int step = layout.pageTokens();
    int width =
        layout.heads().stream()
            .mapToInt(l -> l.kvHeads() * Math.max(l.keySize(), l.valueSize()))
            .max()
            .orElseThrow();
    try (Lease rows = account.lease(Formats.F32.bytes(width) * step)) {
      fill(rows.segment());
      List<CacheBytes> rounds = new ArrayList<>();
      for (int round = 0; round < ROUNDS; round++) {
        rounds.add(once(layout, tokens, rows.segment(), account));
      }
      return new CacheBytes(
          tokens,
          numbers(layout),
          rounds.getFirst().ledger,
          median(rounds, CacheBytes::resident),
          median(rounds, CacheBytes::left));
    }
  }

  private static CacheBytes once(KvLayout layout, int tokens, MemorySegment rows, Account account) {
    long before = anonymous();
    long used = account.used();
    long ledger;
    long resident;
    try (KvPool pool = new KvPool(layout, account);
        KvCache cache = pool.cache()) {
      for (int from = 0; from < tokens; from += layout.pageTokens()) {
        append(cache, rows, Math.min(layout.pageTokens(), tokens - from));
      }
      pool.compact();
      ledger = account.used() - used;
      resident = anonymous() - before;
    }
    long left = anonymous() - before;
    return new CacheBytes(
        tokens, numbers(layout), ledger, Math.max(0, resident), Math.max(0, left));
  }

  private static long median(List<CacheBytes> rounds, ToLongFunction<CacheBytes> figure) {
    return rounds.stream().mapToLong(figure).sorted().skip(rounds.size() / 2).findFirst().orElse(0);
  }

  private static void fill(MemorySegment rows) {
    SplittableRandom random = new SplittableRandom(1);
    for (long i = 0; i < rows.byteSize() / Float.BYTES; i++) {
      rows.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) random.nextGaussian());
    }
  }

  private static void append(KvCache cache, MemorySegment rows, int tokens) {
    cache.reserve(tokens);
    for (int l = 0; l < cache.layout().layers().size(); l++) {
      LayerLayout.Heads layer = cache.layout().heads(l);
      Format f32 = Formats.F32;
      Matrix keys = new Matrix(f32, tokens, layer.kvHeads() * layer.keySize(), rows);
      Matrix values = new Matrix(f32, tokens, layer.kvHeads() * layer.valueSize(), rows);
      cache.append(l, 0, keys, values, 0, tokens);
    }
    cache.commit(tokens);
    cache.encode();
    cache.compress();
  }

  private static long anonymous() {
    return Footprint.now().map(Footprint::anonymous).orElse(0L);
  }
}

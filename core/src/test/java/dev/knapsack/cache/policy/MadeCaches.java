package dev.knapsack.cache.policy;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.KvPool;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.cache.policy.MadeStep.Attention;
import dev.knapsack.cache.policy.MadeStep.Vectors;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.tensor.Formats;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/** Caches of a test: closed after it, when nothing may be left in their account. */
final class MadeCaches implements AfterEachCallback {
  /** Layers that see everything; another has a window. */
  static final int LAYERS = 3;

  static final int HEADS = 2;
  static final int SIZE = 8;
  static final int GROUP = 2;

  private static final LayerLayout.Heads LAYER = new LayerLayout.Heads(HEADS, SIZE, SIZE, 0, GROUP);
  private static final LayerLayout.Heads WINDOW =
      new LayerLayout.Heads(HEADS, SIZE, SIZE, 40, GROUP);

  private final AtomicInteger looked = new AtomicInteger();
  private final Account account = Budget.of("64MiB").account("kv");
  private final List<AutoCloseable> open = new ArrayList<>();
  private final List<KvPool> pools = new ArrayList<>();

  Account account() {
    return account;
  }

  /** An empty cache, the only one of its pool. */
  KvCache cache(KvLayout layout) {
    KvPool pool = new KvPool(layout, account);
    pools.add(pool);
    open.add(pool);
    KvCache cache = pool.cache();
    open.add(cache);
    return cache;
  }

  /** The same, of four layers, the second of which has a window of 40 tokens. */
  KvCache cache(KvPolicy policy) {
    return cache(
        new KvLayout(
            List.of(LAYER, WINDOW, LAYER, LAYER),
            Formats.F32,
            Formats.F32,
            0,
            CalibratedPartsTest.given(policy),
            16));
  }

  /** Reads so many tokens, in steps. */
  void read(KvCache cache, int tokens, int step, Vectors keys, Attention attention) {
    MadeStep.of(keys, attention, looked, GROUP).read(cache, tokens, step);
  }

  /** Reads so many tokens in one step. */
  void step(KvCache cache, int tokens, Vectors keys, Attention attention) {
    MadeStep.of(keys, attention, looked, GROUP).step(cache, tokens);
  }

  /** Rows whose attention somebody looked at, of a KV head each. */
  int looked() {
    return looked.get();
  }

  /** The pool of the cache that was made last. */
  KvPool pool() {
    return pools.getLast();
  }

  @Override
  public void afterEach(ExtensionContext context) throws Exception {
    for (AutoCloseable closeable : open.reversed()) {
      closeable.close();
    }
    assertThat(account.used()).isZero();
  }
}

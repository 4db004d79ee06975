package dev.knapsack.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.kernel.KvSpan;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PrefixTreeTest {
  static final int PAGE = 8;
  private static final int WINDOW = 20;
  private static final int STEP = 13;
  private static final int CAPACITY = 120;
  private static final int ALL = Integer.MAX_VALUE;

  private static final LayerLayout.Heads PLAIN = new LayerLayout.Heads(2, 32, 32, 0, 1);
  private static final KvLayout FULL = layout(Formats.F16, 0, PLAIN, PLAIN);
  private static final KvLayout WINDOWS =
      layout(Formats.F16, 0, PLAIN, new LayerLayout.Heads(2, 32, 32, WINDOW, 1));
  private static final KvLayout RECENT = layout(Formats.Q8_0, 11, PLAIN, PLAIN);

  private static final KvLayout LATENT =
      layout(Formats.Q8_0, 11, new LayerLayout.Latent(64, 32, 3), PLAIN);

  private static KvLayout layout(Format format, int recent, LayerLayout... layers) {
    return new KvLayout(List.of(layers), format, format, recent, KvPolicy.FULL, PAGE);
  }

  private final Budget budget = Budget.of("16MiB");
  private final Account kv = budget.account("kv");
  private final Account prefixes = budget.account("kv/prefixes");

  @AfterEach
  void everyByteIsGivenBack() {
    assertThat(budget.used()).isZero();
    assertThat(budget.accounts()).allMatch(a -> a.used() == 0);
  }

  /** A pool and its tree. */
  private final class Caches implements AutoCloseable {
    final KvPool pool;
    final PrefixTree tree;

    Caches(KvLayout layout, int sequences) {
      pool =
          new KvPool(
              layout,
              kv,
              sequences * layout.bytes(CAPACITY, STEP),
              Path.of(System.getProperty("java.io.tmpdir")));
      tree = new PrefixTree(pool, prefixes, null);
    }

    Caches(KvLayout layout, PrefixTree.BlockHash hash) {
      pool = new KvPool(layout, kv);
      tree = new PrefixTree(pool, prefixes, null, hash);
    }

    Sequence begin(int[] tokens) {
      return new Sequence(this, pool.layout(), tokens, ALL);
    }

    /** A sequence that has been computed and has ended. */
    void run(int[] tokens) {
      try (Sequence sequence = begin(tokens)) {
        sequence.finish();
      }
    }

    /** Blocks of these tokens that the tree has, now used. */
    int blocks(int[] tokens) {
      try (SharedPrefix found = tree.find(pool, "", block(tokens), ALL, false)) {
        return found.blocks();
      }
    }

    @Override
    public void close() {
      tree.close();
      assertThat(prefixes.used()).isZero();
      assertThat(pool.livePages()).isZero();
      pool.close();
    }
  }

  static IntFunction<int[]> block(int[] tokens) {
    return b ->
        (b + 1) * PAGE > tokens.length
            ? new int[0]
            : Arrays.copyOfRange(tokens, b * PAGE, (b + 1) * PAGE);
  }

  /** A sequence whose keys and values tell its tokens and their positions. */
  private static final class Sequence implements AutoCloseable {
    final Caches caches;
    final int[] tokens;
    final int share;
    final SharedPrefix shared;
    final KvPromise promise;
    final SequenceState cache;
    int computed;

    Sequence(Caches caches, KvLayout recipe, int[] tokens, int share) {
      this.caches = caches;
      this.tokens = tokens;
      this.share = share;
      int most = Math.min(share, (tokens.length - 1) / PAGE);
      KvPool pool = recipe.equals(caches.pool.layout()) ? caches.pool : caches.pool.beside(recipe);
      shared = caches.tree.find(pool, "", block(tokens), most, false);
      KvShare part = new KvShare(shared.blocks(), true);
      cache = pool.sequence(part);
      shared.adopt(cache);
      boolean room = pool.hasRoom(CAPACITY, STEP, part);
      while (!room && caches.tree.drop(1) > 0) {
        room = pool.hasRoom(CAPACITY, STEP, part);
      }
      promise = pool.promise(CAPACITY, STEP, part);
    }

    Sequence finish() {
      while (cache.length() < tokens.length) {
        step(STEP);
      }
      check();
      return this;
    }

    void step(int most) {
      shared.advance(
          cache, promise, block(tokens), Math.min(share, (tokens.length - 1) / PAGE), false, 0);
      int n = Math.min(most, tokens.length - cache.length());
      cache.reserve(n);
      List<LayerLayout.Heads> layers = cache.layout().heads();
      for (int l = 0; l < layers.size(); l++) {
        cache.kv().append(l, 0, rows(l, true, n), rows(l, false, n), 0, n);
      }
      cache.commit(n);
      computed += n;
      cache.kv().encode();
      shared.extend(cache, promise, block(tokens), share, 0, false);
      cache.compress();
    }

    private Matrix rows(int layer, boolean key, int n) {
      LayerLayout.Heads heads = cache.layout().heads(layer);
      int columns = heads.kvHeads() * heads.keySize();
      float[] numbers = new float[n * columns];
      for (int i = 0; i < numbers.length; i++) {
        numbers[i] = number(cache.length() + i / columns, layer, key, i % columns);
      }
      return new Matrix(Formats.F32, n, columns, MemorySegment.ofArray(numbers));
    }

    private float number(int position, int layer, boolean key, int column) {
      int mixed =
          tokens[position] * 31 + position * 7 + layer * 3 + (key ? 5 : 0) + column * (1 + layer);
      return (mixed % 64 - 32) / 32f;
    }

    /** All that the next token sees must be what was written, as it is stored. */
    void check() {
      List<LayerLayout.Heads> layers = cache.layout().heads();
      for (int l = 0; l < layers.size(); l++) {
        LayerLayout.Heads heads = layers.get(l);
        KvSpan[][] spans = cache.kv().spans(l, 0);
        for (int h = 0; h < heads.kvHeads(); h++) {
          int end = spans[h][0].start();
          int seen = heads.window() == 0 ? 0 : Math.max(0, cache.length() - heads.window() + 1);
          assertThat(end).isLessThanOrEqualTo(seen);
          for (KvSpan span : spans[h]) {
            assertThat(span.start()).isEqualTo(end);
            for (int i = 0; i < span.length(); i++, end++) {
              check(span, i, end, l, h, heads.keySize(), true);
              check(span, i, end, l, h, heads.valueSize(), false);
            }
          }
          assertThat(end).isEqualTo(cache.length());
        }
      }
    }

    private void check(
        KvSpan span, int i, int position, int layer, int head, int size, boolean key) {
      boolean inKeys = cache.layout().layers().get(layer) instanceof LayerLayout.Latent;
      float[] numbers = new float[size];
      for (int c = 0; c < size; c++) {
        numbers[c] = number(position, layer, key || inKeys, head * size + c);
      }
      Format format = key ? span.keyFormat() : span.valueFormat();
      byte[] expected = new byte[(int) format.bytes(size)];
      format.encode(MemorySegment.ofArray(numbers), 0, MemorySegment.ofArray(expected), 0, size);
      long at = span.pages()[i / PAGE] + (key ? 0 : span.valuesAt());
      long stride = format.bytes(inKeys ? cache.layout().heads(layer).keySize() : size);
      assertThat(
              span.memory()
                  .asSlice(at + i % PAGE * stride, expected.length)
                  .toArray(ValueLayout.JAVA_BYTE))
          .isEqualTo(expected);
    }

    @Override
    public void close() {
      cache.close();
      promise.close();
      shared.close();
    }
  }

  /** {@code length} tokens, of which the first {@code common} are the same for all seeds. */
  private static int[] tokens(int common, int seed, int length) {
    return IntStream.range(0, length).map(i -> i < common ? i * 5 : i * 7 + 100 * seed).toArray();
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 3})
  void sequencesShareWhatTheyBeginWith(int which) {
    KvLayout layout = List.of(FULL, WINDOWS, RECENT, LATENT).get(which);
    try (Caches caches = new Caches(layout, 8);
        Sequence first = caches.begin(tokens(50, 1, 80)).finish();
        Sequence second = caches.begin(tokens(50, 2, 90))) {
      assertThat(first.computed).isEqualTo(80);
      assertThat(second.shared.tokens()).isEqualTo(48);
      second.check();
      second.finish();
      assertThat(second.computed).isEqualTo(42);
      first.check();
      caches.pool.compact();
      first.check();
      second.check();
    }
  }

  @Test
  void theSameTokensAfterOthersAreNotTheSameBlock() {
    try (Caches caches = new Caches(FULL, 4)) {
      caches.run(tokens(40, 1, 40));
      int[] shifted = new int[48];
      System.arraycopy(tokens(40, 1, 40), 0, shifted, 8, 40);
      assertThat(caches.blocks(shifted)).isZero();
      assertThat(caches.blocks(tokens(20, 2, 40))).isEqualTo(2); // parted inside the third block
      caches.run(tokens(20, 2, 40));
      caches.run(shifted);
    }
  }

  @Test
  void tokensDecideWhereHashesAreTheSame() {
    try (Caches caches = new Caches(FULL, (_, _) -> 42)) {
      for (int seed = 1; seed < 5; seed++) {
        caches.run(tokens(20, seed, 60));
      }
      assertThat(caches.tree.size()).isEqualTo(2 + 4 * 5);
      for (int seed = 1; seed < 5; seed++) {
        assertThat(caches.blocks(tokens(20, seed, 60))).isEqualTo(7);
        try (Sequence again = caches.begin(tokens(20, seed, 60))) {
          assertThat(again.finish().computed).isEqualTo(4);
        }
      }
      assertThat(caches.blocks(tokens(20, 5, 60))).isEqualTo(2);
      // Taking some out of a chain of equal hashes leaves the others.
      while (caches.tree.size() > 9) {
        caches.tree.drop(1);
      }
      assertThat(caches.blocks(tokens(20, 4, 60))).isEqualTo(7);
    }
  }

  @Test
  void whatWasMadeInAnotherWayIsNotFound() {
    try (Caches caches = new Caches(FULL, 4)) {
      caches.run(tokens(40, 1, 40));
      try (Sequence other = new Sequence(caches, WINDOWS, tokens(40, 1, 40), ALL)) {
        assertThat(other.finish().computed).isEqualTo(40);
      }
      KvPool recent = caches.pool.beside(RECENT);
      try (SharedPrefix found =
          caches.tree.find(recent, "", block(tokens(40, 1, 40)), ALL, false)) {
        assertThat(found.blocks()).isZero();
      }
      try (Sequence same = new Sequence(caches, WINDOWS, tokens(40, 1, 40), ALL)) {
        assertThat(same.finish().computed).as("in the same way it is").isEqualTo(8);
      }
      assertThat(caches.blocks(tokens(40, 1, 40))).isEqualTo(5);
    }
  }

  @Test
  void onlyStoredPagesAreShared() {
    try (Caches caches = new Caches(RECENT, 4);
        Sequence sequence = caches.begin(tokens(80, 1, 80)).finish()) {
      // At least the last 11 tokens are still in full precision.
      assertThat(sequence.shared.tokens()).isEqualTo(64);
      assertThat(caches.tree.size()).isEqualTo(8);
    }
  }

  @Test
  void nothingIsPaidTwiceOrNotAtAll() {
    try (Caches caches = new Caches(FULL, 100)) {
      long block = 4 * SlabArena.stride(2 * 2 * 32 * PAGE);
      Sequence first = caches.begin(tokens(96, 1, 100)).finish();
      assertThat(kv.used()).isEqualTo(FULL.bytes(CAPACITY, STEP));
      assertThat(prefixes.used()).isEqualTo(12 * block);
      assertThat(caches.tree.bytes()).isEqualTo(12 * block);
      List<Sequence> others = new ArrayList<>();
      for (int i = 2; i <= 50; i++) {
        others.add(caches.begin(tokens(96, i, 100)).finish());
        assertThat(kv.used()).isEqualTo((12 + 3L * i) * block);
      }
      assertThat(caches.pool.leasedBytes()).isEqualTo(kv.used());
      assertThat(caches.pool.livePages()).isEqualTo(4 * (12 + 50)); // the last page is begun
      first.close();
      others.forEach(Sequence::close);
      caches.pool.compact();
      assertThat(kv.used()).isEqualTo(prefixes.used()).isEqualTo(12 * block);
      caches.tree.drop(1);
      caches.pool.compact();
      assertThat(prefixes.used()).isEqualTo(11 * block);
      assertThat(kv.used()).isEqualTo(11 * block);
    }
  }

  @Test
  void whoComputesTheSameAtTheSameTimeSharesItToo() {
    try (Caches caches = new Caches(FULL, 4);
        Sequence first = caches.begin(tokens(96, 1, 100));
        Sequence second = caches.begin(tokens(96, 2, 100));
        Sequence third = caches.begin(tokens(96, 3, 100))) {
      first.step(STEP);
      second.step(5);
      assertThat(second.computed).isEqualTo(5);
      assertThat(second.cache.length()).isEqualTo(13); // the first block is the first sequence's
      third.step(3);
      first.finish();
      second.finish();
      third.finish();
      first.check();
      assertThat(second.computed).isEqualTo(5 + 4);
      assertThat(caches.tree.size()).isEqualTo(12);
      assertThat(caches.pool.livePages()).isEqualTo(4 * (12 + 3));
    }
  }

  @Test
  void aSequenceSharesNoMoreThanItMay() {
    try (Caches caches = new Caches(FULL, 4)) {
      caches.run(tokens(60, 1, 60));
      try (Sequence sequence = new Sequence(caches, FULL, tokens(60, 1, 60), 3)) {
        assertThat(sequence.shared.blocks()).isEqualTo(3);
        assertThat(sequence.finish().computed).isEqualTo(60 - 24);
        assertThat(sequence.shared.blocks()).isEqualTo(3);
        sequence.cache.back(24);
        sequence.check();
      }
    }
  }

  @Test
  void theLeastRecentlyUsedGoesFirstAndFromItsEnd() {
    try (Caches caches = new Caches(FULL, 8)) {
      caches.run(tokens(16, 1, 40));
      caches.run(tokens(16, 2, 40));
      caches.run(tokens(16, 3, 40));
      assertThat(caches.tree.size()).isEqualTo(2 + 3 * 3);
      assertThat(caches.blocks(tokens(16, 1, 40))).isEqualTo(5);
      caches.tree.drop(1);
      assertThat(caches.tree.size()).isEqualTo(10);
      for (int i = 0; i < 3; i++) {
        caches.tree.drop(1);
      }
      int[] next = tokens(16, 3, 40);
      try (SharedPrefix shared = caches.tree.find(caches.pool, "", block(next), ALL, false)) {
        assertThat(shared.blocks()).isEqualTo(4);
        assertThat(caches.tree.drop(Long.MAX_VALUE)).isPositive();
        assertThat(caches.tree.size()).isEqualTo(4); // what is shared stays
        assertThat(caches.tree.drop(Long.MAX_VALUE)).isZero();
        assertThatThrownBy(caches.tree::close)
            .isInstanceOf(IllegalStateException.class)
            .hasMessageContaining("4 of its blocks are shared");
      }
    }
  }

  @Test
  void pagesOfWindowsGoEvenWhileTheirBlockIsShared() {
    try (Caches caches = new Caches(WINDOWS, 8);
        Sequence sequence = caches.begin(tokens(96, 1, 100)).finish()) {
      long block = 2 * SlabArena.stride(2 * 2 * 32 * PAGE);
      assertThat(prefixes.used()).isEqualTo(2 * 12 * block);
      assertThat(caches.tree.drop(Long.MAX_VALUE)).isEqualTo(12 * block);
      assertThat(prefixes.used()).isEqualTo(12 * block);
      caches.pool.compact();
      sequence.check();
      // The end of the prefix lacks what a following token sees, so it begins anew, and the pages
      // are there again.
      try (Sequence again = caches.begin(tokens(96, 2, 100))) {
        assertThat(again.shared.blocks()).isZero();
        assertThat(again.finish().computed).isEqualTo(100);
      }
      assertThat(prefixes.used()).isEqualTo(2 * 12 * block);
      try (Sequence again = caches.begin(tokens(96, 2, 100))) {
        assertThat(again.shared.blocks()).isEqualTo(12);
        again.finish();
      }
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
  void anyUseKeepsWhatSequencesHoldAndWhatThePoolMayTake(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    KvLayout layout = List.of(FULL, WINDOWS, RECENT, LATENT).get((int) (seed % 4));
    int sequences = 3;
    List<Sequence> live = new ArrayList<>();
    try (Caches caches = new Caches(layout, sequences)) {
      for (int i = 0; i < 300; i++) {
        if (live.size() < sequences && random.nextInt(3) == 0) {
          int common = random.nextInt(1, 5) * 17;
          int length = random.nextInt(common, CAPACITY);
          live.add(caches.begin(tokens(common, random.nextInt(3), length)));
        } else if (!live.isEmpty()) {
          Sequence sequence = live.get(random.nextInt(live.size()));
          if (sequence.cache.length() < sequence.tokens.length) {
            caches.pool.compact();
            sequence.step(random.nextInt(1, STEP + 1));
          } else {
            sequence.check();
            sequence.close();
            live.remove(sequence);
          }
        }
        if (random.nextInt(20) == 0) {
          caches.tree.drop(random.nextLong(20_000));
        }
        assertThat(kv.used()).isLessThanOrEqualTo(sequences * layout.bytes(CAPACITY, STEP));
        assertThat(caches.pool.leasedBytes()).isEqualTo(kv.used());
      }
      live.forEach(Sequence::check);
      live.forEach(Sequence::close);
    }
  }
}

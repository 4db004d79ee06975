package dev.knapsack.cache.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.CoarseForm;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPart;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.KvPool;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.cache.SeenStep;
import dev.knapsack.kernel.KvSpan;
import dev.knapsack.kernel.Reduction;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Keys of tokens that count less lose some of their channels. */
class ShrinkTest {
  private static final int SIZE = 32;
  private static final int[] HELD = IntStream.range(0, 16).map(i -> 2 * i + 1).toArray();

  private final Account account = Budget.of("64MiB").account("kv");

  /** All but the last tokens keep every second channel. */
  private record EverySecond() implements Action {
    @Override
    public String name() {
      return "every-second";
    }

    @Override
    public Optional<CoarseForm> coarse() {
      return Optional.of(new CoarseForm(50));
    }

    @Override
    public void apply(CachedHead head, int[] kept) {
      if (head.coarse() == 0) {
        head.shrink(HELD);
      }
      head.requantise(IntStream.range(head.coarse(), kept[0]).toArray());
    }
  }

  private static KvLayout layout(Format format) {
    Recipe recipe =
        new Recipe(
            new Scorer.Streaming(0),
            new Allocator.Uniform(Size.of(20)),
            new EverySecond(),
            new Trigger.Block(10));
    LayerLayout.Heads layer = new LayerLayout.Heads(2, SIZE, SIZE, 0, 1);
    return new KvLayout(List.of(layer), format, Formats.F32, 0, recipe, 16);
  }

  /** Key numbers are the token's position and the channel. */
  private static void grow(KvCache cache, int tokens) {
    float[] numbers = new float[tokens * 2 * SIZE];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = number(cache.length() + i / (2 * SIZE), i % SIZE);
    }
    Matrix rows = new Matrix(Formats.F32, tokens, 2 * SIZE, MemorySegment.ofArray(numbers));
    cache.reserve(tokens);
    cache.append(0, 0, rows, rows, 0, tokens);
    cache.commit(tokens);
    cache.encode();
    cache.compress();
  }

  private static float number(int position, int channel) {
    return position + channel / 32f;
  }

  private static void check(KvCache cache, int coarse) {
    CachedHead head = cache.head(0, 1);
    assertThat(head.coarse()).isEqualTo(coarse);
    float[] key = new float[SIZE];
    float[] value = new float[SIZE];
    for (int i = 0; i < head.count(); i++) {
      head.key(i, key);
      head.value(i, value);
      for (int c = 0; c < SIZE; c++) {
        boolean held = i >= coarse || c % 2 == 1;
        assertThat(key[c]).isEqualTo(held ? number(head.position(i), c) : 0);
        assertThat(value[c]).isEqualTo(number(head.position(i), c));
      }
    }
    KvSpan[] spans = cache.spans(0, 0)[1];
    if (coarse > 0) {
      assertThat(spans[0].keys())
          .isInstanceOfSatisfying(
              Reduction.Channels.class, held -> assertThat(held.channels()).isEqualTo(HELD));
    } else {
      assertThat(spans[0].keys()).isNull();
    }
  }

  @Test
  void theyTakeLessAndAreReadWithoutTheOthers() {
    KvLayout layout = layout(Formats.F32);
    try (KvPool pool = new KvPool(layout, account);
        KvCache cache = pool.cache()) {
      grow(cache, 25);
      check(cache, 0);
      grow(cache, 75);
      check(cache, 80);
      grow(cache, 10);
      check(cache, 90);
      CachedHead head = cache.head(0, 1);
      assertThatThrownBy(() -> head.shrink(HELD)).isInstanceOf(IllegalStateException.class);
      float[] other = new float[SIZE];
      other[4] = 7;
      other[5] = 9;
      try (KvCache fork = cache.fork()) {
        fork.head(0, 1).put(3, other, other);
        fork.head(0, 1).key(3, other);
        assertThat(other[4]).isZero();
        assertThat(other[5]).isEqualTo(9);
      }
      check(cache, 90);
      for (int i = 0; i < 10; i++) {
        grow(cache, 50);
      }
      pool.compact();
      assertThat(account.used()).isLessThanOrEqualTo(layout.bytes(cache.length(), 50));
      assertThat(layout.bytes(2000, 50))
          .isBetween(
              layout.withPolicy(KvPolicy.FULL).bytes(2000, 50) * 3 / 4,
              layout.withPolicy(KvPolicy.FULL).bytes(2000, 50) * 82 / 100);
      cache.back(0);
      grow(cache, 25);
      check(cache, 0);
    }
    assertThat(account.used()).isZero();
  }

  @Test
  void aStoreMovesThemWithTheirChannels() {
    try (KvPool pool = new KvPool(layout(Formats.F32), account);
        KvCache cache = pool.cache();
        KvCache other = pool.cache();
        Arena arena = Arena.ofConfined()) {
      grow(cache, 100);
      for (int h = 0; h < 2; h++) {
        List<KvPart> parts = cache.parts(0, h);
        for (int p = 0; p < parts.size(); p++) {
          KvPart from = parts.get(p);
          KvPart to = other.parts(0, h).get(p);
          if (from.channels() != null) {
            assertThat(from.form().keySize()).isEqualTo(HELD.length);
            assertThatThrownBy(() -> to.channels(HELD, 31))
                .isInstanceOf(IllegalArgumentException.class);
            to.channels(from.channels(), SIZE);
          }
          MemorySegment bytes = arena.allocate(from.count() * from.form().tokenBytes());
          from.read(0, from.count(), bytes, 0);
          to.reserve(from.count(), from.start(), from.positions());
          to.add(from.count(), bytes, 0);
        }
      }
      other.restored(100);
      check(other, 80);
      grow(other, 10);
      check(other, 90);
    }
  }

  /** Steps of any size before it, the last 32 queries of a prompt choose what its keys keep. */
  @ParameterizedTest
  @CsvSource({"100", "37", "64", "7"})
  void thinkKeepsTheChannelsThatTheLastQueriesAndKeysAreLargeIn(int step) {
    LayerLayout.Heads layer = new LayerLayout.Heads(2, SIZE, SIZE, 0, 3);
    KvPolicy think = Recipe.of("think(50)");
    KvLayout layout = new KvLayout(List.of(layer), Formats.F32, Formats.F32, 0, think, 16);
    try (KvPool pool = new KvPool(layout, account);
        KvCache cache = pool.cache()) {
      cache.text().prompt(100);
      for (int length = 0; length < 100; length = cache.length()) {
        int rows = Math.min(step, 100 - length);
        cache.reserve(rows);
        cache.append(0, 0, ones(rows, 4), ones(rows, 4), 0, rows);
        observe(cache, length, rows);
        cache.commit(rows);
        cache.encode();
        cache.compress();
      }
      CachedHead head = cache.head(0, 0);
      assertThat(head.coarse()).isEqualTo(100 - 32);
      int[] expected = IntStream.range(0, 16).map(c -> 2 * c).toArray();
      assertThat(head.channels()).isEqualTo(expected);
      assertThat(cache.head(0, 1).channels())
          .as("keys that are large in channel 5 make up for small queries")
          .contains(5);
      for (int i = 0; i < 3; i++) {
        cache.reserve(1);
        cache.append(0, 0, ones(1, 4), ones(1, 4), 0, 1);
        observe(cache, cache.length(), 1);
        cache.commit(1);
        cache.encode();
        cache.compress();
      }
      assertThat(head.coarse()).isEqualTo(103 - 32);
      assertThat(head.channels()).isEqualTo(expected);
    }
    assertThat(account.used()).isZero();
  }

  /** Keys of ones; in the second head, channel 5 is large. */
  private static Matrix ones(int rows, int large) {
    float[] numbers = new float[rows * 2 * SIZE];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = i % (2 * SIZE) == SIZE + 5 ? large : 1;
    }
    return new Matrix(Formats.F32, rows, 2 * SIZE, MemorySegment.ofArray(numbers));
  }

  /** Queries that are large in odd channels, but in even ones from position 68 on. */
  private static void observe(KvCache cache, int first, int rows) {
    cache
        .view()
        .observe(
            0,
            new SeenStep(
                first,
                rows,
                (_, _, _, _) -> {
                  throw new AssertionError("Nobody should look at weights");
                },
                (position, _, out) -> {
                  for (int i = 0; i < out.length; i++) {
                    boolean even = i % 2 == 0;
                    out[i] = position < 68 ? (even ? 1 : 50) : (even ? 1 : 0.5f);
                  }
                },
                null,
                null));
  }

  @ParameterizedTest
  @CsvSource({"40,64,f16,40", "40,128,f16,80", "40,64,q8_0,32", "40,32,q8_0,32", "20,128,q4_0,96"})
  void asManyChannelsGoAsWholeBlocksAllow(int dropped, int size, String format, int left) {
    CoarseForm coarse = new CoarseForm(dropped);
    assertThat(coarse.keySize(size, Formats.byName(format))).isEqualTo(left);
    assertThatThrownBy(() -> new CoarseForm(100)).isInstanceOf(IllegalArgumentException.class);
  }
}

package dev.knapsack.cache.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.HeadBases;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPart;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.KvPool;
import dev.knapsack.cache.KvTransform;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.kernel.KvSpan;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Tokens that are held by the directions that say most of them. */
class LowRankTest {
  private static final int SIZE = 32;
  private static final int HEADS = 2;

  /** Directions that keys and values are made of. */
  private static final int RANK = 16;

  private static final double NOISE = 1e-3;

  private final Account account = Budget.of("64MiB").account("kv");

  @AfterEach
  void nothingIsLeft() {
    assertThat(account.used()).isZero();
  }

  private static KvLayout layout(String recipe, Format format) {
    LayerLayout.Heads layer = new LayerLayout.Heads(HEADS, SIZE, SIZE, 0, 2);
    LayerLayout.Heads window = new LayerLayout.Heads(HEADS, SIZE, SIZE, 40, 2);
    KvPolicy policy = MadeBases.given(Recipe.of(recipe));
    return new KvLayout(List.of(layer, window), format, format, 0, policy, 16);
  }

  private KvPool pool(KvLayout layout) {
    KvPool pool = new KvPool(layout, account);
    MadeBases.tell(pool);
    return pool;
  }

  /** The key, or value, of a token: some of each of the first directions, and a little noise. */
  private static float[] vector(int layer, int head, boolean key, int position) {
    double[][] rows = MadeBases.rows(layer, head, key, SIZE);
    Random random = new Random(position * 31L + head * 7L + layer * 3L + (key ? 1 : 0));
    float[] vector = new float[SIZE];
    for (int i = 0; i < SIZE; i++) {
      double much = random.nextGaussian() * (i < RANK ? 1 : NOISE);
      for (int c = 0; c < SIZE; c++) {
        vector[c] += (float) (much * rows[i][c]);
      }
    }
    return vector;
  }

  private static void grow(KvCache cache, int tokens) {
    cache.reserve(tokens);
    for (int l = 0; l < 2; l++) {
      Matrix keys = rows(l, true, cache.length(), tokens);
      Matrix values = rows(l, false, cache.length(), tokens);
      cache.append(l, 0, keys, values, 0, tokens);
    }
    cache.commit(tokens);
    cache.encode();
    cache.compress();
  }

  private static Matrix rows(int layer, boolean keys, int first, int tokens) {
    float[] numbers = new float[tokens * HEADS * SIZE];
    for (int t = 0; t < tokens; t++) {
      for (int h = 0; h < HEADS; h++) {
        float[] vector = vector(layer, h, keys, first + t);
        System.arraycopy(vector, 0, numbers, (t * HEADS + h) * SIZE, SIZE);
      }
    }
    return new Matrix(Formats.F32, tokens, HEADS * SIZE, MemorySegment.ofArray(numbers));
  }

  /** How much of the vectors' squares is lost at a place. */
  private static double lost(KvCache cache, int head, boolean key, int place) {
    CachedHead cached = cache.head(0, head);
    float[] held = new float[SIZE];
    if (key) {
      cached.key(place, held);
    } else {
      cached.value(place, held);
    }
    float[] was = vector(0, head, key, cached.position(place));
    double lost = 0;
    double all = 0;
    for (int c = 0; c < SIZE; c++) {
      lost += (was[c] - held[c]) * (double) (was[c] - held[c]);
      all += was[c] * (double) was[c];
    }
    return lost / all;
  }

  private static double mostLost(KvCache cache, int from, int to) {
    double most = 0;
    for (int h = 0; h < HEADS; h++) {
      for (int i = from; i < to; i++) {
        most = Math.max(most, Math.max(lost(cache, h, true, i), lost(cache, h, false, i)));
      }
    }
    return most;
  }

  @Test
  void asManyNumbersAsTheyAreMadeOfKeepThemAndHalfOfThoseDoNot() {
    for (int percent : new int[] {50, 25}) {
      try (KvPool pool = pool(layout("cskv(" + percent + ")", Formats.F32));
          KvCache cache = pool.cache()) {
        grow(cache, 40);
        grow(cache, 60);
        grow(cache, 20);
        CachedHead head = cache.head(0, 1);
        assertThat(head.count()).isEqualTo(120);
        assertThat(head.coarse()).isBetween(120 - 32 - 7, 120 - 32);
        assertThat(mostLost(cache, head.coarse(), 120)).as("the last, as they are").isZero();
        double most = mostLost(cache, 0, head.coarse());
        if (percent == 50) {
          assertThat(most).isLessThan(1e-4);
        } else {
          assertThat(most).isGreaterThan(0.5);
          assertThat(lost(cache, 0, true, 0)).isGreaterThan(0.1);
        }
        KvSpan span = cache.spans(0, 0)[1][0];
        assertThat(span.keys()).isNotNull();
        assertThat(span.values()).isNotNull();
        assertThat(cache.spans(1, 0)[1][0].keys()).as("a window forgets by itself").isNull();
      }
    }
  }

  @Test
  void keysAndValuesMayBeHeldInDifferentNumbersAndFewerBits() {
    String recipe =
        "score=streaming(0) budget=uniform(32) action=lowrank(50,100,q8_0) when=block(8)";
    KvLayout layout = layout(recipe, Formats.F32);
    assertThat(layout.heldOfKeys(0)).as("one block of the format").isEqualTo(SIZE);
    layout = layout(recipe.replace("q8_0", "f16"), Formats.F32);
    assertThat(layout.heldOfKeys(0)).isEqualTo(16);
    assertThat(layout.heldOfValues(0)).isEqualTo(SIZE);
    assertThat(layout.heldOfKeys(1)).isEqualTo(SIZE);
    try (KvPool pool = pool(layout);
        KvCache cache = pool.cache()) {
      grow(cache, 100);
      KvSpan span = cache.spans(0, 0)[0][0];
      assertThat(span.keyFormat()).isEqualTo(Formats.F16);
      assertThat(span.values()).isNull();
      assertThat(lost(cache, 0, true, 3)).isBetween(1e-8, 1e-4);
      assertThat(lost(cache, 0, false, 3)).isCloseTo(0, within(1e-6));
    }
  }

  @Test
  void allNumbersAreThoseThatThereWere() {
    try (KvPool pool = pool(layout("cskv(100)", Formats.F32));
        KvCache cache = pool.cache()) {
      grow(cache, 100);
      assertThat(cache.head(0, 0).coarse()).isPositive();
      assertThat(mostLost(cache, 0, 100)).isZero();
    }
  }

  @Test
  void nothingIsReducedAsLongAsAllAreAmongTheLast() {
    try (KvPool pool = pool(layout("cskv(25)", Formats.F32));
        KvCache cache = pool.cache()) {
      grow(cache, 32);
      assertThat(cache.head(0, 0).coarse()).isZero();
      assertThat(mostLost(cache, 0, 32)).isZero();
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 50})
  void takesTheBytesThatArePlanned(int step) {
    KvLayout layout = layout("cskv(25)", Formats.F16);
    long full = layout.withPolicy(KvPolicy.FULL).bytes(2000, 50);
    assertThat(layout.bytes(2000, 50)).isBetween(full / 4, full * 2 / 5);
    try (KvPool pool = pool(layout);
        KvCache cache = pool.cache()) {
      while (cache.length() < 400) {
        grow(cache, step);
        assertThat(account.used()).isLessThanOrEqualTo(layout.bytes(cache.length(), step));
      }
      assertThat(account.peak()).isLessThanOrEqualTo(layout.bytes(400, step));
    }
  }

  @Test
  void sequencesThatForkOrBeginAnewAreReducedAlike() {
    try (KvPool pool = pool(layout("cskv(50)", Formats.F32));
        KvCache cache = pool.cache()) {
      grow(cache, 100);
      try (KvCache fork = cache.fork()) {
        grow(fork, 50);
        assertThat(mostLost(fork, 0, 150)).isLessThan(1e-4);
        float[] other = vector(0, 0, true, 1234);
        fork.head(0, 0).put(3, other, vector(0, 0, false, 1234));
        float[] read = new float[SIZE];
        fork.head(0, 0).key(3, read);
        assertThat(read).containsExactly(other, within(0.02f));
      }
      assertThat(mostLost(cache, 0, 100)).isLessThan(1e-4);
      cache.back(0);
      grow(cache, 100);
      assertThat(cache.head(0, 0).coarse()).isPositive();
      assertThat(mostLost(cache, 0, 100)).isLessThan(1e-4);
    }
  }

  @Test
  void aStoreMovesThem() {
    try (KvPool pool = pool(layout("cskv(50)", Formats.F32));
        KvCache cache = pool.cache();
        KvCache other = pool.cache();
        Arena arena = Arena.ofConfined()) {
      grow(cache, 100);
      for (int l = 0; l < 2; l++) {
        for (int h = 0; h < HEADS; h++) {
          List<KvPart> parts = cache.parts(l, h);
          for (int p = 0; p < parts.size(); p++) {
            KvPart from = parts.get(p);
            KvPart to = other.parts(l, h).get(p);
            assertThat(from.channels()).isNull();
            MemorySegment bytes = arena.allocate(from.count() * from.form().tokenBytes());
            from.read(0, from.count(), bytes, 0);
            to.reserve(from.count(), from.start(), from.positions());
            to.add(from.count(), bytes, 0);
          }
        }
      }
      other.restored(100);
      grow(other, 60);
      assertThat(other.head(0, 0).count()).isEqualTo(160);
      assertThat(mostLost(other, 0, 160)).isLessThan(1e-4);
      KvPart part = other.parts(0, 0).getFirst();
      assertThatThrownBy(() -> part.channels(new int[part.form().keySize()], SIZE))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  @Test
  void withoutItsFileItDoesNotWork() {
    KvPolicy recipe = Recipe.of("cskv(50)");
    assertThat(recipe.lacks()).containsExactly(HeadBases.FILE);
    assertThat(recipe.bounds().bases()).isEmpty();
    KvPolicy given = MadeBases.given(recipe);
    assertThat(given.lacks()).isEmpty();
    assertThat(given.name()).isEqualTo(recipe.name());
    try (KvPool pool = new KvPool(layout("cskv(50)", Formats.F32), account);
        KvCache cache = pool.cache()) {
      assertThatThrownBy(() -> grow(cache, 100))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("has not been said");
    }
  }

  @Test
  void headsThatAreReorderedOrSketchedAreRefused() {
    KvLayout layout = layout("cskv(50)", Formats.F16);
    assertThatThrownBy(() -> layout.withTransform(KvTransform.REORDERED))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("lowrank(50,50)");
    assertThat(layout.withTransform(KvTransform.ROTATED).policy()).isEqualTo(layout.policy());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "cskv|lowrank(25,25)",
        "cskv(40)|lowrank(40,40)",
        "cskv(40%)|lowrank(40,40)",
        "cskv(100%)|lowrank(100,100)",
        "cskv(80,q4_0)|lowrank(80,80,q4_0)",
        "cskv(percent=80,format=Q8_0)|lowrank(80,80,q8_0)"
      })
  void isWritten(String text, String action) {
    assertThat(Recipe.of(text).name())
        .isEqualTo(
            "score=streaming(0) budget=uniform(32) action=%s when=block(8)".formatted(action));
    assertThat(Recipe.of(Recipe.of(text).name())).isEqualTo(Recipe.of(text));
  }

  @ParameterizedTest
  @ValueSource(strings = {"cskv(0)", "cskv(101)", "cskv(40,q9)", "cskv(1.5)"})
  void otherNumbersAreRefused(String text) {
    assertThatThrownBy(() -> Recipe.of(text)).isInstanceOf(IllegalArgumentException.class);
  }
}

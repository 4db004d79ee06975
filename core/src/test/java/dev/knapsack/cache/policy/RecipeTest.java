package dev.knapsack.cache.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.KvPool;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.cache.SeenStep;
import dev.knapsack.kernel.KvSpan;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class RecipeTest {
  private static final int SIZE = 32;
  private static final int STEP = 50;

  private final Budget budget = Budget.of("64MiB");
  private final Account account = budget.account("kv");

  /** Two layers that see everything, with two heads each, and one with a window. */
  private static KvLayout layout(Format format, int recent, KvPolicy policy) {
    LayerLayout.Heads whole = new LayerLayout.Heads(2, SIZE, SIZE, 0, 3);
    LayerLayout.Heads window = new LayerLayout.Heads(2, SIZE, SIZE, 100, 3);
    return new KvLayout(List.of(whole, whole, window), format, format, recent, policy, 16);
  }

  /** Keys and values whose numbers are all the token's position, which every format here keeps. */
  private static void grow(KvCache cache, int tokens) {
    int first = cache.length();
    float[] numbers = new float[tokens * 2 * SIZE];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = first + i / (2 * SIZE);
    }
    Matrix rows = new Matrix(Formats.F32, tokens, 2 * SIZE, MemorySegment.ofArray(numbers));
    cache.reserve(tokens);
    for (int l = 0; l < cache.layout().layers().size(); l++) {
      cache.append(l, 0, rows, rows, 0, tokens);
      int layer = l;
      cache
          .view()
          .observe(
              l,
              new SeenStep(
                  first,
                  tokens,
                  (row, kvHead, spans, out) -> {
                    // Every token is looked at as much as its position says, in two heads of three.
                    int column = 0;
                    for (KvSpan span : spans) {
                      for (int i = 0; i < span.length(); i++) {
                        int position = span.position(i);
                        for (int g = 0; g < out.rows(); g++) {
                          float weight = g == 0 ? 0 : position % 7 + layer;
                          out.data()
                              .setAtIndex(
                                  java.lang.foreign.ValueLayout.JAVA_FLOAT,
                                  (long) g * out.columns() + column,
                                  weight);
                        }
                        column++;
                      }
                    }
                    assertThat(column).isEqualTo(out.columns());
                  }));
    }
    cache.commit(tokens);
    cache.encode();
    cache.compress();
  }

  private static int[] positions(KvCache cache, int layer, int head) {
    CachedHead cached = cache.head(layer, head);
    float[] numbers = new float[SIZE];
    for (int i = 0; i < cached.count(); i++) {
      cached.key(i, numbers);
      assertThat(numbers[5]).isEqualTo(cached.position(i));
      cached.value(i, numbers);
      assertThat(numbers[7]).isEqualTo(cached.position(i));
    }
    return IntStream.range(0, cached.count()).map(cached::position).toArray();
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 40})
  void streamingKeepsTheFirstAndTheLastAndFreesTheRest(int recent) {
    KvLayout layout =
        layout(recent == 0 ? Formats.F16 : Formats.F32, recent, Recipe.of("streaming(4,60)"));
    try (KvPool pool = new KvPool(layout, account);
        KvCache cache = pool.cache()) {
      long most = 0;
      for (int i = 0; i < 30; i++) {
        grow(cache, i % 3 == 0 ? STEP : 1);
        pool.compact();
        int length = cache.length();
        int[] kept = positions(cache, 0, 1);
        assertThat(kept.length).isLessThanOrEqualTo(layout.policy().bounds().most(length));
        assertThat(Arrays.copyOf(kept, 4)).containsExactly(0, 1, 2, 3);
        int last = Math.min(60, length - 4);
        assertThat(Arrays.copyOfRange(kept, kept.length - last, kept.length))
            .containsExactly(IntStream.range(length - last, length).toArray());
        // A layer with a window keeps to that.
        assertThat(positions(cache, 2, 0)).endsWith(length - 2, length - 1).isSorted();
        most = Math.max(most, account.used());
      }
      assertThat(most).isLessThanOrEqualTo(layout.bytes(cache.length(), STEP));
      assertThat(account.peak()).isLessThanOrEqualTo(layout.bytes(cache.length(), STEP));
      assertThat(layout.bytes(cache.length(), STEP))
          .isLessThan(layout.withPolicy(KvPolicy.FULL).bytes(cache.length(), STEP) * 3 / 4);
      assertThat(cache.nearest(cache.length())).isEqualTo(cache.length());
      assertThat(cache.back(cache.length() - 1)).as("some are evicted").isZero();
      grow(cache, 10);
      assertThat(positions(cache, 1, 0)).containsExactly(IntStream.range(0, 10).toArray());
    }
    assertThat(account.used()).isZero();
  }

  @Test
  void asManyTokensAsThereAreIsTheFullCache() {
    KvLayout layout = layout(Formats.F16, 0, Recipe.streaming(4, 996));
    try (KvPool pool = new KvPool(layout, account);
        KvCache cache = pool.cache()) {
      for (int i = 0; i < 20; i++) {
        grow(cache, STEP);
      }
      assertThat(positions(cache, 1, 1)).containsExactly(IntStream.range(0, 1000).toArray());
      assertThat(account.used()).isLessThanOrEqualTo(layout.bytes(1000, STEP));
    }
  }

  @Test
  void aForkGoesItsOwnWay() {
    KvLayout layout = layout(Formats.F16, 0, Recipe.streaming(4, 60));
    try (KvPool pool = new KvPool(layout, account);
        KvCache cache = pool.cache()) {
      grow(cache, 120);
      int[] before = positions(cache, 0, 0);
      try (KvCache fork = cache.fork()) {
        grow(fork, 200);
        assertThat(positions(fork, 0, 0)).endsWith(318, 319);
        assertThat(positions(cache, 0, 0)).containsExactly(before);
      }
      grow(cache, 1);
      assertThat(positions(cache, 0, 0)).endsWith(119, 120);
    }
    assertThat(account.used()).isZero();
  }

  /** Adds up all attention that a token ever got: what H2O goes by. */
  private static final class Accumulated implements Scorer {
    @Override
    public String name() {
      return "accumulated";
    }

    @Override
    public int numbers(LayerLayout.Heads heads) {
      return 1;
    }

    @Override
    public int weightRows(int layer) {
      return layer == 0 ? Integer.MAX_VALUE : 3;
    }

    @Override
    public void observe(CachedHead head, int position, Matrix weights) {
      float[] scores = head.scores(0, weights.columns());
      for (int row = 0; row < weights.rows(); row++) {
        for (int i = 0; i < weights.columns(); i++) {
          scores[i] +=
              weights
                  .data()
                  .getAtIndex(
                      java.lang.foreign.ValueLayout.JAVA_FLOAT, (long) row * weights.columns() + i);
        }
      }
    }

    @Override
    public void score(CachedHead head, float[] out) {
      System.arraycopy(head.scores(0, head.count()), 0, out, 0, head.count());
    }
  }

  @Test
  void scoresOfAttentionStayWithTheirTokens() {
    Recipe recipe =
        new Recipe(
            new Accumulated(),
            new Allocator.Uniform(Size.of(30)),
            Action.EVICT,
            new Trigger.Block(20));
    KvLayout layout = layout(Formats.F16, 0, recipe);
    try (KvPool pool = new KvPool(layout, account);
        KvCache cache = pool.cache()) {
      for (int i = 0; i < 4; i++) {
        grow(cache, STEP);
      }
      // Two heads of the group give each token what its position says, in all rows or in three.
      for (int layer = 0; layer < 2; layer++) {
        CachedHead head = cache.head(layer, 1);
        assertThat(head.count()).isEqualTo(30);
        float[] scores = head.scores(0, head.count());
        for (int i = 0; i < head.count(); i++) {
          int each = head.position(i) % 7 + layer;
          int steps = (cache.length() - head.position(i) + STEP - 1) / STEP;
          assertThat(scores[i]).isEqualTo(2f * each * steps * (layer == 0 ? STEP : 3));
          assertThat(head.position(i) % 7).isGreaterThan(2);
        }
      }
      assertThat(account.peak()).isLessThanOrEqualTo(layout.bytes(cache.length(), STEP));
    }
    assertThat(account.used()).isZero();
  }

  @Test
  void keepsTheBestAndOfEqualOnesTheLater() {
    assertThat(Recipe.best(new float[] {1, 5, 3, 5, 3, 3}, 4)).containsExactly(1, 3, 4, 5);
    float inf = Float.POSITIVE_INFINITY;
    assertThat(Recipe.best(new float[] {inf, inf, 2, 1}, 1)).containsExactly(1);
    assertThat(Recipe.best(new float[] {0, 0, 0}, 3)).containsExactly(0, 1, 2);
  }

  @Test
  void namesThatAreNotThereAreNamed() {
    assertThat(Recipe.of("full")).isSameAs(KvPolicy.FULL);
    assertThat(Recipe.of("Streaming(sinks=2, recent=10)")).isEqualTo(Recipe.streaming(2, 10));
    assertThat(Recipe.of("streaming").name())
        .isEqualTo("score=streaming(4) budget=uniform(1024) action=evict when=block(64)");
    assertThat(Recipe.of("streaming(25%)").name())
        .isEqualTo("score=streaming(4) budget=uniform(25%) action=evict when=block(64)");
    assertThat(Recipe.of("streaming(4,12.50%)").name()).contains(" budget=uniform(4+12.5%) ");
    assertThat(Recipe.of("h2o(25%)").name()).contains("h2o(12.5%) budget=uniform(25%) ");
    assertThatThrownBy(() -> Recipe.of("magic"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("no KV recipe 'magic'")
        .hasMessageContaining("streaming");
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2})
  void readsWhatItWritesInAnyOrder(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    for (int i = 0; i < 100; i++) {
      Recipe recipe =
          new Recipe(
              new Scorer.Streaming(random.nextInt(100)),
              new Allocator.Uniform(Size.of(random.nextInt(1, 1 << 20))),
              Action.EVICT,
              new Trigger.Block(random.nextInt(1, 1000)));
      assertThat(Recipe.of(recipe.name())).isEqualTo(recipe);
      List<String> parts = new ArrayList<>(List.of(recipe.name().split(" ")));
      Collections.shuffle(parts, new Random(random.nextLong()));
      assertThat(Recipe.of(" " + String.join("  ", parts).toUpperCase(Locale.ROOT) + " "))
          .isEqualTo(recipe);
    }
    assertThat(Recipe.of(KvPolicy.FULL.name())).isSameAs(KvPolicy.FULL);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "score=magic budget=uniform(8) action=evict when=block(2)|no score=magic|streaming(SINKS),"
            + " knorm",
        "score=streaming(4) budget=cone(8) action=evict"
            + " when=block(2)|budget=cone|uniform(TOKENS)",
        "score=streaming(4) budget=uniform(8) action=merge when=block(2)|action=merge|evict",
        "score=streaming(4) budget=uniform(8) action=evict when=never|when=never|block(TOKENS)",
        "score=streaming(4) budget=uniform(8) action=evict|lacks when=|block(TOKENS)",
        "score=streaming(4) score=streaming(5)|score twice|score",
        "score=streaming(4) budget=uniform(8) action=evict when=block(2) how=well|no part"
            + " how|score=",
        "score=streaming budget=uniform(8) action=evict when=block(2)|score of|streaming(SINKS)",
        "score=streaming(4) budget=uniform(0) action=evict when=block(2)|1 token or more|not 0",
        "score=streaming(4) budget=uniform(8) action=evict(3) when=block(2)|action of|evict",
        "score=streaming(4) budget|from 'budget' on|streaming(SINKS,RECENT)",
        "snapkv(4,5)|'snapkv(4,5)'|snapkv(TOKENS)",
        "snapkv(4.5)|'snapkv(4.5)'|as in 25%",
        "snapkv(1%+4)|'snapkv(1%+4)'|as in 25%",
        "snapkv(12.345%)|'snapkv(12.345%)'|as in 25%",
        "adakv(200%)|'adakv(200%)'|0 to 100 percent",
        "streaming(4,5,6)|'streaming(4,5,6)'|streaming(SINKS,RECENT)",
        "streaming(recent=4,sinks=8)|recipe of|streaming(SINKS,RECENT)",
        "streaming(4,99999999999)|'streaming(4,99999999999)'|at most 9 digits",
        "streaming(0,0)|'streaming(0,0)'|1 token or more",
        "streaming(|'streaming('|streaming(SINKS,RECENT)",
        "''|recipe ''|full",
      })
  void saysWhichPartIsWrongAndWhatThereIs(String text, String wrong, String works) {
    assertThatThrownBy(() -> Recipe.of(text))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining(wrong)
        .hasMessageContaining(works);
  }
}

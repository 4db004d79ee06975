package dev.knapsack.cache.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.KvPool;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.tensor.Formats;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Tokens in full, tokens in fewer bits, and tokens that are forgotten. */
class TiersTest {
  private static final int SIZE = 32;
  private static final int GROUP = 2;
  private static final int SLACK = 8;

  private final Budget budget = Budget.of("64MiB");
  private final Account account = budget.account("kv");

  /** Scores that have nothing to do with the order of tokens; the last ones stay. */
  private record Scattered(int last) implements Scorer {
    @Override
    public String name() {
      return "scattered";
    }

    static float of(int position) {
      return position * 37 % 1009;
    }

    @Override
    public void score(CachedHead head, float[] out) {
      for (int i = 0; i < head.count(); i++) {
        out[i] = of(head.position(i));
      }
      ObservationWindow.keepLast(head, last, out);
    }
  }

  private static Recipe recipe(int tokens, Tiers action) {
    return new Recipe(
        new Scattered(10),
        new FullShare(Size.of(tokens), 10, 1, 1, 1),
        action,
        new Trigger.Block(SLACK));
  }

  private static KvLayout layout(KvPolicy policy, int recent) {
    LayerLayout.Heads layer = new LayerLayout.Heads(1, SIZE, SIZE, 0, GROUP);
    return new KvLayout(List.of(layer, layer), Formats.F16, Formats.F16, recent, policy, 16);
  }

  /** The first layer looks at other tokens in each row, the second always at the same. */
  private static final MadeStep BY_TURNS =
      MadeStep.of((layer, _, row, token) -> {
        int center = layer == 0 ? row * 13 % 200 : 50;
        return Math.abs(token - center) < 5 ? 0.1f : 0.0001f;
      });

  @ParameterizedTest
  @CsvSource({"f8_e4m3, 0.5", "q8_0, 0.53125", "q4_0, 0.28125"})
  void theBestStayAsTheyAreTheNextInFewerBitsAndTheOthersAreForgotten(String format, double part) {
    Tiers action = ((Tiers) ((Recipe) Recipe.of(tiers(format))).action());
    try (KvPool pool = new KvPool(layout(recipe(60, action), 0), account);
        KvCache cache = pool.cache()) {
      cache.text().prompt(300);
      while (cache.length() < 300) {
        BY_TURNS.step(cache, 20);
      }
      for (int l = 0; l < 2; l++) {
        CachedHead head = cache.head(l, 0);
        int full = head.count() - head.coarse();
        assertThat(full + part * head.coarse()).as("bytes").isBetween(58.0, 60.0);
        int[] places = IntStream.range(0, head.count()).toArray();
        for (int place : places) {
          float[] key = new float[SIZE];
          head.key(place, key);
          assertThat(key[3]).isCloseTo(head.position(place), within(20f));
          if (place < head.coarse()) {
            assertThat(head.position(place)).isLessThan(290);
          }
        }
        assertThat(IntStream.of(places).map(head::position)).contains(290, 295, 299);
      }
      CachedHead spread = cache.head(0, 0);
      CachedHead narrow = cache.head(1, 0);
      assertThat(spread.coarse()).as("all of its share is full").isLessThan(4);
      assertThat(narrow.count() - narrow.coarse()).isBetween(10, 30);
      assertThat(narrow.coarse()).isGreaterThan(50);
      assertThat(narrow.count()).isLessThan(300);
    }
    assertThat(account.used()).isZero();
  }

  private static String tiers(String format) {
    return "score=streaming(4) budget=uniform(60) action=tiers(" + format + ") when=block(8)";
  }

  /** Of a layer that keeps half of its bytes in full, whatever is looked at. */
  @Test
  void statesGoByScores() {
    Recipe recipe =
        new Recipe(
            new Scattered(0),
            new Allocator.Uniform(Size.of(40)),
            new Tiers(Formats.F8_E4M3),
            new Trigger.Prompt());
    try (KvPool pool = new KvPool(layout(recipe, 0), account);
        KvCache cache = pool.cache()) {
      cache.text().prompt(200);
      BY_TURNS.step(cache, 200);
      int[] byScore =
          IntStream.range(0, 200)
              .boxed()
              .sorted((a, b) -> Float.compare(Scattered.of(b), Scattered.of(a)))
              .mapToInt(Integer::intValue)
              .toArray();
      CachedHead head = cache.head(1, 0);
      assertThat(IntStream.range(0, head.coarse()).map(head::position))
          .containsExactlyInAnyOrderElementsOf(
              IntStream.of(byScore).skip(20).limit(40).boxed().toList());
      assertThat(IntStream.range(head.coarse(), head.count()).map(head::position))
          .containsExactlyInAnyOrderElementsOf(IntStream.of(byScore).limit(20).boxed().toList());
    }
  }

  @ParameterizedTest
  @CsvSource({"f8_e4m3, 0", "q4_0, 0", "q8_0, 20"})
  void keepsToItsBytes(String format, int recent) {
    SplittableRandom random = new SplittableRandom(1);
    Recipe recipe = recipe(60, (Tiers) ((Recipe) Recipe.of(tiers(format))).action());
    KvLayout layout = layout(recipe, recent);
    try (KvPool pool = new KvPool(layout, account);
        KvCache cache = pool.cache()) {
      cache.text().prompt(400);
      int turn = 0;
      for (int n : new int[] {5, 70, 33, 100, 1, 1, 1, 90, 47, 52, 60, 1, 1}) {
        int loud = turn++ % 3 - 1;
        MadeStep.of((layer, _, _, _) -> layer == loud ? random.nextFloat() : 0.001f).step(cache, n);
        pool.compact();
        int tokens = Math.max(cache.length(), 1);
        assertThat(account.peak()).isLessThanOrEqualTo(layout.bytes(tokens, 100));
        for (int l = 0; l < 2; l++) {
          CachedHead head = cache.head(l, 0);
          assertThat(head.coarse()).isLessThanOrEqualTo(recipe.bounds().mostCoarse(tokens));
          assertThat(head.count() - head.coarse())
              .isLessThanOrEqualTo(recipe.bounds().most(tokens));
          assertThat(head.count() - head.coarse() + recipe.action().counted(head.coarse()))
              .isLessThan(60 + SLACK);
          assertThat(IntStream.range(0, head.count()).map(head::position)).doesNotHaveDuplicates();
        }
      }
      assertThat(layout.bytes(4000, 100))
          .isLessThan(layout.withPolicy(KvPolicy.FULL).bytes(4000, 100) / 4);
    }
    assertThat(account.used()).isZero();
  }

  @Test
  void asManyTokensAsThereAreStayAsTheyAre() {
    for (String name : List.of("arkv(300)", "arkv(100%)")) {
      try (KvPool pool = new KvPool(layout(Recipe.of(name), 0), account);
          KvCache cache = pool.cache()) {
        cache.text().prompt(300);
        BY_TURNS.step(cache, 200);
        BY_TURNS.step(cache, 100);
        assertThat(cache.head(1, 0).count()).isEqualTo(300);
        assertThat(cache.head(1, 0).coarse()).isZero();
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 10, 64, 100})
  void kurtosisIsThatOfTheLastRows(int step) {
    SplittableRandom random = new SplittableRandom(3);
    float[][] weights = new float[100][100];
    for (float[] row : weights) {
      for (int i = 0; i < row.length; i++) {
        row[i] = i == 20 ? 0.001f : 0.3f + (float) Math.pow(random.nextDouble(), 4) / 100;
      }
    }
    Recipe recipe =
        (Recipe)
            Recipe.of(
                "score=streaming(0) budget=arkv(90,32,1,1,1)"
                    + " action=tiers(f8_e4m3) when=block(64)");
    try (KvPool pool = new KvPool(layout(recipe, 0), account);
        KvCache cache = pool.cache()) {
      cache.text().prompt(100);
      while (cache.length() < 100) {
        int n = Math.min(step, 100 - cache.length());
        MadeStep.of((_, _, row, token) -> weights[row][token]).step(cache, n);
      }
      double[] kurtosis = new Kurtosis(32).of(cache.head(0, 0));
      for (int token = 0; token < 68; token++) {
        double mean = 0;
        for (int row = 68; row < 100; row++) {
          mean += weights[row][token] / 32.0;
        }
        double second = 0;
        double fourth = 0;
        for (int row = 68; row < 100; row++) {
          second += Math.pow(weights[row][token] - mean, 2) / 32;
          fourth += Math.pow(weights[row][token] - mean, 4) / 32;
        }
        double expected = token == 20 ? 0 : fourth / second / second;
        assertThat(kurtosis[token]).isCloseTo(expected, within(0.01 * expected + 1e-6));
      }
    }
  }

  @Test
  void itIsWrittenWithItsFormat() {
    String text =
        "score=varied(32,200) budget=arkv(256,32,7.77,5.41,5.53) action=tiers(f8_e4m3)"
            + " when=block(64)";
    KvPolicy policy = Recipe.of("arkv(256)");
    assertThat(policy.name()).isEqualTo(text);
    assertThat(Recipe.of(text)).isEqualTo(policy);
    assertThat(policy.bounds().most(10_000)).isEqualTo(256 + 63);
    assertThat(policy.bounds().mostCoarse(10_000)).isEqualTo(512);
    assertThatThrownBy(() -> Recipe.of(tiers("f32"))).hasMessageContaining("fewer bits than F16");
    assertThatThrownBy(() -> Recipe.of("arkv(32)")).hasMessageContaining("32 of the window");
  }
}

package dev.knapsack.cache.policy;

import static dev.knapsack.cache.policy.MadeCaches.GROUP;
import static dev.knapsack.cache.policy.MadeCaches.HEADS;
import static dev.knapsack.cache.policy.MadeCaches.LAYERS;
import static dev.knapsack.cache.policy.MadeCaches.SIZE;
import static dev.knapsack.cache.policy.MadeStep.EVEN;
import static dev.knapsack.cache.policy.MadeStep.positions;
import static dev.knapsack.cache.policy.MadeStep.random;
import static dev.knapsack.cache.policy.MadeStep.randomAttention;
import static dev.knapsack.cache.policy.MadeStep.range;
import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.policy.MadeStep.Attention;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** How tokens are divided among layers and heads. */
class AllocatorsTest {
  @RegisterExtension private final MadeCaches made = new MadeCaches();

  @Test
  void aPyramidHasMoreTokensInTheFirstLayers() {
    KvCache cache = made.cache(Recipe.of("pyramidkv(72)"));
    cache.text().prompt(400);
    made.read(cache, 400, 100, random(1), randomAttention(1));
    // 32 of the window and 40 on average: 78, 40 and 2; the layer with a window is none of them.
    assertThat(cache.head(0, 1).count()).isEqualTo(32 + 78);
    assertThat(cache.head(2, 0).count()).isEqualTo(32 + 40);
    assertThat(cache.head(3, 1).count()).isEqualTo(32 + 2);
    assertThat(positions(cache, 3, 1)).endsWith(range(368, 400));
  }

  @ParameterizedTest
  @CsvSource({"100,1000,28", "100,120,28", "40,50,4", "1000,900,28", "64,200,2"})
  void aPyramidKeepsWhatItSaysOnAverage(int average, int length, int layers) {
    Pyramid pyramid = new Pyramid(Size.of(average + 32), 32);
    int sum = 0;
    int before = Integer.MAX_VALUE;
    for (int l = 0; l < layers; l++) {
      int tokens = Pyramid.past(average, length, l, layers);
      assertThat(tokens).isBetween(0, before);
      assertThat(Math.min(tokens, length) + 32).isLessThanOrEqualTo(pyramid.most(length + 32));
      before = tokens;
      sum += tokens;
    }
    assertThat(sum).isBetween(layers * (average - 1), layers * average);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void aPlanKnowsWhatEachLayerOfAPyramidHolds(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    for (int i = 0; i < 50; i++) {
      int window = random.nextInt(20);
      int length = random.nextInt(30, 300);
      Size size =
          random.nextBoolean()
              ? Size.of(window + 1 + random.nextInt(100))
              : new Size(0, random.nextInt(1, 10_000));
      KvCache cache =
          made.cache(
              new Recipe(
                  new Scorer.Streaming(1),
                  new Pyramid(size, window),
                  Action.EVICT,
                  new Trigger.Block(1)));
      if (random.nextBoolean()) {
        cache.text().prompt(length);
      }
      long[] bound = new long[LAYERS + 1];
      for (int l : new int[] {0, 2, 3}) {
        bound[l] = cache.layout().policy().bounds().together(cache.layout(), l, length);
      }
      long sum = bound[0] + bound[2] + bound[3];
      // Half of the layers are bound by the average, the other half by twice that at most.
      assertThat(sum).isLessThanOrEqualTo((long) LAYERS * HEADS * (3 * size.most(length) / 2 + 1));
      while (cache.length() < length) {
        made.step(cache, Math.min(7, length - cache.length()), (_, _, _, _) -> 0, EVEN);
        for (int l : new int[] {0, 2, 3}) {
          assertThat((long) HEADS * cache.head(l, 0).count())
              .as("%s of %d in layer %d", cache.layout().policy(), cache.length(), l)
              .isLessThanOrEqualTo(bound[l]);
        }
      }
    }
  }

  @Test
  void aPlanCountsALayerWhoseHeadsDifferAsOne() {
    KvLayout ada =
        made.cache(Recipe.of("score=h2o(8) budget=ada(64) action=evict when=block(1)")).layout();
    KvLayout alike =
        ada.withPolicy(Recipe.of("score=h2o(8) budget=uniform(64) action=evict when=block(1)"));
    KvLayout full = ada.withPolicy(KvPolicy.FULL);
    // A page more for each head at most, and weights of a head that may have all tokens.
    long page = 2L * 16 * SIZE * Float.BYTES;
    long weights = (long) Float.BYTES * GROUP * 3000;
    assertThat(ada.bytes(3000, 10))
        .isBetween(
            alike.bytes(3000, 10), alike.bytes(3000, 10) + LAYERS * HEADS * page + 2 * weights)
        .isLessThan(full.bytes(3000, 10) / 10);
  }

  @Test
  void cakeGivesMoreToLayersThatLookAtManyTokensAndAtOthersInEachRow() {
    KvCache cache =
        made.cache(
            Recipe.of("score=varied(10,200) budget=cake(60,10,1,1) action=evict when=prompt"));
    cache.text().prompt(300);
    // All layers look at one token in a row: the first at others by turns, the last at the same.
    Attention attention =
        (layer, _, row, token) -> {
          int center = layer == 0 ? row * 13 % 200 : layer == 2 ? row % 2 * 100 : 50;
          return Math.abs(token - center) < 5 ? 0.05f : token == 290 ? 0.5f : 0.0001f;
        };
    made.read(cache, 300, 70, random(1), attention);
    int first = cache.head(0, 0).count();
    int last = cache.head(3, 0).count();
    assertThat(first).isGreaterThan(cache.head(2, 0).count()).isGreaterThan(100);
    assertThat(last).isLessThan(cache.head(2, 0).count()).isLessThan(20);
    assertThat(first + cache.head(2, 0).count() + last).isBetween(3 * 60 - 3, 3 * 60);
    assertThat(positions(cache, 0, 0)).endsWith(range(290, 300));
  }

  @ParameterizedTest
  @CsvSource({"1,1,40,40", "3,1,60,20", "9,1,70,10", "0,0,40,40", "1,0,70,10"})
  void whatALayerCannotUseIsSharedByTheOthers(double one, double other, double most, double least) {
    double[] shares = LayerPreference.shares(new double[] {one, Double.NaN, other}, 40, 70);
    assertThat(shares).containsExactly(most, Double.NaN, least);
  }

  @Test
  void adakvGivesMoreToHeadsThatSpreadTheirAttention() {
    KvCache cache =
        made.cache(Recipe.of("score=window(4) budget=ada(50) action=evict when=prompt"));
    cache.text().prompt(300);
    // The first head looks at one token, the second at all.
    made.read(
        cache,
        300,
        100,
        random(1),
        (_, query, row, token) -> query < GROUP ? (token == 9 ? 1 : 0) : 1f / row);
    // Five share the first head's token; a fifth of the average is left to it beside the window.
    assertThat(cache.head(0, 0).count()).isEqualTo(10);
    assertThat(positions(cache, 0, 0)).startsWith(7, 8, 9, 10, 11).endsWith(296, 297, 298, 299);
    assertThat(cache.head(0, 1).count()).isEqualTo(90);
  }

  @Test
  void headsTakeTheBestOfTheLayerInTurnAndNoMoreThanTheyHave() {
    Adaptive ada = new Adaptive(Size.of(5));
    float inf = Float.POSITIVE_INFINITY;
    assertThat(ada.divide(5, new float[][] {{9, 8, 7, 6, 5, 4, 3}, {1, 1, 1, 1, 1, 2, 2}}))
        .containsExactly(7, 3);
    assertThat(ada.divide(5, new float[][] {{inf, inf, 1, 1, 1, 1, 1}, {inf, inf, 1, 1, 1, 1, 1}}))
        .containsExactly(5, 5);
    assertThat(ada.divide(5, new float[][] {{1, 2}, {3, 3, 3, 3, 3, 3, 3, 3, 3}}))
        .containsExactly(1, 9);
    assertThat(ada.divide(5, new float[][] {{1, 2}, {3, 4}})).containsExactly(2, 2);
    assertThat(ada.divide(5, new float[][] {{Float.NaN, 2, 1, 1, 1, 1}, {0, 0, 0, 0, 0, 0}}))
        .containsExactly(6, 4);
  }

  @Test
  void aShareIsOfThePromptFromItsFirstStepOn() {
    KvCache cache =
        made.cache(Recipe.of("score=streaming(2) budget=uniform(25%) action=evict when=block(8)"));
    cache.text().prompt(201);
    for (int i = 0; i < 10; i++) {
      made.read(cache, 20, 20, random(1), EVEN);
      assertThat(cache.head(0, 0).count()).isLessThanOrEqualTo(51 + 7);
    }
    made.read(cache, 100, 1, random(1), EVEN);
    assertThat(cache.head(0, 0).count()).isBetween(51, 58);
    assertThat(Size.read("25%").orElseThrow().most(201)).isEqualTo(51);
    assertThat(Size.read("100%").orElseThrow().most(Integer.MAX_VALUE))
        .isEqualTo(Integer.MAX_VALUE);
  }
}

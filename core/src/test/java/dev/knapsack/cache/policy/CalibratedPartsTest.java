package dev.knapsack.cache.policy;

import static dev.knapsack.cache.policy.MadeCaches.HEADS;
import static dev.knapsack.cache.policy.MadeCaches.LAYERS;
import static dev.knapsack.cache.policy.MadeCaches.SIZE;
import static dev.knapsack.cache.policy.MadeStep.NONE;
import static dev.knapsack.cache.policy.MadeStep.ZERO;
import static dev.knapsack.cache.policy.MadeStep.positions;
import static dev.knapsack.cache.policy.MadeStep.random;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.cache.Companion;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.policy.MadeStep.Attention;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What recipes do that go by what was measured of the model's heads. */
class CalibratedPartsTest {
  /** Layers that see everything; the other one has a window. */
  private static final int[] LAYERS = {0, 2, 3};

  /**
   * Of three layers with two KV heads each, the second head of the first and the first of the last
   * look far, in that order; the other layer has a window.
   */
  private static final Calibration FIGURES =
      new Calibration(
          "made",
          9,
          9,
          List.of(
              layer(0.3, 0.1, 0.1, 0.1, 0.9, 0.8),
              new Calibration.Layer(0, 0, List.of()),
              layer(0.1, 0.2, 0.05, 0.05, 0.2, 0.3),
              layer(0.5, 0.3, 0.6, 0.7, 0.3, 0.1)));

  @RegisterExtension private final MadeCaches made = new MadeCaches();

  /** Heads that look at the answer as they look far, half as much. */
  private static Calibration.Layer layer(double spread, double error, double... far) {
    return new Calibration.Layer(
        spread,
        error,
        Arrays.stream(far).mapToObj(f -> new Calibration.Head(1 - f, f, f / 2)).toList());
  }

  /** The same policy with the figures that it lacks. */
  static KvPolicy given(KvPolicy policy) {
    boolean lacks = policy.lacks().stream().anyMatch(c -> c.content() == Calibration.class);
    return lacks ? policy.with(reader(FIGURES)) : policy;
  }

  private static Companion.Reader reader(Calibration figures) {
    return new Companion.Reader() {
      @Override
      public <T> T read(Companion<T> kind) {
        return kind.content().cast(figures);
      }
    };
  }

  private KvCache cache(String recipe) {
    KvPolicy policy = given(Recipe.of(recipe));
    assertThat(policy.name()).isEqualTo(Recipe.of(recipe).name());
    return made.cache(policy);
  }

  private void read(KvCache cache, int tokens, int step, Attention attention) {
    made.read(cache, tokens, step, ZERO, attention);
  }

  private static int[] ends(int first, int last, int length) {
    return IntStream.concat(IntStream.range(0, first), IntStream.range(length - last, length))
        .toArray();
  }

  @Test
  void duoKeepsAllInHeadsThatLookFarAndFirstAndLastInTheOthers() {
    // A third of six heads.
    KvCache cache = cache("score=streaming(4) budget=heads(33,20) action=evict when=block(1)");
    long most = 0;
    for (int i = 0; i < 10; i++) {
      made.step(cache, 30, ZERO, NONE);
      most = Math.max(most, cache.head(2, 0).count());
    }
    assertThat(most).as("never more, while the prompt is read").isEqualTo(20);
    for (int[] place : new int[][] {{0, 1}, {3, 0}}) {
      assertThat(positions(cache, place[0], place[1])).containsExactly(ends(0, 300, 300));
    }
    for (int[] place : new int[][] {{0, 0}, {2, 0}, {2, 1}, {3, 1}}) {
      assertThat(positions(cache, place[0], place[1])).containsExactly(ends(4, 16, 300));
    }
    // What streaming heads forget is freed.
    long page = 2L * 16 * SIZE * Float.BYTES;
    long pages = 2 * (300 / 16 + 1) + 4 * 3 + 2 * (40 / 16 + 5);
    assertThat(made.account().used()).isLessThan(cache.layout().bytes(300, 30) + 1);
    assertThat(cache.layout().bytes(300, 30)).isLessThan((pages + 6 * 4) * page * 5 / 4);
  }

  @Test
  void duoWithinABudgetHasAsManySuchHeadsAsFit() {
    // 6 · 80 tokens: 8 for each of five, of the sixth all; what is left is the next one's.
    KvCache cache = cache("score=streaming(4) budget=duo(80,8) action=evict when=block(1)");
    cache.text().prompt(300);
    read(cache, 300, 50, NONE);
    assertThat(cache.head(0, 1).count()).isEqualTo(300);
    assertThat(positions(cache, 3, 0)).containsExactly(ends(4, 6 * 80 - 300 - 4 * 8 - 4, 300));
    for (int[] place : new int[][] {{0, 0}, {2, 0}, {2, 1}, {3, 1}}) {
      assertThat(positions(cache, place[0], place[1])).containsExactly(ends(4, 4, 300));
    }
    // The longer it gets, the fewer; the first of all keeps what there is room for.
    read(cache, 300, 1, NONE);
    assertThat(cache.head(3, 0).count()).isEqualTo(8);
    assertThat(positions(cache, 0, 1)).containsExactly(ends(4, 6 * 80 - 5 * 8 - 4, 600));
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4})
  void aPlanKnowsWhatEachLayerHolds(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    for (int i = 0; i < 30; i++) {
      int length = random.nextInt(50, 300);
      boolean shares = random.nextBoolean();
      int tokens = random.nextInt(1, shares ? 100 : 200);
      String unit = shares ? "%" : "";
      String budget =
          switch (random.nextInt(4)) {
            case 0 -> "duo(%d%s,%d%s)".formatted(tokens, unit, random.nextInt(1, 20), unit);
            case 1 -> "heads(%d,%d%s)".formatted(random.nextInt(101), tokens, unit);
            case 2 -> "hack(%d%s)".formatted(tokens, unit);
            default -> "scale(%d%s)".formatted(tokens, unit);
          };
      KvCache cache = cache("score=streaming(4) budget=" + budget + " action=evict when=block(1)");
      if (random.nextBoolean()) {
        cache.text().prompt(random.nextInt(1, length + 1));
      }
      while (cache.length() < length) {
        made.step(cache, Math.min(7, length - cache.length()), ZERO, NONE);
        for (int l : LAYERS) {
          assertThat(cache.head(l, 0).count() + (long) cache.head(l, 1).count())
              .as("%s of %d in layer %d", budget, cache.length(), l)
              .isLessThanOrEqualTo(
                  cache.layout().policy().bounds().together(cache.layout(), l, length));
        }
      }
      if (!budget.startsWith("heads") && cache.text().promptEnd() == 0) {
        long held = 0;
        for (int l : LAYERS) {
          held += cache.head(l, 0).count() + (long) cache.head(l, 1).count();
        }
        long kept = Math.min(length, Size.read(tokens + unit).orElseThrow().most(length));
        assertThat(held).as(budget).isBetween(6 * kept - 12, 6 * kept + 6);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {200, 30, 1})
  void compresskvAsksTheHeadsThatRetrieveForAllHeadsOfTheLayer(int step) {
    KvCache cache = cache("score=retrieval(1,8) budget=uniform(18) action=evict when=prompt");
    cache.text().prompt(200);
    // Each query head looks at a token of its own, the ones that do not count much more.
    read(
        cache,
        200,
        step,
        (layer, query, _, token) -> token == 30 * (query + 1) ? (query == 2 ? 0.1f : 0.9f) : 0);
    for (int h = 0; h < HEADS; h++) {
      // The third query head looked at the answer most in the first layer, the second in the last.
      assertThat(positions(cache, 0, h))
          .contains(88, 89, 90, 91, 92)
          .endsWith(192, 199 - 6, 194, 195, 196, 197, 198, 199);
      assertThat(positions(cache, 3, h)).contains(58, 59, 60, 61, 62);
      assertThat(positions(cache, 2, h)).contains(118, 119, 120, 121, 122);
    }
  }

  @Test
  void compresskvGivesMoreToLayersWhoseErrorIsGreater() {
    KvCache cache = cache("compresskv(72)");
    cache.text().prompt(300);
    read(cache, 300, 100, NONE);
    // 32, and a sixth, two and three of 3 · 40.
    assertThat(cache.head(0, 0).count()).isEqualTo(32 + 20);
    assertThat(cache.head(2, 1).count()).isEqualTo(32 + 40);
    assertThat(cache.head(3, 0).count()).isEqualTo(32 + 60);
  }

  @ParameterizedTest
  @CsvSource({
    "'1,2,3',40,10,1000,'25,40,55'",
    "'0,0,9',40,10,60,'30,30,60'",
    "'0,0,0',40,9,60,'40,40,40'",
    "'1,1,9',5,10,60,'5,5,5'",
    "'1,2,3',80,10,60,'60,60,60'"
  })
  void whatIsOverGoesToTheOthers(String weights, int average, int least, int most, String each) {
    double[] given = Arrays.stream(weights.split(",")).mapToDouble(Double::parseDouble).toArray();
    int[] expected = Arrays.stream(each.split(",")).mapToInt(Integer::parseInt).toArray();
    assertThat(Shares.divide(given, average, least, most)).containsExactly(expected);
  }

  @Test
  void hackTreatsHeadsThatLookNearOtherwise() {
    KvCache cache = cache("hack(50)");
    cache.text().prompt(300);
    read(cache, 300, 100, (_, _, _, token) -> token >= 100 && token < 150 ? 0.01f : 0);
    // Two of six get eight times as much: 300 of 20 parts are 15 each.
    for (int[] place : new int[][] {{0, 1}, {3, 0}}) {
      assertThat(positions(cache, place[0], place[1]))
          .hasSize(8 * 15)
          .contains(IntStream.range(100, 150).toArray())
          .endsWith(IntStream.range(268, 300).toArray());
    }
    for (int[] place : new int[][] {{0, 0}, {2, 0}, {2, 1}, {3, 1}}) {
      assertThat(positions(cache, place[0], place[1])).containsExactly(ends(4, 11, 300));
    }
  }

  @Test
  void scalekvTreatsLayersWhoseAttentionIsSpreadOtherwise() {
    KvCache cache = cache("scalekv(34)");
    cache.text().prompt(300);
    read(cache, 300, 100, (_, _, _, token) -> token >= 100 && token < 120 ? 0.01f : 0);
    // The mean is 0.3: two layers of three are drafters, and get 8 of 17 parts of 3 · 34 each.
    for (int l : new int[] {0, 3}) {
      assertThat(positions(cache, l, 0)).hasSize(48).contains(104, 111).endsWith(298, 299);
    }
    assertThat(positions(cache, 2, 1)).containsExactly(ends(4, 2, 300));
  }

  @ParameterizedTest
  @ValueSource(strings = {"duo", "compresskv", "hack", "scalekv"})
  void withoutFiguresNothingIsKept(String method) {
    Recipe recipe = (Recipe) Recipe.of(method);
    assertThat(recipe.lacks()).containsExactly(Calibration.FILE);
    assertThat(given(recipe).lacks()).isEmpty();
    assertThat(Recipe.of(given(recipe).name())).isEqualTo(recipe);
    KvCache cache = cache(method);
    assertThatThrownBy(() -> recipe.allocator().tokens(cache, 0))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("knapsack calibrate");
    assertThat(recipe.bounds().together(cache.layout(), 0, 300)).isEqualTo(600);
  }

  @Test
  void headsThatNeverAnsweredRightlyAreNotToldApart() {
    Calibration wrong = new Calibration("made", 9, 0, FIGURES.layers());
    assertThatThrownBy(() -> Recipe.of("compresskv").with(reader(wrong)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("none of 9 questions");
  }
}

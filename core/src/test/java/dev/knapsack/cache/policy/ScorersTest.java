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
import static org.assertj.core.api.Assertions.within;

import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.SeenStep;
import dev.knapsack.cache.policy.MadeStep.Attention;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What scorers take for important in keys and attention that were made for them. */
class ScorersTest {
  @RegisterExtension private final MadeCaches made = new MadeCaches();

  @Test
  void knormKeepsTheShortestKeys() {
    KvCache cache =
        made.cache(Recipe.of("score=knorm budget=uniform(20) action=evict when=block(1)"));
    // Every fifth is short, with either sign.
    made.read(
        cache,
        100,
        100,
        (_, _, token, c) -> (c % 2 == 0 ? -1 : 1) * (token % 5 == 2 ? 1 : 3),
        EVEN);
    assertThat(positions(cache, 0, 1)).containsExactly(range(0, 20, 5, 2));
    assertThat(made.looked()).as("it looks at no attention").isZero();
  }

  @Test
  void keydiffKeepsKeysThatPointElsewhere() {
    KvCache cache =
        made.cache(Recipe.of("score=keydiff budget=uniform(10) action=evict when=block(1)"));
    // Long keys in one direction, short ones in two others.
    made.read(
        cache,
        100,
        100,
        (_, _, token, c) ->
            token % 10 == 4 ? (c == 1 + token / 10 % 2 ? 0.1f : 0) : c == 0 ? 5 + token : 0.5f,
        EVEN);
    assertThat(positions(cache, 2, 0)).containsExactly(range(0, 10, 10, 4));
    assertThat(made.looked()).isZero();
  }

  @Test
  void lagkvKeepsWhatDiffersFromWhatFollowsAndTheEnds() {
    int length = LagRelative.SINKS + 3 * LagRelative.LAG + 10;
    int kept = LagRelative.SINKS + LagRelative.LAG + 10 + 16;
    KvCache cache =
        made.cache(
            Recipe.of("score=lagkv budget=uniform(%d) action=evict when=block(1)".formatted(kept)));
    // Two chunks are ranked; in each, eight tokens have a channel out of the next chunk's range.
    made.read(
        cache,
        length,
        length,
        (_, _, token, c) ->
            (token - LagRelative.SINKS) % 16 == 3
                    && c == token % SIZE
                    && token < LagRelative.SINKS + 2 * LagRelative.LAG
                ? (token < LagRelative.SINKS + LagRelative.LAG ? 900 : 30)
                : (float) Math.sin(token * 7 + c),
        EVEN);
    int[] expected =
        IntStream.concat(
                IntStream.range(0, LagRelative.SINKS),
                IntStream.concat(
                    Arrays.stream(range(0, 16, 16, LagRelative.SINKS + 3)),
                    IntStream.range(LagRelative.SINKS + 2 * LagRelative.LAG, length)))
            .toArray();
    assertThat(positions(cache, 3, 1)).containsExactly(expected);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 30, 200})
  void h2oKeepsHeavyHittersThatNobodyLooksAtAnyMore(int step) {
    KvCache cache =
        made.cache(Recipe.of("score=h2o(10) budget=uniform(14) action=evict when=step"));
    cache.text().prompt(200);
    // Four tokens were looked at in the middle of the prompt; one query head of two looked.
    made.read(
        cache,
        200,
        step,
        random(1),
        (layer, query, row, token) ->
            query % GROUP == 1 && row < 100 && token % 20 == 7 && token < 80 ? 0.2f : 0.001f);
    assertThat(positions(cache, 0, 0))
        .containsExactly(7, 27, 47, 67, 190, 191, 192, 193, 194, 195, 196, 197, 198, 199);
    // A token of the answer that is looked at takes a place.
    made.read(cache, 40, 1, random(1), (_, _, _, token) -> token == 205 ? 5 : 0.001f);
    assertThat(positions(cache, 0, 0)).contains(205, 239).hasSize(14);
    assertThat(made.looked())
        .as("every row, where a layer sees everything")
        .isEqualTo(240 * LAYERS * HEADS);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 30, 101})
  void scissorhandsDropsHalfAtOnceAndKeepsWhatIsOftenLookedAt(int step) {
    KvCache cache =
        made.cache(Recipe.of("score=pivotal(50,4) budget=uniform(100) action=evict when=half"));
    // Every tenth gets more than its share of each row; one much more, but of few rows.
    Attention attention =
        (_, _, row, token) ->
            token == 33 && row % 10 == 0
                ? 1
                : token % 10 == 1 || (token < 60 && row % 5 == 0 && token != 33)
                    ? 2f / (row + 1)
                    : 0.5f / (row + 1);
    made.read(cache, 100, step, random(1), attention);
    assertThat(cache.head(0, 0).count()).as("as many as it may keep").isEqualTo(100);
    made.step(cache, 1, random(1), attention);
    assertThat(positions(cache, 0, 0))
        .hasSize(50)
        .contains(range(0, 10, 10, 1))
        .endsWith(97, 98, 99, 100)
        .doesNotContain(33);
    made.read(cache, 50, 1, random(1), attention);
    assertThat(cache.head(0, 0).count()).as("it fills up again").isEqualTo(100);
    made.step(cache, 1, random(1), attention);
    assertThat(positions(cache, 0, 0)).hasSize(50).contains(range(0, 15, 10, 1));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 9, 50, 200})
  void snapkvKeepsWhatTheLastRowsLookAt(int step) {
    KvCache cache =
        made.cache(Recipe.of("score=window(16) budget=uniform(26) action=evict when=prompt"));
    cache.text().prompt(200);
    // Much attention before the window counts nothing; neighbours of what counts are kept too.
    made.read(
        cache,
        200,
        step,
        random(1),
        (_, query, row, token) ->
            row < 184
                ? (token == 20 ? 1 : 0)
                : token == 50 || token == 120 + query / GROUP ? 0.3f : 0);
    assertThat(positions(cache, 2, 0))
        .startsWith(48, 49, 50, 51, 52, 118, 119, 120, 121, 122, 184)
        .hasSize(26);
    assertThat(positions(cache, 2, 1)).startsWith(48, 49, 50, 51, 52, 119, 120, 121, 122, 123, 184);
    int gathered = made.looked();
    assertThat(gathered)
        .isBetween(16 * LAYERS * HEADS, Math.max(16, Math.min(32, 15 + step)) * LAYERS * HEADS);
    made.read(cache, 20, 1, random(1), EVEN);
    assertThat(made.looked()).as("nothing is looked at any more").isEqualTo(gathered);
    assertThat(positions(cache, 2, 0)).as("once").hasSize(46).endsWith(219);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 9, 50, 200})
  void dapqKeepsWhatRowsAfterThePromptLookAt(int step) {
    KvCache cache =
        made.cache(Recipe.of("score=ahead(8) budget=uniform(10) action=evict when=prompt"));
    cache.text().prompt(200);
    // Rows of the prompt look at one token, those after it at others, the last of it not at all.
    Attention attention =
        (_, query, row, token) ->
            row < 200
                ? (token == 20 ? 1 : 0)
                : token == 50 || token == 120 + query / GROUP ? 0.3f : 0;
    made.read(cache, 200, step, random(1), attention);
    assertThat(cache.length()).as("nothing of them is kept").isEqualTo(200);
    assertThat(positions(cache, 2, 0)).containsExactly(48, 49, 50, 51, 52, 118, 119, 120, 121, 122);
    assertThat(positions(cache, 2, 1)).containsExactly(48, 49, 50, 51, 52, 119, 120, 121, 122, 123);
    int gathered = made.looked();
    made.read(cache, 20, 1, random(1), EVEN);
    assertThat(made.looked()).as("nothing is looked at any more").isEqualTo(gathered);
    assertThat(positions(cache, 2, 0)).hasSize(30).endsWith(219);
  }

  @Test
  void aWindowThatHasJustBegunCountsTheOneBefore() {
    KvCache cache =
        made.cache(Recipe.of("score=window(8) budget=uniform(13) action=evict when=block(1)"));
    cache.text().prompt(1000);
    // The row 104 begins a window.
    made.read(
        cache, 105, 105, random(1), (_, _, row, token) -> row < 104 ? (token == 50 ? 1 : 0) : 0);
    assertThat(positions(cache, 0, 0)).startsWith(48, 49, 50, 51, 52).endsWith(range(97, 105));
  }

  @Test
  void cakeKeepsWhatIsLookedAtByTurns() {
    KvCache cache =
        made.cache(Recipe.of("score=varied(10,200) budget=uniform(15) action=evict when=prompt"));
    cache.text().prompt(200);
    // As much attention on average, but the second token has it from two rows of ten.
    made.read(
        cache,
        200,
        200,
        random(1),
        (_, _, row, token) ->
            token == 50 ? 0.02f : token == 120 ? (row % 10 < 2 ? 0.1f : 0) : 0.0001f);
    assertThat(positions(cache, 2, 0)).startsWith(118, 119, 120, 121, 122, 190).hasSize(15);
  }

  @Test
  void momentsAreThoseOfEachQueryHead() {
    KvCache cache =
        made.cache(Recipe.of("score=varied(4,200) budget=uniform(900) action=evict when=step"));
    cache.text().prompt(40);
    Attention attention = randomAttention(5);
    made.read(cache, 40, 9, random(1), attention);
    Moments.OfTokens moments = new Moments(4).of(cache.head(2, 1));
    for (int token : new int[] {0, 20, 35}) {
      double mean = 0;
      double variance = 0;
      double entropy = 0;
      for (int query = GROUP; query < 2 * GROUP; query++) {
        double[] weights = new double[4];
        for (int r = 0; r < 4; r++) {
          weights[r] = attention.at(2, query, 36 + r, token);
          entropy -= weights[r] * Math.log(weights[r]) / GROUP;
        }
        double own = Arrays.stream(weights).average().orElseThrow();
        mean += own / GROUP;
        variance += Arrays.stream(weights).map(w -> (w - own) * (w - own)).sum() / 3 / GROUP;
      }
      assertThat(moments.mean()[token]).isCloseTo((float) mean, within(1e-5f));
      assertThat(moments.variance()[token]).isCloseTo((float) variance, within(1e-5f));
      assertThat(moments.entropy()[token]).isCloseTo((float) entropy, within(1e-5f));
    }
  }

  @Test
  void aStepThatFailedLeavesNoScores() {
    KvCache cache =
        made.cache(Recipe.of("score=h2o(1) budget=uniform(4) action=evict when=block(1)"));
    made.read(cache, 4, 4, random(1), (_, _, _, _) -> 0);
    cache.reserve(2);
    cache.view().observe(0, new SeenStep(4, 2, (_, _, _, out) -> out.data().fill((byte) 1)));
    assertThat(cache.head(0, 0).scores(0, 6)).doesNotContain(0);
    cache.reserve(1);
    assertThat(cache.head(0, 0).scores(0, 6)).endsWith(0, 0);
  }
}

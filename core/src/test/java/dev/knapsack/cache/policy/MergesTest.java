package dev.knapsack.cache.policy;

import static dev.knapsack.cache.policy.MadeCaches.SIZE;
import static dev.knapsack.cache.policy.MadeStep.EVEN;
import static dev.knapsack.cache.policy.MadeStep.positions;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.policy.MadeStep.Vectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** What becomes of tokens that go where they are merged into others. */
class MergesTest {
  @RegisterExtension private final MadeCaches made = new MadeCaches();

  @Test
  void elasticMergesWhatGoesIntoTheNearestAndThenForgets() {
    KvCache cache =
        made.cache(Recipe.of("score=elastic(2,4) budget=uniform(8) action=nearest when=step"));
    cache.text().prompt(40);
    Vectors position = (_, _, token, _) -> token;
    made.read(
        cache, 40, 15, position, (_, _, _, token) -> token == 10 || token == 20 ? 0.4f : 0.01f);
    // Two first, two that are looked at, and four last.
    assertThat(positions(cache, 0, 0)).containsExactly(0, 1, 10, 20, 36, 37, 38, 39);
    float[] expected = {0, 3, 10.5f, 22, 32.5f, 37, 38, 39};
    float[] numbers = new float[SIZE];
    for (int i = 0; i < expected.length; i++) {
      cache.head(0, 0).key(i, numbers);
      assertThat(numbers).as("key %d", i).containsOnly(expected[i]);
      cache.head(0, 0).value(i, numbers);
      assertThat(numbers).as("value %d", i).containsOnly(expected[i]);
    }
    int gathered = made.looked();
    made.step(cache, 1, position, EVEN);
    assertThat(positions(cache, 0, 0)).containsExactly(0, 1, 10, 20, 37, 38, 39, 40);
    made.step(cache, 1, position, EVEN);
    assertThat(positions(cache, 0, 0)).containsExactly(0, 1, 10, 20, 38, 39, 40, 41);
    cache.head(0, 0).key(3, numbers);
    assertThat(numbers).as("nothing is merged any more").containsOnly(22);
    assertThat(made.looked()).as("nor looked at").isEqualTo(gathered);
  }

  @Test
  void kvmergerMakesOneOfTokensInARowWhoseKeysPointTheSameWay() {
    KvCache cache =
        made.cache(Recipe.of("score=h2o(2) budget=uniform(8) action=runs(0.75) when=prompt"));
    cache.text().prompt(30);
    // Two heavy tokens; runs of five with one direction each, of lengths that differ.
    Vectors vectors =
        (_, _, token, c) -> c == token / 5 ? token % 5 == 2 ? 1 : token % 5 == 4 ? 3 : 2 : 0;
    made.read(
        cache,
        30,
        30,
        vectors,
        (_, _, _, token) ->
            token == 3 || token == 13 ? 9 : token % 5 == 2 ? 0.5f + token / 100f : 0.01f);
    // Half is kept as it is: two heavy and two last; the runs with the best pivots are merged.
    assertThat(positions(cache, 0, 0)).containsExactly(2, 3, 7, 12, 13, 17, 28, 29);
    CachedHead head = cache.head(0, 0);
    float[] numbers = new float[SIZE];
    head.key(4, numbers);
    assertThat(numbers[2]).as("heavy ones are not merged").isEqualTo(2);
    // Distances from the pivot, of length 1: 1 1 0 1 2, whose mean square is 7/4.
    double near = Math.exp(-1 / 3.5);
    double far = Math.exp(-4 / 3.5);
    head.key(2, numbers);
    assertThat(numbers[1])
        .isCloseTo((float) ((1 + 3 * 2 * near + 3 * far) / (1 + 3 * near + far)), within(1e-5f));
    head.value(2, numbers);
    assertThat(numbers[1])
        .isCloseTo((float) ((1 + 3 * 2 * near + 3 * far) / (1 + 3 * near + far)), within(1e-5f));
    assertThat(numbers[3]).isZero();
    // The heavy token of the run 10…14 parts it: its pivot takes what stands before.
    head.key(3, numbers);
    assertThat(numbers[2])
        .isCloseTo(
            (float) ((1 + 2 * 2 * Math.exp(-0.5)) / (1 + 2 * Math.exp(-0.5))), within(1e-5f));
  }

  @Test
  void keysThatPointElsewhereAreNotMerged() {
    KvCache cache =
        made.cache(Recipe.of("score=h2o(1) budget=uniform(6) action=runs(0.75) when=prompt"));
    cache.text().prompt(20);
    made.read(
        cache,
        20,
        20,
        (_, _, token, c) -> c == token % SIZE ? 2 : 0,
        (_, _, _, token) -> token % 4 == 1 ? 1 + token / 10f : 0.01f);
    assertThat(positions(cache, 0, 0)).hasSize(6).contains(9, 13, 17, 19);
    float[] numbers = new float[SIZE];
    for (int i = 0; i < 6; i++) {
      cache.head(0, 0).key(i, numbers);
      assertThat(numbers[cache.head(0, 0).position(i) % SIZE]).isEqualTo(2);
    }
  }
}

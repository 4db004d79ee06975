package dev.knapsack.cache.policy;

import static dev.knapsack.cache.policy.MadeStep.EVEN;
import static dev.knapsack.cache.policy.MadeStep.ZERO;
import static dev.knapsack.cache.policy.MadeStep.positions;
import static dev.knapsack.cache.policy.MadeStep.range;
import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.policy.MadeStep.Attention;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Rows that are only looked at decide what stays, at the end of every block of the prompt. */
class PseudoQueriesTest {
  @RegisterExtension final MadeCaches caches = new MadeCaches();

  private KvCache cache(String recipe) {
    return caches.cache(Recipe.of(recipe));
  }

  @ParameterizedTest
  @CsvSource({"patch, 1", "patch, 16", "ahead, 16", "patch, 40"})
  void whatTheyLookAtSurvivesEveryBlock(String score, int step) {
    KvCache cache =
        cache("score=%s(8) budget=uniform(20) action=evict when=prompt(16)".formatted(score));
    cache.text().prompt(200);
    // Rows of the text look at what goes.
    Attention attention =
        (_, _, row, token) ->
            row < cache.text().stepEnd()
                ? 1f / (token + 1)
                : token == 30 || token == 90 ? 0.4f : 1e-6f * token;
    while (cache.length() < 200) {
      caches.read(cache, Math.min(step, 200 - cache.length()), step, ZERO, attention);
      assertThat(cache.head(2, 1).count()).isLessThanOrEqualTo(20 + 15);
    }
    int[] kept = positions(cache, 2, 1);
    assertThat(kept).hasSize(20).contains(range(28, 33)).contains(range(88, 93)).endsWith(197);
    int looked = caches.looked();
    assertThat(looked).isLessThanOrEqualTo((200 / 16) * 8 * MadeCaches.LAYERS * MadeCaches.HEADS);
    for (int length = 201; length <= 220; length++) {
      caches.step(cache, 1, ZERO, EVEN);
      int[] more = positions(cache, 2, 1);
      assertThat(more).as("what follows the prompt stays").endsWith(range(200, length));
      assertThat(more).contains(90).hasSizeLessThanOrEqualTo(20 + 15);
    }
    assertThat(caches.looked()).as("nobody looks ahead of an answer").isEqualTo(looked);
  }

  @Test
  void theRowAndTheHeadThatLookMostCount() {
    Attention attention =
        (_, query, row, token) ->
            token == 50 ? 0.2f : token == 80 && query == 3 && row == 103 ? 0.5f : 0;
    String rest = "(8) budget=uniform(5) action=evict when=prompt";
    KvCache patch = cache("score=patch" + rest);
    patch.text().prompt(100);
    caches.step(patch, 100, ZERO, attention);
    assertThat(positions(patch, 2, 1)).isEqualTo(range(78, 83));
    assertThat(positions(patch, 2, 0)).isEqualTo(range(48, 53));
    KvCache mean = cache("score=ahead" + rest);
    mean.text().prompt(100);
    caches.step(mean, 100, ZERO, attention);
    assertThat(positions(mean, 2, 1)).isEqualTo(range(48, 53));
  }

  @ParameterizedTest
  @ValueSource(ints = {3, 8, 12})
  void aPatchHasAsManyRowsAsTokens(int tokens) {
    KvCache cache = cache("score=patch(8) budget=uniform(20) action=evict when=prompt(16)");
    cache.text().prompt(100);
    assertThat(cache.view().lookahead(64)).isEqualTo(8);
    cache.text().patch(new int[tokens]);
    assertThat(cache.view().lookahead(64)).isEqualTo(Math.min(tokens, 8));
    assertThat(cache.view().lookahead(4)).as("half of a step at most").isEqualTo(2);
    assertThat(cache.view().lookahead(64, 35)).as("nothing is to be forgotten yet").isZero();
    assertThat(cache.view().lookahead(64, 36)).isEqualTo(Math.min(tokens, 8));
    assertThat(cache.view().lookahead(200, 100)).isEqualTo(Math.min(tokens, 8));
    try (KvCache fork = cache.fork()) {
      assertThat(fork.text().patch()).hasSize(tokens);
    }
  }
}

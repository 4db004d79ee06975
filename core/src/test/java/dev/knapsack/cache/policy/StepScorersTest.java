package dev.knapsack.cache.policy;

import static dev.knapsack.cache.policy.MadeStep.positions;
import static dev.knapsack.cache.policy.MadeStep.random;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.cache.SeenStep;
import dev.knapsack.cache.policy.MadeStep.Vectors;
import dev.knapsack.tensor.Formats;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What scorers that look at more than attention make of steps that were made for them. */
class StepScorersTest {
  private static final int SIZE = 4;
  private static final int GROUP = 2;
  private static final int HEADS = 2;

  @RegisterExtension private final MadeCaches made = new MadeCaches();

  private Vectors keys = (_, _, _, _) -> 1;
  private Vectors queries = MadeStep.ZERO;
  private SeenStep.Norms norms = (_, _) -> 1;

  /** Attention of all rows, all heads alike. */
  private float[] attention = new float[1000];

  private KvCache cache(KvPolicy policy) {
    LayerLayout.Heads layer = new LayerLayout.Heads(HEADS, SIZE, SIZE, 0, GROUP);
    KvLayout layout = new KvLayout(List.of(layer), Formats.F32, Formats.F32, 0, policy, 8);
    return made.cache(layout);
  }

  private void read(KvCache cache, int tokens, int step) {
    MadeStep.Attention alike = (_, _, _, token) -> attention[token];
    new MadeStep(keys, queries, alike, norms, new AtomicInteger()).read(cache, tokens, step);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 30, 200})
  void expectedKeepsWhatQueriesToComeLookAt(int step) {
    KvCache cache = cache(Recipe.of("score=expected budget=uniform(24) action=evict when=prompt"));
    cache.text().prompt(200);
    // Queries have a mean in one channel and differ in another; the first ones are unlike them.
    queries =
        (_, _, token, channel) ->
            switch (channel) {
              case 0 -> 3;
              case 1 -> token % 2 == 0 ? 1.5f : -1.5f;
              default -> token < ExpectedAttention.SINKS ? 100 : 0;
            };
    // Keys are equally long: one in ten goes with the mean, one with what differs.
    keys =
        (_, _, token, channel) ->
            switch (token % 10) {
              case 5 -> channel == 0 ? 2 : 0;
              case 7 -> channel == 1 ? -2 : 0;
              case 8 -> channel == 0 ? -2 : 0;
              default -> channel == 2 ? 2 : 0;
            };
    read(cache, 100, step);
    long whileRead = made.account().used();
    read(cache, 100, step);
    // 20 go with the mean; the others' product is 0 on average, and its variance 9.
    int[] kept = positions(cache, 0, 0);
    assertThat(kept).startsWith(0, 1, 2, 3, 5, 15, 25).endsWith(175, 185, 195).hasSize(24);
    assertThat(whileRead).isPositive();
    queries =
        (_, _, _, _) -> {
          throw new AssertionError("Nothing is forgotten after the prompt");
        };
    read(cache, 10, 1);
    assertThat(cache.head(0, 1).count()).isEqualTo(34);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 7, 150})
  void expectedIsThePublishedFormula(int step) {
    Recipe recipe =
        (Recipe) Recipe.of("score=expected budget=uniform(500) action=evict when=block(1)");
    KvCache cache = cache(recipe);
    // A mean that is large beside what queries differ by.
    queries =
        (layer, head, token, channel) -> 50 * channel + random(1).at(layer, head, token, channel);
    keys = (layer, head, token, channel) -> random(2).at(layer, head, token, channel) / 20;
    read(cache, 150, step);
    for (int h = 0; h < HEADS; h++) {
      float[] scores = new float[150];
      recipe.scorer().score(cache.head(0, h), scores);
      double[] expected = expected(h, 150);
      assertThat(Arrays.copyOf(scores, ExpectedAttention.SINKS))
          .containsOnly(Float.POSITIVE_INFINITY);
      for (int i = ExpectedAttention.SINKS; i < 150; i++) {
        assertThat((double) scores[i]).isCloseTo(expected[i], within(expected[i] / 1000));
      }
    }
  }

  /** As it is written, in double precision. */
  private double[] expected(int kvHead, int tokens) {
    double[] out = new double[tokens];
    int n = tokens - ExpectedAttention.SINKS;
    for (int head = kvHead * GROUP; head < (kvHead + 1) * GROUP; head++) {
      double[] mean = new double[SIZE];
      double[][] covariance = new double[SIZE][SIZE];
      for (int t = ExpectedAttention.SINKS; t < tokens; t++) {
        for (int c = 0; c < SIZE; c++) {
          mean[c] += (double) queries.at(0, head, t, c) / n;
        }
      }
      for (int t = ExpectedAttention.SINKS; t < tokens; t++) {
        for (int i = 0; i < SIZE * SIZE; i++) {
          covariance[i / SIZE][i % SIZE] +=
              (queries.at(0, head, t, i / SIZE) - mean[i / SIZE])
                  * (queries.at(0, head, t, i % SIZE) - mean[i % SIZE])
                  / n;
        }
      }
      double[] weights = new double[tokens];
      double sum = 0;
      for (int t = ExpectedAttention.SINKS; t < tokens; t++) {
        double exponent = 0;
        for (int i = 0; i < SIZE; i++) {
          exponent += keys.at(0, kvHead, t, i) * mean[i];
          for (int j = 0; j < SIZE; j++) {
            exponent +=
                (double) keys.at(0, kvHead, t, i) * covariance[i][j] * keys.at(0, kvHead, t, j) / 2;
          }
        }
        weights[t] = Math.exp(exponent);
        sum += weights[t];
      }
      for (int t = 0; t < tokens; t++) {
        double square = 0;
        for (int c = 0; c < SIZE; c++) {
          square += (double) keys.at(0, kvHead, t, c) * keys.at(0, kvHead, t, c);
        }
        out[t] += weights[t] / sum * Math.sqrt(square) / GROUP;
      }
    }
    return out;
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 50, 200})
  void criticalkvKeepsWhatMovesTheResultMost(int step) {
    KvCache cache =
        cache(Recipe.of("score=critical(4) budget=uniform(18) action=evict when=prompt"));
    cache.text().prompt(200);
    // Of 18, half go by attention alone: the window's four, and a token and its neighbours.
    attention[50] = 0.3f;
    attention[100] = 0.03f;
    // Nobody looks at these, but what they would add is large.
    norms = (position, kvHead) -> position / 2 == 75 + kvHead ? 1000 : 1;
    read(cache, 200, step);
    assertThat(positions(cache, 0, 0))
        .startsWith(48, 49, 50, 51, 52)
        .contains(98, 99, 100, 101, 102, 150, 151)
        .endsWith(196, 197, 198, 199)
        .hasSize(18);
    assertThat(positions(cache, 0, 1)).contains(152, 153).doesNotContain(150, 151);
    // An answer's tokens, of which no norm is known, count like others.
    read(cache, 10, 1);
    cache.text().prompt(230);
    attention[205] = 1;
    norms = (_, _) -> 1;
    read(cache, 20, step);
    assertThat(positions(cache, 0, 0)).contains(50, 203, 204, 205, 206, 207).hasSize(18);
  }
}

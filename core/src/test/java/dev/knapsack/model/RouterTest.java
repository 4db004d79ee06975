package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.knapsack.kernel.Activation;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class RouterTest {
  private static final int TOKENS = 40;
  private static final int COUNT = 12;

  private static Experts experts(int used, Gating gating) {
    return new Experts(
        Norms.NONE,
        8,
        COUNT,
        used,
        8,
        new Nonlinearity.Gated(Activation.SILU),
        gating,
        0,
        Experts.Routed.INPUT,
        null);
  }

  private static Matrix matrix(float[] numbers, int columns) {
    MemorySegment data = MemorySegment.ofArray(numbers);
    return new Matrix(Formats.F32, numbers.length / columns, columns, data);
  }

  private static float[] random(int count, double deviation, long seed) {
    Random random = new Random(seed);
    float[] numbers = new float[count];
    for (int i = 0; i < count; i++) {
      numbers[i] = (float) (deviation * random.nextGaussian());
    }
    return numbers;
  }

  /** What each token's experts count with, by their numbers. */
  private static List<Map<Integer, Float>> routes(
      Experts experts, float[] bias, float[] logits, int rows) {
    Router router = new Router(rows);
    Matrix biases = bias == null ? null : matrix(bias, COUNT);
    router.route(experts.gating(), experts.used(), biases, matrix(logits, COUNT));
    List<Map<Integer, Float>> routes = new ArrayList<>();
    for (int t = 0; t < rows; t++) {
      routes.add(new TreeMap<>());
    }
    for (int expert : router.active()) {
      for (int i = 0; i < router.count(expert); i++) {
        routes.get(router.row(expert, i)).put(expert, router.weight(expert, i));
      }
    }
    return routes;
  }

  private static double[] gates(Gating.Function function, double[] logits) {
    double sum = Arrays.stream(logits).map(Math::exp).sum();
    return switch (function) {
      case SOFTMAX -> Arrays.stream(logits).map(x -> Math.exp(x) / sum).toArray();
      case SIGMOID -> Arrays.stream(logits).map(x -> 1 / (1 + Math.exp(-x))).toArray();
      case SOFTMAX_OF_CHOSEN -> logits;
    };
  }

  private static int[] highest(double[] scores, int[] among, int count) {
    return IntStream.of(among)
        .boxed()
        .sorted(Comparator.comparingDouble(i -> -scores[i]))
        .limit(count)
        .mapToInt(i -> i)
        .toArray();
  }

  /** The same once more: sorted, in double precision. */
  static Map<Integer, Double> expected(Experts experts, float[] bias, double[] logits) {
    Gating gating = experts.gating();
    double[] gates = gates(gating.function(), logits);
    double[] scores = gates.clone();
    for (int e = 0; bias != null && e < COUNT; e++) {
      scores[e] += bias[e];
    }
    int size = COUNT / gating.groups();
    double[] groups =
        IntStream.range(0, gating.groups())
            .mapToDouble(g -> {
              int[] all = IntStream.range(g * size, (g + 1) * size).toArray();
              return Arrays.stream(highest(scores, all, 2)).mapToDouble(e -> scores[e]).sum();
            })
            .toArray();
    int[] kept =
        highest(groups, IntStream.range(0, gating.groups()).toArray(), gating.usedGroups());
    int[] among =
        IntStream.of(kept).flatMap(g -> IntStream.range(g * size, (g + 1) * size)).toArray();
    int[] chosen = highest(scores, among, experts.used());
    double[] weights = Arrays.stream(chosen).mapToDouble(e -> gates[e]).toArray();
    if (gating.function() == Gating.Function.SOFTMAX_OF_CHOSEN) {
      weights = gates(Gating.Function.SOFTMAX, weights);
    }
    double sum = gating.normalise() ? Arrays.stream(weights).sum() : 1;
    Map<Integer, Double> routes = new TreeMap<>();
    for (int k = 0; k < chosen.length; k++) {
      routes.put(chosen[k], weights[k] / sum * gating.scale());
    }
    return routes;
  }

  private static void check(Experts experts, float[] bias) {
    float[] logits = random(TOKENS * COUNT, 1.5, 3);
    List<Map<Integer, Float>> routes = routes(experts, bias, logits, TOKENS);
    for (int t = 0; t < TOKENS; t++) {
      double[] row = new double[COUNT];
      for (int e = 0; e < COUNT; e++) {
        row[e] = logits[t * COUNT + e];
      }
      Map<Integer, Double> expected = expected(experts, bias, row);
      assertThat(routes.get(t).keySet()).isEqualTo(expected.keySet());
      routes
          .get(t)
          .forEach((expert, weight) ->
              assertThat((double) weight).isCloseTo(expected.get(expert), within(1e-6)));
    }
  }

  @ParameterizedTest
  @EnumSource
  void choosesAndWeighsByEachFunction(Gating.Function function) {
    float[] bias = random(COUNT, 0.5, 5);
    for (int used : List.of(1, 3, COUNT)) {
      for (boolean normalise : List.of(false, true)) {
        Experts experts = experts(used, new Gating(function, normalise, 2.5f));
        check(experts, null);
        check(experts, bias);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 4})
  void choosesWithinTheBestGroups(int usedGroups) {
    for (int groups : List.of(4, 6, 12)) {
      int used = Math.min(3, usedGroups * COUNT / groups);
      Gating gating = new Gating(Gating.Function.SIGMOID, true, 2.5f, groups, usedGroups, false);
      check(experts(used, gating), null);
      check(experts(used, gating), random(COUNT, 0.5, 7));
    }
  }

  @Test
  void sigmoidsThatAreAllOneAreToldApartByTheirLogits() {
    Gating gating = new Gating(Gating.Function.SIGMOID, false, 1);
    float[] logits = new float[COUNT];
    Arrays.fill(logits, 40);
    logits[7] = 41;
    assertThat(routes(experts(1, gating), null, logits, 1)).containsExactly(Map.of(7, 1f));
  }

  @Test
  void weightsThatAreAllZeroStayFinite() {
    Gating gating = new Gating(Gating.Function.SIGMOID, true, 1);
    float[] logits = new float[COUNT];
    Arrays.fill(logits, -300);
    assertThat(routes(experts(2, gating), null, logits, 1)).containsExactly(Map.of(0, 0f, 1, 0f));
  }

  @Test
  void noExpertIsChosenTwiceWhateverTheLogits() {
    for (float logit : new float[] {Float.NaN, Float.NEGATIVE_INFINITY}) {
      float[] logits = new float[COUNT];
      Arrays.fill(logits, logit);
      Gating gating = new Gating(Gating.Function.SIGMOID, true, 1, 4, 2, false);
      assertThat(routes(experts(3, gating), null, logits, 1).getFirst()).hasSize(3);
    }
  }
}

package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.KnapsackException;
import dev.knapsack.error.LogitsException;
import dev.knapsack.generation.Sampling;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Holds the sampler to a naive one that sorts everything, and its draws to the probabilities. */
class SamplerTest {
  private static final Sampling ALL = Sampling.DEFAULT.withTopK(0).withTopP(1).withMinP(0);

  static Stream<Sampling> cuts() {
    return Stream.of(
        ALL,
        ALL.withTemperature(1.7f),
        ALL.withTopK(1),
        ALL.withTopK(7),
        ALL.withTopK(100_000),
        ALL.withTopP(0.3f),
        ALL.withTopP(0.9f),
        ALL.withTopP(0.999f).withTemperature(2),
        ALL.withMinP(0.1f),
        ALL.withTopP(0.8f).withMinP(0.05f),
        ALL.withTopK(20).withTopP(0.7f),
        Sampling.DEFAULT,
        Sampling.DEFAULT.withPenalties(1.3f, 0.2f, 0.1f, 32),
        Sampling.DEFAULT.withPenalties(1, 0, -0.4f, -1),
        ALL.withPenalties(1.1f, 0.5f, 0, 5),
        Sampling.DEFAULT.withLogitBias(Map.of(3, 6f, 0, Float.NEGATIVE_INFINITY)),
        Sampling.GREEDY.withPenalties(1.5f, 0, 0, 64));
  }

  /** The definition: sort all, cut, and walk; for the same random number the same token. */
  private static int naive(Sampling s, float[] given, Tokens history, double u) {
    Map<Integer, Double> logits = new TreeMap<>();
    int window =
        s.penaltyWindow() < 0 ? history.size() : Math.min(s.penaltyWindow(), history.size());
    for (int t = 0; t < given.length; t++) {
      float l = given[t] + s.logitBias().getOrDefault(t, 0f);
      int token = t;
      long count =
          IntStream.range(history.size() - window, history.size())
              .filter(i -> history.get(i) == token)
              .count();
      if (count > 0) {
        l = l > 0 ? l / s.repetitionPenalty() : l * s.repetitionPenalty();
        l = l - s.presencePenalty() - count * s.frequencyPenalty();
      }
      logits.put(t, (double) l);
    }
    List<Integer> order = new ArrayList<>(logits.keySet());
    order.sort(Comparator.<Integer>comparingDouble(t -> -logits.get(t)).thenComparing(t -> t));
    double max = logits.get(order.get(0));
    if (s.temperature() == 0) {
      return order.get(0);
    }
    if (s.topK() > 0) {
      order = order.subList(0, Math.min(s.topK(), order.size()));
    }
    if (s.topP() < 1) {
      double mass = order.stream().mapToDouble(t -> Math.exp(logits.get(t) - max)).sum();
      double sum = 0;
      int n = 0;
      while (n < order.size() && sum < s.topP() * mass) {
        sum += Math.exp(logits.get(order.get(n++)) - max);
      }
      order = order.subList(0, n);
    }
    order = order.stream().filter(t -> logits.get(t) - max >= (float) Math.log(s.minP())).toList();
    if ((s.topK() == 0 || s.topK() >= given.length) && s.topP() == 1) {
      order = order.stream().sorted().toList(); // no cut: walked in the order of ids
    }
    double total =
        order.stream().mapToDouble(t -> Math.exp((logits.get(t) - max) / s.temperature())).sum();
    double left = u * total;
    for (int t : order) {
      left -= Math.exp((logits.get(t) - max) / s.temperature());
      if (left < 0) {
        return t;
      }
    }
    return order.getLast();
  }

  @ParameterizedTest
  @MethodSource("cuts")
  void choosesWhatTheDefinitionChooses(Sampling sampling) {
    SplittableRandom random = new SplittableRandom(7);
    int different = 0;
    try (Arena arena = Arena.ofConfined()) {
      for (int round = 0; round < 120; round++) {
        int vocabulary = 1 + random.nextInt(1, 700);
        float[] logits = new float[Math.max(4, vocabulary)];
        float spread = random.nextInt(1, 6);
        for (int t = 0; t < logits.length; t++) {
          // Rounded, so that ties are common.
          logits[t] = Math.round(random.nextGaussian() * spread * 8) / 8f;
        }
        Tokens history = new Tokens(0);
        for (int i = random.nextInt(80); i > 0; i--) {
          history.add(random.nextInt(Math.min(40, logits.length)));
        }
        MemorySegment memory = arena.allocate(4L * logits.length + 8, 4);
        Sampler sampler = new Sampler(sampling, logits.length, round, OptionalInt.empty());
        double u = new SplittableRandom(round).nextDouble();
        MemorySegment.copy(logits, 0, memory, ValueLayout.JAVA_FLOAT, 8, logits.length);
        if (sampler.sample(memory, 8, logits.length, history).id()
            != naive(sampling, logits, history, u)) {
          different++;
        }
      }
    }
    // A tie of rounding at the edge of a nucleus may fall either way; anything more is a fault.
    assertThat(different).isLessThanOrEqualTo(1);
  }

  @ParameterizedTest
  @ValueSource(floats = {0.5f, 1, 2})
  void drawsInProportionToTheProbabilities(float temperature) {
    float[] logits = {1.5f, -0.25f, 0, 2, 0.75f, -1, 1.5f, 0.1f, -0.5f, 1};
    double[] expected = new double[logits.length];
    for (int t = 0; t < logits.length; t++) {
      expected[t] = Math.exp(logits[t] / temperature);
    }
    double sum = Arrays.stream(expected).sum();
    int draws = 20_000;
    for (Sampling sampling : List.of(ALL, ALL.withTopK(9).withTopP(0.99999f))) {
      int[] seen = draw(sampling.withTemperature(temperature), logits, draws);
      boolean all = sampling.topK() == 0;
      double total = all ? sum : sum - expected[5];
      double chiSquare = 0;
      for (int t = 0; t < logits.length; t++) {
        double e = (all || t != 5) ? draws * expected[t] / total : 0;
        if (e == 0) {
          assertThat(seen[t]).isZero();
        } else {
          chiSquare += (seen[t] - e) * (seen[t] - e) / e;
        }
      }
      // 9 degrees of freedom: above 27.9 once in a thousand, if draws are as they should be.
      assertThat(chiSquare).isLessThan(27.9);
    }
  }

  @Test
  void aSeedFixesTheDrawsAndAnotherSeedChangesThem() {
    float[] logits = new float[50];
    assertThat(draws(ALL, logits, 100, 5)).isEqualTo(draws(ALL, logits, 100, 5));
    assertThat(draws(ALL, logits, 100, 5)).isNotEqualTo(draws(ALL, logits, 100, 6));
  }

  @Test
  void refusesLogitsThatLeaveNoToken() {
    assertThatThrownBy(() -> draws(ALL, new float[] {1, Float.NaN, 2}, 1, 0))
        .isInstanceOf(LogitsException.class)
        .hasMessageContaining("token 1");
    assertThatThrownBy(() -> draws(Sampling.GREEDY, new float[] {Float.POSITIVE_INFINITY, 0}, 1, 0))
        .isInstanceOf(LogitsException.class);
    float none = Float.NEGATIVE_INFINITY;
    assertThatThrownBy(() -> draws(ALL, new float[] {none, none}, 1, 0))
        .isInstanceOf(LogitsException.class)
        .extracting(e -> ((LogitsException) e).kind())
        .isEqualTo(KnapsackException.Kind.FILE);
    Sampling forbids = ALL.withLogitBias(Map.of(0, none, 1, none));
    assertThatThrownBy(() -> draws(forbids, new float[] {1, 2}, 1, 0))
        .isInstanceOf(LogitsException.class)
        .extracting(e -> ((LogitsException) e).kind())
        .isEqualTo(KnapsackException.Kind.REQUEST);
    assertThat(draws(Sampling.DEFAULT, new float[] {none, -3, none}, 20, 0)).containsOnly(1);
  }

  @Test
  void refusesValuesThatMakeNoSense() {
    assertThatThrownBy(() -> Sampling.DEFAULT.withTemperature(-1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("The temperature is -1.0; give 0 to 100.");
    assertThatThrownBy(() -> Sampling.DEFAULT.withTemperature(Float.NaN))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> Sampling.DEFAULT.withTopP(0)).hasMessageContaining("top-p");
    assertThatThrownBy(() -> Sampling.DEFAULT.withTopK(-2)).hasMessageContaining("top-k");
    assertThatThrownBy(() -> Sampling.DEFAULT.withMinP(1.5f)).hasMessageContaining("min-p");
    assertThatThrownBy(() -> Sampling.DEFAULT.withPenalties(0, 0, 0, 1))
        .hasMessageContaining("repetition penalty");
    assertThatThrownBy(() -> Sampling.DEFAULT.withLogitBias(Map.of(-1, 0f)))
        .hasMessageContaining("token -1");
    assertThatThrownBy(() ->
            new Sampler(Sampling.DEFAULT.withLogitBias(Map.of(9, 1f)), 9, 0, OptionalInt.empty()))
        .hasMessageContaining("vocabulary has 9 tokens");
  }

  private static int[] draw(Sampling sampling, float[] logits, int draws) {
    int[] seen = new int[logits.length];
    for (int token : draws(sampling, logits, draws, 42)) {
      seen[token]++;
    }
    return seen;
  }

  private static int[] draws(Sampling sampling, float[] logits, int draws, long seed) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment memory = arena.allocateFrom(ValueLayout.JAVA_FLOAT, logits);
      Sampler sampler = new Sampler(sampling, logits.length, seed, OptionalInt.empty());
      Tokens none = new Tokens(0);
      return IntStream.range(0, draws)
          .map(i -> sampler.sample(memory, 0, logits.length, none).id())
          .toArray();
    }
  }
}

package dev.knapsack.cache.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.KvPool;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.cache.LayerStep;
import dev.knapsack.cache.SeenStep;
import dev.knapsack.kernel.KvSpan;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Tokens that count less stay, in coarser formats. */
class QuantiseTest {
  private static final int SIZE = 32;
  private static final int STEP = 50;

  private final Budget budget = Budget.of("64MiB");
  private final Account account = budget.account("kv");

  /** Scores that have nothing to do with the order of tokens, and are remembered. */
  private record Scattered() implements Scorer {
    @Override
    public String name() {
      return "scattered";
    }

    static float of(int position) {
      return position * 37 % 101 + 1;
    }

    @Override
    public int numbers(LayerLayout.Heads heads) {
      return 1;
    }

    @Override
    public boolean looks(int layer) {
      return true;
    }

    @Override
    public void observe(CachedHead head, LayerStep step) {
      float[] remembered = head.scores(0, head.count() + step.rows());
      for (int row = 0; row < step.rows(); row++) {
        remembered[head.count() + row] = of(step.position(row));
      }
    }

    @Override
    public void score(CachedHead head, float[] out) {
      float[] remembered = head.scores(0, head.count());
      for (int i = 0; i < head.count(); i++) {
        float score = of(head.position(i));
        assertThat(remembered[i]).as("moved with its token").isEqualTo(score);
        out[i] = score;
      }
    }
  }

  private static KvLayout layout(int recent) {
    Recipe recipe =
        new Recipe(
            new Scattered(),
            new Allocator.Uniform(Size.of(40)),
            new Action.Quantise(Formats.F16, Formats.F16),
            new Trigger.Block(16));
    return new KvLayout(
        List.of(
            new LayerLayout.Heads(2, SIZE, SIZE, 0, 1),
            new LayerLayout.Heads(2, SIZE, SIZE, 90, 1)),
        Formats.F32,
        Formats.F32,
        recent,
        recipe,
        16);
  }

  /** Keys and values whose numbers are the token's position and the sequence. */
  private static void grow(KvCache cache, int tokens, int sequence) {
    int first = cache.length();
    float[] numbers = new float[tokens * 2 * SIZE];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = i % SIZE == 0 ? sequence : first + i / (2 * SIZE);
    }
    Matrix rows = new Matrix(Formats.F32, tokens, 2 * SIZE, MemorySegment.ofArray(numbers));
    cache.reserve(tokens);
    for (int l = 0; l < cache.layout().layers().size(); l++) {
      cache.append(l, 0, rows, rows, 0, tokens);
      cache.view().observe(l, new SeenStep(first, tokens, (_, _, _, _) -> {}));
    }
    cache.commit(tokens);
    cache.encode();
    cache.compress();
  }

  /** Every token is there once, with its own key and value; how many are coarse. */
  private static int check(KvCache cache, int sequenceFrom, int sequence) {
    CachedHead head = cache.head(0, 1);
    int[] positions = IntStream.range(0, head.count()).map(head::position).toArray();
    assertThat(Arrays.stream(positions).sorted())
        .containsExactly(IntStream.range(0, cache.length()).boxed().toArray(Integer[]::new));
    float[] numbers = new float[SIZE];
    for (int i = 0; i < head.count(); i++) {
      for (boolean key : new boolean[] {true, false}) {
        if (key) {
          head.key(i, numbers);
        } else {
          head.value(i, numbers);
        }
        assertThat(numbers[5]).isEqualTo(positions[i]);
        assertThat(numbers[0]).isEqualTo(positions[i] < sequenceFrom ? 1 : sequence);
      }
    }
    int coarse = head.coarse();
    assertThat(Arrays.copyOf(positions, coarse)).isSorted();
    assertThat(Arrays.copyOfRange(positions, coarse, positions.length)).isSorted();
    KvSpan[] spans = cache.spans(0, 0)[1];
    assertThat(Arrays.stream(spans).mapToInt(KvSpan::length).sum()).isEqualTo(cache.length());
    if (coarse > 0) {
      assertThat(spans[0].keyFormat()).isEqualTo(Formats.F16);
      assertThat(spans[0].length()).isEqualTo(coarse);
    }
    return coarse;
  }

  @ParameterizedTest
  @CsvSource({"0", "20"})
  void whatCountsLessTakesFewerBits(int recent) {
    KvLayout layout = layout(recent);
    try (KvPool pool = new KvPool(layout, account);
        KvCache cache = pool.cache()) {
      for (int i = 0; i < 30; i++) {
        grow(cache, i % 3 == 0 ? STEP : 1 + i, 1);
        pool.compact();
        int coarse = check(cache, Integer.MAX_VALUE, 1);
        assertThat(cache.length() - coarse).isLessThan(40 + 16);
        assertThat(account.used()).isLessThanOrEqualTo(layout.bytes(cache.length(), STEP));
      }
      assertThat(account.peak()).isLessThanOrEqualTo(layout.bytes(cache.length(), STEP));
      assertThat(layout.bytes(4000, STEP))
          .isLessThan(layout.withPolicy(KvPolicy.FULL).bytes(4000, STEP) * 6 / 10);
      int most = cache.length();
      assertThat(cache.nearest(most)).isEqualTo(most);
      assertThat(cache.nearest(most - 1)).as("they would not be coarse then").isZero();
      try (KvCache fork = cache.fork()) {
        for (int i = 0; i < 5; i++) {
          grow(fork, 30, 2);
          grow(cache, 30, 3);
        }
        check(fork, most, 2);
        check(cache, most, 3);
      }
      cache.back(0);
      grow(cache, 10, 1);
      assertThat(check(cache, Integer.MAX_VALUE, 1)).isZero();
    }
    assertThat(account.used()).isZero();
  }

  @Test
  void aTokenMayBeGivenAnotherKeyAndValue() {
    try (KvPool pool = new KvPool(layout(20), account);
        KvCache cache = pool.cache()) {
      grow(cache, 100, 1);
      float[] key = new float[SIZE];
      float[] value = new float[SIZE];
      Arrays.fill(key, 7);
      Arrays.fill(value, 9);
      float[] numbers = new float[SIZE];
      try (KvCache fork = cache.fork()) {
        CachedHead head = fork.head(0, 0);
        assertThat(head.coarse()).isPositive();
        for (int i : new int[] {0, head.coarse(), head.count() - 1}) {
          int position = head.position(i);
          head.put(i, key, value);
          head.key(i, numbers);
          assertThat(numbers).containsOnly(7);
          head.value(i, numbers);
          assertThat(numbers).containsOnly(9);
          assertThat(head.position(i)).isEqualTo(position);
        }
      }
      check(cache, Integer.MAX_VALUE, 1);
      CachedHead head = cache.head(0, 0);
      assertThatThrownBy(() -> head.requantise(new int[] {0}))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("to ascend from " + head.coarse());
      assertThatThrownBy(() -> head.put(head.count(), key, value))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  @Test
  void itIsWrittenWithItsFormats() {
    for (String action : List.of("quantise(q4_0)", "quantise(k=q8_0,v=q4_0)")) {
      String text = "score=streaming(4) budget=uniform(256) action=" + action + " when=block(64)";
      KvPolicy policy = Recipe.of(text);
      assertThat(policy.name()).isEqualTo(text);
      assertThat(Recipe.of(policy.name())).isEqualTo(policy);
      assertThat(policy.bounds().most(10_000)).isEqualTo(256 + 63);
      assertThat(policy.bounds().mostCoarse(10_000)).isEqualTo(10_000);
    }
    for (String wrong : List.of("quantise(q9)", "quantise", "quantise(qjl)", "quantise(q4_k)")) {
      assertThatThrownBy(() ->
              Recipe.of("score=streaming(4) budget=uniform(256) when=block(64) action=" + wrong))
          .as(wrong)
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("KV recipe");
    }
  }
}

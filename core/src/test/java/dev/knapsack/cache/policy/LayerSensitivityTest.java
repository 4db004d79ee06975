package dev.knapsack.cache.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.cache.Companion;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.KvPool;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.cache.SeenStep;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Layers whose keys change more keep more. */
class LayerSensitivityTest {
  private static final int HEADS = 2;
  private static final int SIZE = 8;

  private static final LayerLayout.Heads LAYER = new LayerLayout.Heads(HEADS, SIZE, SIZE, 0, 2);
  private static final LayerLayout.Heads WINDOW = new LayerLayout.Heads(HEADS, SIZE, SIZE, 40, 2);

  /** The policy with such figures of three layers, between the first two of which is another. */
  static KvPolicy given(KvPolicy policy, double... similarities) {
    List<Calibration.Layer> layers = new ArrayList<>();
    List<Calibration.Head> heads = Collections.nCopies(4, new Calibration.Head(0, 1, 0.5));
    for (double similarity : similarities) {
      layers.add(new Calibration.Layer(0.5, 0.5, OptionalDouble.of(similarity), heads));
    }
    layers.add(1, new Calibration.Layer(0, 0, List.of()));
    return policy.with(reader(new Calibration("made", 1, 1, layers)));
  }

  private static Companion.Reader reader(Calibration figures) {
    return new Companion.Reader() {
      @Override
      public <T> T read(Companion<T> kind) {
        return kind.content().cast(figures);
      }
    };
  }

  private static KvLayout layout(KvPolicy policy) {
    return new KvLayout(
        List.of(LAYER, WINDOW, LAYER, LAYER), Formats.F32, Formats.F32, 0, policy, 16);
  }

  private static KvPolicy policy(String size) {
    return Recipe.of(
        "score=knorm budget=sensitivity(%s) action=evict when=prompt(1)".formatted(size));
  }

  /** What the layers keep of a prompt, read in steps. */
  private static int[] kept(KvPolicy policy, int prompt, int step) {
    Account account = Budget.of("16MiB").account("kv");
    try (KvPool pool = new KvPool(layout(policy), account);
        KvCache cache = pool.cache()) {
      cache.text().prompt(prompt);
      while (cache.length() < prompt) {
        int tokens = Math.min(step, prompt - cache.length());
        cache.reserve(tokens);
        for (int l = 0; l < 4; l++) {
          float[] numbers = new float[tokens * HEADS * SIZE];
          Arrays.fill(numbers, 1 + cache.length() % 7);
          Matrix rows =
              new Matrix(Formats.F32, tokens, HEADS * SIZE, MemorySegment.ofArray(numbers));
          cache.append(l, 0, rows, rows, 0, tokens);
          cache
              .view()
              .observe(
                  l,
                  new SeenStep(
                      cache.length(),
                      tokens,
                      (_, _, _, _) -> {
                        throw new AssertionError("Nobody should look at weights");
                      }));
        }
        cache.commit(tokens);
        cache.encode();
        cache.compress();
        for (int l : new int[] {0, 2, 3}) {
          long together = cache.layout().policy().bounds().together(cache.layout(), l, prompt);
          assertThat(HEADS * (long) cache.head(l, 0).count()).isLessThanOrEqualTo(together);
        }
      }
      return new int[] {
        cache.head(0, 1).count(), cache.head(2, 0).count(), cache.head(3, 1).count()
      };
    }
  }

  @ParameterizedTest
  @CsvSource({"100, 1000, 7", "10%, 1000, 200", "100, 1000, 1000"})
  void alikeLayersKeepAQuarterAndOthersMore(String size, int prompt, int step) {
    // The first is the most alike; the last is the least; (1 - 0.8)^1.1 is 0.170.
    KvPolicy policy = given(policy(size), 1, 0.9, 0.5);
    assertThat(kept(policy, prompt, step)).containsExactly(25, 25 + 32, 25 + 192);
    assertThat(policy.bounds().together(layout(policy), 0, prompt)).isEqualTo(HEADS * 100);
    assertThat(policy.bounds().together(layout(policy), 2, prompt)).isEqualTo(HEADS * 138);
    assertThat(policy.bounds().together(layout(policy), 3, prompt)).isEqualTo(HEADS * 218);
    assertThat(policy.bounds().inAll(layout(policy), prompt)).isEqualTo(3 * HEADS * 100);
  }

  @Test
  void noLayerKeepsMoreThanThereIs() {
    assertThat(kept(given(policy("100"), 1, 0.9, 0.5), 120, 30)).containsExactly(60, 120, 120);
    assertThat(kept(given(policy("100"), 1, 0.9, 0.5), 90, 30)).containsExactly(90, 90, 90);
    assertThat(kept(given(policy("2"), 1, 0.9, 0.5), 90, 30)).containsExactly(1, 1, 3);
    assertThat(kept(given(policy("50"), 0.7, 0.7, 0.7), 90, 30)).containsExactly(50, 50, 50);
  }

  @Test
  void figuresOfAnEarlierVersionSayWhatMakesNewOnes() {
    List<Calibration.Head> heads = List.of(new Calibration.Head(0, 1, 0.5));
    Calibration old = new Calibration("made", 1, 1, List.of(new Calibration.Layer(0, 0, heads)));
    KvPolicy policy = policy("100");
    assertThat(policy.lacks()).containsExactly(Calibration.FILE);
    assertThat(given(policy, 1, 1, 1).lacks()).isEmpty();
    assertThatThrownBy(() -> policy.with(reader(old)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("'knapsack calibrate MODEL'")
        .hasMessageContaining("earlier version");
  }
}

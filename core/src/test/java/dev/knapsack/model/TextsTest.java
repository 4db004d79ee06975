package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.SequenceState;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.model.Attention.Source;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Texts that are computed whole, with attention to the rows of their step. */
class TextsTest {
  private static final double ROUNDING = 1e-11;
  private static final double FLOAT = 1e-9;

  /** Longer than a page, shorter than the windows of some, one token. */
  private static final List<Integer> LENGTHS = List.of(100, 3, 1, 64, 23);

  @ParameterizedTest
  @EnumSource
  void rowsSoFarAreAsGoodAsACache(NaiveModels model) {
    NaiveModel naive = model.make();
    for (KernelProvider provider : KernelProvider.here()) {
      Rig.Parts parts = Rig.Parts.USUAL.with(provider).tokens(100).workers(2);
      try (Rig cached = new Rig(naive.model, parts);
          Rig rows = new Rig(naive.model, parts, new Source.Rows(false))) {
        for (int length : LENGTHS) {
          int[] tokens = Rig.tokens(length, 40, length);
          assertThat(rows.logits(tokens, length))
              .as("%s, %s, %d tokens", model, provider, length)
              .isEqualTo(cached.logits(tokens, length));
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void textsOfAStepSeeAllOfThemselvesAndNothingElse(NaiveModels model) {
    NaiveModel naive = model.make();
    naive.bothWays = true;
    List<int[]> texts = LENGTHS.stream().map(n -> Rig.tokens(n, 40, n)).toList();
    float[][] expected = texts.stream().map(naive::logits).toArray(float[][]::new);
    for (KernelProvider provider : KernelProvider.here()) {
      Rig.Parts parts = Rig.Parts.USUAL.with(provider).tokens(200).workers(2);
      try (Rig rig = new Rig(naive.model, parts, Source.ROWS)) {
        float[] together = logits(rig, texts);
        int at = 0;
        for (int i = 0; i < expected.length; i++) {
          float[] own = Arrays.copyOfRange(together, at, at += expected[i].length);
          assertThat(Rig.error(expected[i], own))
              .as("%s, %s, text %d", model, provider, i)
              .isLessThan(provider == KernelProvider.SCALAR ? ROUNDING : FLOAT);
        }
      }
    }
  }

  /** Of all tokens of texts that are computed side by side. */
  private static float[] logits(Rig rig, List<int[]> texts) {
    List<SequenceState> states = texts.stream().map(text -> rig.pool.sequence()).toList();
    List<Run> runs =
        IntStream.range(0, texts.size())
            .mapToObj(i -> Run.all(states.get(i), texts.get(i)))
            .toList();
    float[] logits = Rig.floats(rig.transformer.forward(runs));
    assertThat(rig.budget.account("kv").used()).isZero();
    states.forEach(SequenceState::close);
    return logits;
  }

  @ParameterizedTest
  @CsvSource({"true, 100", "false, 55"})
  void theirWorkIsThatOfTheRowsThatAreSeen(boolean all, int pairs) {
    try (Rig rig = new Rig(FixtureModel.llama(1), Rig.Parts.USUAL, new Source.Rows(all))) {
      Attention attention = Objects.requireNonNull(rig.spec.layers().getFirst().attention());
      Work work = attention.work(KvFormat.F16, KvPolicy.FULL, 10, 0);
      assertThat(work.multiplyAdds()).isEqualTo(pairs * attention.heads() * (8 + 8));
    }
  }

  @Test
  void aTextIsComputedInOneStep() {
    try (Rig rig = new Rig(FixtureModel.llama(1), Rig.Parts.USUAL, Source.ROWS);
        SequenceState state = rig.pool.sequence()) {
      rig.transformer.forward(List.of(Run.last(state, 1, 2, 3)));
      assertThatThrownBy(() -> rig.transformer.forward(List.of(Run.last(state, 4))))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("is computed whole")
          .hasMessageContaining("3 are of another");
    }
  }
}

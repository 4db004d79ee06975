package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.Checkpoints;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.KvPool;
import dev.knapsack.cache.KvTransform;
import dev.knapsack.cache.LayerStep;
import dev.knapsack.cache.SequenceState;
import dev.knapsack.cache.StepObserver;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.model.arch.Families;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Layers that read rows of tables, by tokens or by what they are given. */
class TableModelsTest {
  private static final double ROUNDING = 1e-11;

  private static float[] from(float[] logits, int row) {
    return Arrays.copyOfRange(logits, row * 40, logits.length);
  }

  @ParameterizedTest
  @EnumSource
  void agreeWithThePlainForwardPass(TableModels model) {
    NaiveModel naive = model.naive();
    int[] tokens = Rig.tokens(40, 40, 1);
    float[] expected = naive.logits(tokens);
    for (KvTransform transform : KvTransform.values()) {
      Rig.Parts parts = Rig.Parts.USUAL.with(transform);
      try (Rig one = new Rig(naive.model, parts);
          Rig three = new Rig(naive.model, parts.workers(3))) {
        for (int step : List.of(40, 1, 7)) {
          float[] logits = one.logits(tokens, step);
          assertThat(Rig.error(expected, logits))
              .as("%s, %s, %d at a time", model, transform, step)
              .isLessThan(ROUNDING);
          assertThat(three.logits(tokens, step))
              .as("%s, %s, %d at a time, three workers", model, transform, step)
              .isEqualTo(logits);
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void whatTheyReadCounts(TableModels model) {
    NaiveModel naive = model.naive();
    int[] tokens = Rig.tokens(20, 40, 2);
    float[] expected = naive.logits(tokens);
    WeightLayout layout = WeightLayout.of(naive.model, Families.spec(naive.model));
    for (var table : layout.tables()) {
      if (!table.name().equals(ModelSpec.EMBEDDING)) {
        float[] numbers = naive.model.numbers.get(table.name());
        for (int i = 0; i < numbers.length; i++) {
          numbers[i] *= 1.5f;
        }
        float[] other = naive.logits(tokens);
        assertThat(Rig.error(expected, other)).as(table.name()).isGreaterThan(1e-4);
        expected = other;
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void sequencesOfAStepDoNotSeeEachOther(TableModels model) {
    int[] first = Rig.tokens(20, 40, 3);
    int[] second = Rig.tokens(13, 40, 4);
    try (Rig rig = new Rig(model.naive().model, Rig.Parts.USUAL.workers(2));
        SequenceState a = rig.pool.sequence();
        SequenceState b = rig.pool.sequence()) {
      float[] of1 = rig.logits(first, 20);
      float[] of2 = rig.logits(second, 13);
      rig.transformer.forward(List.of(new Run(a, first, 0, 9, 0), new Run(b, second, 0, 2, 0)));
      float[] together =
          Rig.floats(
              rig.transformer.forward(
                  List.of(new Run(a, first, 9, 20, 2), new Run(b, second, 2, 13, 1))));
      assertThat(Arrays.copyOf(together, 80)).isEqualTo(from(of1, 18));
      assertThat(from(together, 2)).isEqualTo(from(of2, 12));
    }
  }

  @ParameterizedTest
  @EnumSource
  void forksAndWhoGoesBackGoOnAsIfAnew(TableModels model) {
    int[] text = Rig.tokens(30, 40, 5);
    int[] other = Rig.tokens(30, 40, 6);
    System.arraycopy(text, 0, other, 0, 12);
    try (Rig rig = new Rig(model.naive().model, Rig.Parts.USUAL);
        SequenceState state = rig.pool.sequence()) {
      float[] ofText = rig.logits(text, 30);
      float[] ofOther = rig.logits(other, 30);
      state.prompt(12);
      rig.logits(state, text, 12, 5, run -> run);
      try (SequenceState fork = state.fork()) {
        assertThat(rig.logits(state, text, 30, 4, run -> run)).isEqualTo(from(ofText, 12));
        assertThat(rig.logits(fork, other, 30, 3, run -> run)).isEqualTo(from(ofOther, 12));
      }
      assertThat(state.back(12)).isEqualTo(12);
      assertThat(rig.logits(state, other, 30, 7, run -> run)).isEqualTo(from(ofOther, 12));
    }
  }

  @ParameterizedTest
  @EnumSource
  void tokensThatAreOnlyLookedAtLeaveNothing(TableModels model) {
    int[] text = Rig.tokens(20, 40, 7);
    try (Rig rig = new Rig(model.naive().model, Rig.Parts.USUAL);
        SequenceState state = rig.pool.sequence()) {
      float[] expected = rig.logits(text, 20);
      int[] looked = text.clone();
      Arrays.fill(looked, 12, 16, 7);
      rig.transformer.forward(List.of(new Run(state, looked, 0, 16, 1, 4, Run.Kind.SHARED, null)));
      Matrix rest = rig.transformer.forward(List.of(new Run(state, text, 12, 20, 8)));
      assertThat(Rig.floats(rest)).isEqualTo(from(expected, 12));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"F32", "F16", "Q8_0"})
  void checkpointsKeepTokensToTheBit(String format) {
    int[] text = Rig.tokens(30, 40, 8);
    try (Rig rig = new Rig(TableModels.ENGRAM.naive().model, Rig.Parts.USUAL)) {
      KvLayout layout = rig.pool.layout();
      Checkpoints rounded = layout.checkpoints().withFormat(Formats.byName(format));
      float[] expected = rig.logits(text, 30);
      KvPool pool = rig.pool.beside(layout.withCheckpoints(rounded));
      try (SequenceState state = pool.sequence()) {
        state.prompt(12);
        rig.logits(state, text, 30, 12, run -> run);
        assertThat(state.back(12)).isEqualTo(12);
        assertThat(rig.logits(state, text, 30, 6, run -> run)).isEqualTo(from(expected, 12));
      }
    }
  }

  /** Compares what a value may move with the value, where it is added as it is. */
  private static final class Sizes implements KvPolicy, StepObserver {
    int seen;

    @Override
    public String name() {
      return "sizes";
    }

    @Override
    public StepObserver observer() {
      return this;
    }

    @Override
    public void compress(KvCache cache) {}

    @Override
    public boolean looks(int layer) {
      return true;
    }

    @Override
    public boolean wantsOutputNorms(int layer) {
      return true;
    }

    @Override
    public void observe(CachedHead head, LayerStep step) {
      float[] value = new float[head.valueSize()];
      for (int row = 0; row < step.rows(); row++) {
        head.value(step.position(row), value);
        double norm = IntStream.range(0, value.length).mapToDouble(i -> Math.abs(value[i])).sum();
        assertThat((double) step.outputNorm(row, head.kvHead()))
            .isCloseTo(norm, within(norm / 1e6));
        seen++;
      }
    }
  }

  @Test
  void withoutAnOutputProjectionValuesMoveByTheirSize() {
    Sizes sizes = new Sizes();
    try (Rig rig = new Rig(TableModels.MEMORYFORMER.naive().model, Rig.Parts.USUAL, sizes)) {
      rig.logits(Rig.tokens(20, 40, 9), 7);
    }
    assertThat(sizes.seen).isEqualTo(20 * 3 * 2);
  }

  @Test
  void keysThatCannotBeAreRefused() {
    refused(TableModels.MEMORYFORMER, "hash.bits", 5L, "32 numbers cannot be hashed by 5 bits");
    refused(TableModels.MEMORYFORMER, "hash.extra_bits", 40L, "40 more than 4 are too many");
    refused(TableModels.MEMORYFORMER, "attention.head_count", 2L, "are added as they are to 32");
    refused(TableModels.ENGRAM, "ngram.order", 1L, "must be between 2 and 16, and is 1");
    refused(TableModels.ENGRAM, "ngram.rows", new long[] {7}, "must be 8 numbers, and has 1");
    refused(TableModels.ENGRAM, "ngram.layers", new long[] {3}, "must be between 0 and 2");
    refused(TableModels.ENGRAM, "ngram.pad_token_id", 40L, "is 40, and there are 40 tokens");
    refused(TableModels.MOVE, "value_embedding.slots", 2L, "has shape [48, 40]; expected [32, 40]");
  }

  private static void refused(TableModels made, String key, Object value, String problem) {
    FixtureModel model = made.naive().model.key("attention.key_length", 8L);
    model.key("attention.value_length", 8L).key(key, value);
    assertThatThrownBy(() -> Families.spec(model))
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining(problem);
  }
}

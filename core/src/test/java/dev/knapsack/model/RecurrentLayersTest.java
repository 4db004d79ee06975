package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.TestData;
import dev.knapsack.cache.SequenceState;
import dev.knapsack.file.ModelFile;
import dev.knapsack.tensor.Matrix;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** Layers that carry a state from token to token. */
class RecurrentLayersTest {
  static final List<String> MODELS =
      List.of(
          "mamba2",
          "mamba2_long",
          "lfm2",
          "lfm2moe",
          "falcon-h1",
          "granitehybrid",
          "granitehybrid_moe",
          "mamba",
          "jamba",
          "nemotron_h",
          "nemotron_h_moe",
          "plamo2",
          "rwkv7",
          "arwkv7",
          "MOM",
          "MOM_ALONE",
          "BMOJO",
          "BMOJO_F",
          "MATMUL_FREE");

  private static final int TOKENS = 50;

  /** A golden model, or in capital letters one of {@link NaiveMixers}. */
  private static ModelFile open(String name) {
    if (name.equals(name.toUpperCase(Locale.ROOT))) {
      return NaiveMixers.valueOf(name).make().model;
    }
    return ModelFile.open(TestData.path("golden/" + name + "/model.gguf"));
  }

  private static int[] tokens(int seed) {
    return Rig.tokens(TOKENS, 300, seed);
  }

  private static float[] row(float[] logits, int row, Rig rig) {
    int vocabulary = rig.spec.vocabulary();
    return Arrays.copyOfRange(logits, row * vocabulary, (row + 1) * vocabulary);
  }

  @ParameterizedTest
  @FieldSource("MODELS")
  void neitherStepsNorWorkersChangeABit(String name) {
    try (ModelFile file = open(name);
        Rig one = new Rig(file, Rig.Parts.USUAL);
        Rig three = new Rig(file, Rig.Parts.USUAL.workers(3))) {
      float[] single = one.logits(tokens(1), 1);
      for (int step : List.of(2, 7, TOKENS)) {
        assertThat(one.logits(tokens(1), step)).as("%d at a time", step).isEqualTo(single);
        assertThat(three.logits(tokens(1), step)).as("%d, three workers", step).isEqualTo(single);
      }
    }
  }

  @ParameterizedTest
  @FieldSource("MODELS")
  void sequencesOfAStepDoNotSeeEachOther(String name) {
    try (ModelFile file = open(name);
        Rig rig = new Rig(file, Rig.Parts.USUAL.workers(2));
        SequenceState a = rig.pool.sequence();
        SequenceState b = rig.pool.sequence()) {
      float[] first = rig.logits(tokens(3), TOKENS);
      float[] second = rig.logits(tokens(4), TOKENS);
      rig.transformer.forward(
          List.of(new Run(a, tokens(3), 0, 9, 0), new Run(b, tokens(4), 0, 2, 0)));
      float[] together =
          Rig.floats(
              rig.transformer.forward(
                  List.of(new Run(a, tokens(3), 9, 20, 1), new Run(b, tokens(4), 2, 3, 1))));
      assertThat(row(together, 0, rig)).isEqualTo(row(first, 19, rig));
      assertThat(row(together, 1, rig)).isEqualTo(row(second, 2, rig));
    }
  }

  @ParameterizedTest
  @FieldSource("MODELS")
  void tokensThatAreOnlyLookedAtAreNotCarried(String name) {
    try (ModelFile file = open(name);
        Rig rig = new Rig(file, Rig.Parts.USUAL);
        SequenceState state = rig.pool.sequence()) {
      float[] expected = rig.logits(tokens(5), TOKENS);
      int[] looked = tokens(5).clone();
      Arrays.fill(looked, 12, 16, 7);
      Matrix first =
          rig.transformer.forward(
              List.of(new Run(state, looked, 0, 16, 1, 4, Run.Kind.SHARED, null)));
      assertThat(Rig.floats(first)).isEqualTo(row(expected, 11, rig));
      Matrix next = rig.transformer.forward(List.of(new Run(state, tokens(5), 12, 20, 1)));
      assertThat(Rig.floats(next)).isEqualTo(row(expected, 19, rig));
    }
  }

  @ParameterizedTest
  @FieldSource("MODELS")
  void aStepThatFailsCarriesNothing(String name) {
    try (ModelFile file = open(name);
        Rig rig = new Rig(file, Rig.Parts.USUAL);
        SequenceState state = rig.pool.sequence()) {
      float[] expected = rig.logits(tokens(6), TOKENS);
      Transformer failing =
          new Transformer(rig.spec, new FailingAtTheEnd(rig.weights), rig.compute, rig.workspace);
      rig.transformer.forward(List.of(new Run(state, tokens(6), 0, 10, 0)));
      assertThatThrownBy(() -> failing.forward(List.of(new Run(state, tokens(6), 20, 30, 1))))
          .hasMessage("the disk is gone");
      Matrix next = rig.transformer.forward(List.of(new Run(state, tokens(6), 10, 20, 1)));
      assertThat(Rig.floats(next)).isEqualTo(row(expected, 19, rig));
    }
  }

  /** Weights of which the output projection cannot be read. */
  private record FailingAtTheEnd(WeightSource weights) implements WeightSource {
    @Override
    public LayerWeights layer(int index) {
      return weights.layer(index);
    }

    @Override
    public @Nullable Matrix find(String name) {
      return weights.find(name);
    }

    @Override
    public void output(RowBlock use) {
      throw new IllegalStateException("the disk is gone");
    }

    @Override
    public void gather(String table, int[] tokens, Matrix target) {
      weights.gather(table, tokens, target);
    }
  }
}

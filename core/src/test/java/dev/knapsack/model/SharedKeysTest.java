package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.TestData;
import dev.knapsack.cache.KvTransform;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.cache.SequenceState;
import dev.knapsack.file.ModelFile;
import dev.knapsack.model.arch.Families;
import dev.knapsack.tensor.Formats;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Layers that read what earlier ones have cached, in models whose tokens have more than a row. */
class SharedKeysTest {
  private static ModelFile open(String name) {
    return ModelFile.open(TestData.path("golden/" + name + "/model.gguf"));
  }

  private static int[] tokens(String name) throws IOException {
    return GoldenModelsTest.tokens(TestData.path("golden/" + name + "/tokens.json"));
  }

  @ParameterizedTest
  @CsvSource({"gemma4, 2", "gemma3n, 5"})
  void rememberNothing(String name, int shared) {
    try (ModelFile file = open(name)) {
      List<LayerLayout> layers = Families.spec(file).kvLayout(Formats.F16, Formats.F16).layers();
      int own = layers.size() - shared;
      assertThat(layers.subList(0, own)).allMatch(LayerLayout.Heads.class::isInstance);
      assertThat(layers.subList(own, layers.size())).containsOnly(new LayerLayout.None());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"gemma4", "gemma4_moe", "gemma3n"})
  void readWhateverIsDoneToKeys(String name) throws IOException {
    Path logits = TestData.path("golden/" + name + "/logits.f32");
    float[] expected = GoldenModelsTest.numbers(logits);
    Rig.Parts usual = Rig.Parts.USUAL;
    for (Rig.Parts parts :
        List.of(
            usual.with(KvTransform.ROTATED),
            usual.with(KvTransform.REORDERED).workers(2),
            usual.sketch(2),
            usual.resident(3))) {
      try (ModelFile file = open(name);
          Rig rig = new Rig(file, parts)) {
        for (int step : new int[] {1, 7}) {
          assertThat(Rig.error(expected, rig.logits(tokens(name), step)))
              .as("%s, %d at a time", parts, step)
              .isLessThan(1e-9);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"gemma4", "gemma4_moe", "gemma3n"})
  void rowsThatGoOnTakeAllOfTheirsAlong(String name) throws IOException {
    int[] tokens = tokens(name);
    try (ModelFile file = open(name);
        Rig rig = new Rig(file, Rig.Parts.USUAL);
        Rig three = new Rig(file, Rig.Parts.USUAL.workers(3));
        SequenceState a = rig.pool.sequence();
        SequenceState b = rig.pool.sequence()) {
      int vocabulary = rig.spec.vocabulary();
      float[] all = rig.logits(tokens, tokens.length);
      assertThat(three.logits(tokens, tokens.length)).isEqualTo(all);
      List<Run> runs = List.of(new Run(a, tokens, 0, 9, 2), new Run(b, tokens, 0, 20, 1));
      float[] some = Rig.floats(rig.transformer.forward(runs));
      int row = 0;
      for (int token : new int[] {7, 8, 19}) {
        float[] expected = Arrays.copyOfRange(all, token * vocabulary, (token + 1) * vocabulary);
        float[] own = Arrays.copyOfRange(some, row * vocabulary, (row + 1) * vocabulary);
        assertThat(Rig.error(expected, own)).as("token %d", token).isLessThan(1e-12);
        row++;
      }
    }
  }
}

package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.TestData;
import dev.knapsack.cache.Checkpoints;
import dev.knapsack.cache.KvPool;
import dev.knapsack.cache.SequenceState;
import dev.knapsack.file.ModelFile;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What it costs to go on from a state that was kept in fewer bits. */
class CheckpointFormatTest {
  /** What a cache in F16 may cost. */
  private static final double TOLERANCE = 2e-5;

  /** The logits of tokens from {@code from} on, as they were and after going back to there. */
  private static double error(Rig rig, Format format, int[] tokens, int from) {
    Checkpoints checkpoints = rig.pool.layout().checkpoints().withFormat(format);
    KvPool pool = rig.pool.beside(rig.pool.layout().withCheckpoints(checkpoints));
    int rest = tokens.length - from;
    try (SequenceState state = pool.sequence()) {
      state.prompt(from);
      rig.transformer.forward(List.of(new Run(state, tokens, 0, from, 0)));
      state.settle();
      List<Run> run = List.of(new Run(state, tokens, from, tokens.length, rest));
      float[] straight = Rig.floats(rig.transformer.forward(run));
      state.settle();
      assertThat(state.back(from)).isEqualTo(from);
      return Rig.error(straight, Rig.floats(rig.transformer.forward(run)));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"mamba2", "mamba2_long", "lfm2"})
  void halfTheBitsCostLessThanACacheInF16AndAQuarterMore(String name) {
    try (ModelFile file = ModelFile.open(TestData.path("golden/" + name + "/model.gguf"));
        Rig rig = new Rig(file, Rig.Parts.USUAL)) {
      int vocabulary = rig.spec.vocabulary();
      for (int seed = 1; seed <= 3; seed++) {
        int[] tokens = Rig.tokens(50, vocabulary, seed);
        for (int from : new int[] {10, 30}) {
          assertThat(error(rig, Formats.F32, tokens, from)).isZero();
          assertThat(error(rig, Formats.F16, tokens, from)).isBetween(1e-12, TOLERANCE);
          assertThat(error(rig, Formats.BF16, tokens, from)).isBetween(1e-9, TOLERANCE);
          assertThat(error(rig, Formats.Q8_0, tokens, from)).isBetween(1e-7, 10 * TOLERANCE);
        }
      }
    }
  }
}

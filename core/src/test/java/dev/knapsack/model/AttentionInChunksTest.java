package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.kernel.KernelProvider;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Tokens of a chunk see those of the same chunk, so that each is a text of its own. */
class AttentionInChunksTest {
  private static final int CHUNK = 9;

  /** A Llama 4 in miniature that attends in chunks in all layers. */
  private static FixtureModel model() {
    FixtureModel model = FixtureModel.llama(5);
    Map<String, Object> keys = Map.copyOf(model.keys);
    model.keys.put("general.architecture", "llama4");
    keys.forEach((key, value) -> model.key(key.substring(key.indexOf('.') + 1), value));
    return model
        .key("attention.sliding_window", (long) CHUNK)
        .key("attention.sliding_window_pattern", new long[] {1, 1, 1});
  }

  private static void compare(Rig rig, int length, List<Integer> steps) {
    int[] tokens = Rig.tokens(length, 40, 3);
    for (int step : steps) {
      float[] all = rig.logits(tokens, step);
      for (int from = 0; from < length; from += CHUNK) {
        int to = Math.min(length, from + CHUNK);
        float[] alone = rig.logits(Arrays.copyOfRange(tokens, from, to), CHUNK);
        float[] together = Arrays.copyOfRange(all, from * 40, to * 40);
        assertThat(Rig.error(alone, together)).as("%d from %d", step, from).isLessThan(1e-9);
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void chunksOfACacheDoNotSeeEachOther(KernelProvider provider) {
    if (KernelProvider.here().contains(provider)) {
      try (Rig rig = new Rig(model(), Rig.Parts.USUAL.with(provider))) {
        compare(rig, 200, List.of(1, 5, CHUNK, 64));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void chunksOfATextDoNotSeeEachOther(boolean all) {
    try (Rig rig = new Rig(model(), Rig.Parts.USUAL, new Attention.Source.Rows(all))) {
      compare(rig, 60, List.of(60));
    }
  }
}

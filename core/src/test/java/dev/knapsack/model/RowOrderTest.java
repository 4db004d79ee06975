package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.file.ModelFile;
import dev.knapsack.kernel.Rope;
import dev.knapsack.kernel.WorkerTeam;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.arch.Families;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RowOrderTest {
  @TempDir Path folder;

  private ModelFile written(ModelFile source, Format format) {
    Path target = folder.resolve("written.gguf");
    try (WorkerTeam team = new WorkerTeam(1)) {
      new Quantizer(source, format, null)
          .write(target, Budget.of("64MiB").account("quantize"), team, Progress.NONE);
    }
    return ModelFile.open(target);
  }

  @Test
  void halvesAreInterleaved() {
    assertThat(IntStream.range(0, 16).mapToLong(row -> RowOrder.halved(row, 8)))
        .containsExactly(0L, 4L, 1L, 5L, 2L, 6L, 3L, 7L, 8L, 12L, 9L, 13L, 10L, 14L, 11L, 15L);
    assertThat(RowOrder.halved(13, 1)).isEqualTo(13);
  }

  @ParameterizedTest
  @ValueSource(strings = {"F32", "Q8_0"})
  void aFileWithRowsInHalvesIsReadAndWrittenRight(String name) {
    Format format = Formats.byName(name);
    FixtureModel model = FixtureModel.llama(3);
    for (int l = 0; l < 3; l++) {
      // In the format that is written, so that rows are copied and not encoded again.
      model.tensor("blk." + l + ".attn_k.weight", format, 0, 1, 32, 16);
      model.bias("blk." + l + ".attn_q.bias", 32);
    }
    model.keys.put(ModelFile.ROPE_PAIRS, "half");
    assertThat(Families.spec(model).layers().getFirst().attention().rope().pairs())
        .isEqualTo(Rope.Pairs.HALF_SPLIT);
    try (ModelFile file = written(model, format);
        Arena arena = Arena.ofConfined()) {
      assertThat(file.metadata().has(ModelFile.ROPE_PAIRS)).isFalse();
      assertThat(Families.spec(file).layers().getFirst().attention().rope().pairs())
          .isEqualTo(Rope.Pairs.ADJACENT);
      assertThat(SyntheticModelTest.read(file, "blk.1.attn_k.weight", arena))
          .containsExactly(interleaved(model.numbers.get("blk.1.attn_k.weight"), 32, 8));
      assertThat(SyntheticModelTest.read(file, "blk.2.attn_q.bias", arena))
          .containsExactly(interleaved(model.numbers.get("blk.2.attn_q.bias"), 1, 8));
      assertThat(SyntheticModelTest.read(file, "blk.0.ffn_norm.weight", arena))
          .containsExactly(model.numbers.get("blk.0.ffn_norm.weight"));
    }
  }

  @Test
  void rowsStayWhereTheFileSaysNothing() {
    FixtureModel model = FixtureModel.llama(3);
    try (ModelFile file = written(model, Formats.F32);
        Arena arena = Arena.ofConfined()) {
      assertThat(SyntheticModelTest.read(file, "blk.0.attn_q.weight", arena))
          .containsExactly(model.numbers.get("blk.0.attn_q.weight"));
    }
  }

  private static float[] interleaved(float[] rows, int columns, int head) {
    float[] result = new float[rows.length];
    for (int r = 0; r < rows.length / columns; r++) {
      int h = r / head;
      int i = r % head;
      int to = h * head + (i < head / 2 ? 2 * i : 2 * (i - head / 2) + 1);
      System.arraycopy(rows, r * columns, result, to * columns, columns);
    }
    return result;
  }
}

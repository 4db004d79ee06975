package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.TestData;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.model.arch.Families;
import dev.knapsack.tensor.Formats;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Forms of {@link DeltaRule} that no golden model has, and headers that it cannot have. */
class DeltaRuleTest {
  private static final int WIDTH = 32;

  private static FixtureModel copy(String golden) {
    try (ModelFile file = ModelFile.open(TestData.path("golden/" + golden + "/model.gguf"))) {
      return FixtureModel.copy(file);
    }
  }

  /** 2 key heads of 16, 4 value heads of 16. */
  @Test
  void olderFilesHaveOneProjectionKeyHeadByKeyHead() {
    FixtureModel model = copy("qwen3next");
    FixtureModel older = copy("qwen3next");
    for (int l = 0; l < 3; l++) {
      String p = "blk." + l + ".";
      float[] mixed = older.numbers.get(p + "attn_qkv.weight");
      float[] gates = older.numbers.get(p + "attn_gate.weight");
      float[] all = new float[mixed.length + gates.length];
      int at = 0;
      for (int keyHead = 0; keyHead < 2; keyHead++) {
        at = rows(mixed, 16 * keyHead, 16, all, at);
        at = rows(mixed, 32 + 16 * keyHead, 16, all, at);
        at = rows(mixed, 64 + 32 * keyHead, 32, all, at);
        at = rows(gates, 32 * keyHead, 32, all, at);
      }
      older.tensor(p + "ssm_in.weight", Formats.F32, all, WIDTH, 192);
      older.infos.remove(p + "attn_qkv.weight");
      older.infos.remove(p + "attn_gate.weight");
    }
    int[] tokens = Rig.tokens(20, 300, 1);
    try (Rig rig = new Rig(model, Rig.Parts.USUAL);
        Rig other = new Rig(older, Rig.Parts.USUAL)) {
      assertThat(other.logits(tokens, 7)).isEqualTo(rig.logits(tokens, 7));
    }
  }

  private static int rows(float[] from, int row, int count, float[] to, int at) {
    System.arraycopy(from, row * WIDTH, to, at, count * WIDTH);
    return at + count * WIDTH;
  }

  @ParameterizedTest
  @CsvSource({
    "ssm.time_step_rank, 3, evenly",
    "ssm.group_count, 3, evenly",
    "ssm.group_count, 0, between",
    "ssm.state_size, 8388608, too many",
    "ssm.conv_kernel, 65, between",
    "ssm.inner_size, 0, between",
    "ssm.inner_size, 128, blk.0.attn_qkv.weight",
    "full_attention_interval, -1, between",
    "full_attention_interval, 2, blk.1.attn_q.weight",
  })
  void refusesImpossibleStates(String key, long value, String message) {
    FixtureModel model = copy("qwen3next");
    assertThat(Families.spec(model).layers()).hasSize(4);
    model.key(key, value);
    assertThatThrownBy(() -> Families.spec(model))
        .isInstanceOf(ModelFileException.class)
        .hasMessageStartingWith("fixture.gguf: ")
        .hasMessageContaining(message);
  }
}

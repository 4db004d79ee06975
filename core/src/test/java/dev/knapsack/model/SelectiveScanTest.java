package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.cache.KvPolicy;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.model.SelectiveScan.Selection;
import dev.knapsack.model.arch.Families;
import dev.knapsack.tensor.Formats;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SelectiveScanTest {
  private static FixtureModel mamba() {
    FixtureModel model = new FixtureModel("mamba", 1);
    return model
        .key("block_count", 1L)
        .key("context_length", 64L)
        .key("embedding_length", 32L)
        .key("attention.layer_norm_rms_epsilon", 1e-5)
        .key("ssm.conv_kernel", 4L)
        .key("ssm.inner_size", 96L)
        .key("ssm.state_size", 16L)
        .key("ssm.time_step_rank", 4L)
        .weights("token_embd.weight", 32, 40)
        .norm("output_norm.weight", 32)
        .norm("blk.0.attn_norm.weight", 32)
        .weights("blk.0.ssm_in.weight", 32, 192)
        .weights("blk.0.ssm_conv1d.weight", 4, 96)
        .bias("blk.0.ssm_conv1d.bias", 96)
        .weights("blk.0.ssm_x.weight", 96, 36)
        .weights("blk.0.ssm_dt.weight", 4, 96)
        .bias("blk.0.ssm_dt.bias", 96)
        .tensor("blk.0.ssm_a", Formats.F32, -1, 0.2, 16, 96)
        .bias("blk.0.ssm_d", 96)
        .weights("blk.0.ssm_out.weight", 96, 32);
  }

  private static SelectiveScan scan(ModelSpec spec) {
    return (SelectiveScan) spec.layers().getFirst().blocks().getFirst();
  }

  private static float[] logits(FixtureModel model, ModelSpec spec) {
    try (Rig rig = new Rig(model, spec, Rig.Parts.USUAL, KvPolicy.FULL)) {
      return rig.logits(Rig.tokens(30, 40, 1), 7);
    }
  }

  @Test
  void filesSayWhetherWhatSelectsIsNormed() {
    FixtureModel model = mamba();
    ModelSpec plain = Families.spec(model);
    ModelSpec normed = Families.spec(model.key("ssm.dt_b_c_rms", true));
    assertThat(scan(plain).selection()).isEqualTo(Selection.AS_IT_IS);
    assertThat(scan(normed).selection()).isEqualTo(Selection.NORMED);
    assertThat(logits(model, normed)).isNotEqualTo(logits(model, plain));
  }

  @Test
  void normsWithoutFactorsAreThoseWithFactorsOfOne() {
    FixtureModel model = mamba().key("ssm.dt_b_c_rms", true);
    ones(model, "blk.0.ssm_dt_norm.weight", 4);
    ones(model, "blk.0.ssm_b_norm.weight", 16);
    ones(model, "blk.0.ssm_c_norm.weight", 16);
    ModelSpec without = Families.spec(model);
    ModelSpec with =
        Rig.with(
            without,
            block -> {
              SelectiveScan s = (SelectiveScan) block;
              return new SelectiveScan(
                  s.norms(),
                  s.width(),
                  s.inner(),
                  s.state(),
                  s.rank(),
                  s.taps(),
                  Selection.NORMED_BY_FACTORS);
            });
    assertThat(logits(model, with)).isEqualTo(logits(model, without));
  }

  private static void ones(FixtureModel model, String name, int size) {
    float[] ones = new float[size];
    Arrays.fill(ones, 1);
    model.tensor(name, Formats.F32, ones, size);
  }

  @ParameterizedTest
  @CsvSource({
    "ssm.time_step_rank, 0, between",
    "ssm.time_step_rank, 5, ssm_x.weight",
    "ssm.state_size, 524288, too many",
    "ssm.inner_size, 16777216, too many",
    "ssm.conv_kernel, 65, between",
  })
  void refusesImpossibleCounts(String key, long value, String message) {
    assertThatThrownBy(() -> Families.spec(mamba().key(key, value)))
        .isInstanceOf(ModelFileException.class)
        .hasMessageStartingWith("fixture.gguf: ")
        .hasMessageContaining(message);
  }
}

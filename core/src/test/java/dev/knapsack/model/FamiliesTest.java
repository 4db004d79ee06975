package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.TestData;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.Rope;
import dev.knapsack.model.arch.Families;
import dev.knapsack.tensor.Formats;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class FamiliesTest {
  private static ModelSpec golden(String name) {
    try (ModelFile file = ModelFile.open(TestData.path("golden/" + name + "/model.gguf"))) {
      return Families.spec(file);
    }
  }

  private static Attention attention(ModelSpec spec, int layer) {
    return spec.layers().get(layer).attention();
  }

  private static List<Integer> windows(ModelSpec spec) {
    return spec.layers().stream().map(l -> l.attention().window()).toList();
  }

  @Test
  void readsALlama() {
    ModelSpec spec = Families.spec(FixtureModel.llama(1));
    assertThat(spec.family()).isEqualTo("llama");
    assertThat(spec.width()).isEqualTo(32);
    assertThat(spec.vocabulary()).isEqualTo(40);
    assertThat(spec.context()).isEqualTo(128);
    assertThat(spec.tiedOutput()).isFalse();
    assertThat(spec.layers()).hasSize(3);
    Attention layer = attention(spec, 0);
    assertThat(layer.heads()).isEqualTo(4);
    assertThat(layer.kvHeads()).isEqualTo(2);
    assertThat(layer.keySize()).isEqualTo(8);
    assertThat(layer.scale()).isEqualTo((float) (1 / Math.sqrt(8)));
    assertThat(layer.rope().pairs()).isEqualTo(Rope.Pairs.ADJACENT);
    assertThat(layer.rope()).isSameAs(attention(spec, 2).rope());
    assertThat(spec.layers().getFirst().blocks().getLast())
        .isInstanceOfSatisfying(
            Dense.class,
            mlp -> {
              assertThat(mlp.hidden()).isEqualTo(48);
              assertThat(mlp.activation()).isEqualTo(Activation.SILU);
            });
    // 3 layers × 2 heads × (8 + 8) numbers × 2 bytes × a page of 64 tokens.
    assertThat(spec.kvLayout(Formats.F16, Formats.F16).bytes(1)).isEqualTo(12288);
  }

  @Test
  void aFileMayNameItsPairing() {
    FixtureModel model = FixtureModel.llama(1);
    model.keys.put("knapsack.rope.pairs", "half");
    assertThat(attention(Families.spec(model), 0).rope().pairs()).isEqualTo(Rope.Pairs.HALF_SPLIT);
    model.keys.put("knapsack.rope.pairs", "quarter");
    assertThatThrownBy(() -> Families.spec(model))
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining("knapsack.rope.pairs")
        .hasMessageContaining("'quarter'");
  }

  @Test
  void namesWhatIsSupported() {
    assertThatThrownBy(() -> Families.spec(new FixtureModel("parrot", 1)))
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining("fixture.gguf: general.architecture: 'parrot' is not supported")
        .hasMessageContaining(
            "ernie4_5, ernie4_5-moe, exaone4, gemma2, gemma3, gemma3n, gemma4, glm4, gpt-oss,"
                + " granite, lfm2, lfm2moe, llama, mamba2, mistral3, phi3, qwen2,");
  }

  @Test
  void exaone4RotatesWhereThereIsAWindow() {
    ModelSpec spec = golden("exaone4");
    assertThat(windows(spec).subList(0, 5)).containsExactly(9, 9, 9, 0, 9);
    assertThat(spec.layers().stream().map(l -> l.attention().rope() != null).limit(5))
        .containsExactly(true, true, true, false, true);
  }

  @Test
  void gemma3LooksAfarInEverySixthLayer() {
    ModelSpec spec = golden("gemma3");
    List<Integer> windows = windows(spec);
    assertThat(windows).containsExactly(16, 16, 16, 16, 16, 0, 16);
    assertThat(attention(spec, 5).rope()).isNotSameAs(attention(spec, 0).rope());
  }

  @Test
  void gemma4HasTwoKindsOfLayersOfWhichTheLastReadEarlierOnes() {
    ModelSpec spec = golden("gemma4");
    assertThat(windows(spec)).containsExactly(6, 0, 6, 6, 0, 6, 0);
    assertThat(spec.layers().stream().map(l -> l.attention().keySize()))
        .containsExactly(16, 32, 16, 16, 32, 16, 32);
    assertThat(spec.layers().stream().map(l -> l.attention().keysOf()))
        .containsExactly(null, null, null, null, null, 3, 4);
    assertThat(attention(spec, 1).rope().frequencies()).hasSize(16);
    assertThat(attention(spec, 1).rope().frequencies()[15]).isLessThan(1e-30);
    assertThat(spec.opening()).containsExactly(new PerLayerInputs(32, spec.vocabulary(), 7, 8));
  }

  @Test
  void gemma4SharesOnlyWhatFits() {
    FixtureModel model = gemma4().key("attention.shared_kv_layers", 1L);
    assertThat(attention(Families.spec(model), 2).keysOf()).isZero();
    assertThatThrownBy(() -> Families.spec(gemma4().key("attention.shared_kv_layers", 3L)))
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining("no layer before 0 has what layer 0 is to read");
    model.key("attention.head_count_kv", new long[] {2, 2, 1});
    assertThatThrownBy(() -> Families.spec(model))
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining("layers 0 and 2 cannot share different heads");
    FixtureModel without = gemma4();
    without.keys.remove("gemma4.attention.sliding_window_pattern");
    assertThatThrownBy(() -> Families.spec(without)).hasMessageContaining("is missing: a flag");
  }

  /** Three layers, the second of which has no window. */
  private static FixtureModel gemma4() {
    FixtureModel model = new FixtureModel("gemma4", 1);
    FixtureModel llama = FixtureModel.llama(1);
    llama.keys.forEach((key, value) -> {
      if (key.startsWith("llama.")) {
        model.key(key.substring("llama.".length()), value);
      }
    });
    model.infos.putAll(llama.infos);
    for (int l = 0; l < 3; l++) {
      String p = "blk." + l + ".";
      model
          .norm(p + "attn_q_norm.weight", 8)
          .norm(p + "attn_k_norm.weight", 8)
          .norm(p + "post_attention_norm.weight", 32)
          .norm(p + "post_ffw_norm.weight", 32)
          .norm(p + "layer_output_scale.weight", 1);
    }
    return model.key("attention.sliding_window_pattern", new long[] {1, 0, 1});
  }

  @Test
  void longFactorsServeLongContexts() {
    try (ModelFile file = ModelFile.open(TestData.path("golden/phi3_long/model.gguf"))) {
      Rope atTrained = attention(Families.spec(file), 0).rope();
      Rope atOriginal = attention(Families.spec(file, 128), 0).rope();
      Rope beyond = attention(Families.spec(file, 129), 0).rope();
      assertThat(atTrained.frequencies()).isEqualTo(beyond.frequencies());
      assertThat(atOriginal.frequencies()).isNotEqualTo(beyond.frequencies());
    }
  }

  @ParameterizedTest
  @CsvSource({"rope.scaling.factor, 4, 4", "rope.scale_linear, 4, 4", "rope.scaling.factor, 0, 1"})
  void aScalingFactorWithoutATypeIsLinear(String key, double value, double divisor) {
    double[] plain = attention(Families.spec(FixtureModel.llama(1)), 0).rope().frequencies();
    FixtureModel model = FixtureModel.llama(1).key(key, value);
    double[] scaled = attention(Families.spec(model), 0).rope().frequencies();
    for (int i = 0; i < plain.length; i++) {
      assertThat(scaled[i]).isEqualTo(plain[i] / divisor);
    }
    model.key("rope.scaling.type", "none");
    assertThat(attention(Families.spec(model), 0).rope().frequencies()).isEqualTo(plain);
  }

  @Test
  void aFileMaySayWhichLayersHaveTheWindow() {
    FixtureModel model = FixtureModel.llama(1).key("attention.sliding_window", 8L);
    assertThat(windows(model)).containsExactly(0, 0, 0);
    assertThat(windows(model.key("attention.sliding_window_pattern", new long[] {0, 1, 1})))
        .containsExactly(0, 8, 8);
    assertThat(windows(model.key("attention.sliding_window_pattern", 2L))).containsExactly(8, 0, 8);
    assertThat(windows(model.key("attention.sliding_window_pattern", 0L))).containsExactly(8, 8, 8);
    model.key("attention.sliding_window_pattern", new long[] {1, 0});
    assertThatThrownBy(() -> Families.spec(model)).hasMessageContaining("2 values for 3 layers");
  }

  private static List<Integer> windows(ModelFile model) {
    return windows(Families.spec(model));
  }

  @ParameterizedTest
  @CsvSource({"qwen2moe, 24, 48", "qwen3moe, 24, 0", "llama, 48, 0"})
  void expertsWidthsMayBeLeftOut(String architecture, int width, int shared) {
    FixtureModel model = new FixtureModel(architecture, 1);
    FixtureModel llama = FixtureModel.llama(1);
    llama.keys.forEach((key, value) -> {
      if (key.startsWith("llama.")) {
        model.key(key.substring("llama.".length()), value);
      }
    });
    model.key("expert_count", 4L).key("expert_used_count", 2L);
    model.infos.putAll(llama.infos);
    for (int l = 0; l < 3; l++) {
      String p = "blk." + l + ".";
      model
          .bias(p + "attn_q.bias", 32)
          .bias(p + "attn_k.bias", 16)
          .bias(p + "attn_v.bias", 16)
          .norm(p + "attn_q_norm.weight", 8)
          .norm(p + "attn_k_norm.weight", 8)
          .weights(p + "ffn_gate_inp.weight", 32, 4)
          .weights(p + "ffn_gate_exps.weight", 32, width, 4, 1)
          .weights(p + "ffn_up_exps.weight", 32, width, 4)
          .weights(p + "ffn_down_exps.weight", width, 32, 4)
          .weights(p + "ffn_gate_inp_shexp.weight", 32)
          .weights(p + "ffn_gate_shexp.weight", 32, 48)
          .weights(p + "ffn_up_shexp.weight", 32, 48)
          .weights(p + "ffn_down_shexp.weight", 48, 32);
    }
    Experts experts = Families.spec(model).layers().getFirst().experts();
    assertThat(experts.hidden()).isEqualTo(width);
    assertThat(experts.shared() == null ? 0 : experts.shared().hidden()).isEqualTo(shared);
  }

  @Test
  void dimensionsOfOneAfterTheExpertsAreNone() {
    FixtureModel model = FixtureModel.llama(1);
    model.weights("with", 32, 48, 4, 1).weights("one", 32, 48, 1).weights("trimmed", 32, 48);
    assertThat(model.infos.get("with").matrices()).isEqualTo(4);
    assertThat(model.infos.get("one").matrices()).isEqualTo(1);
    assertThat(model.infos.get("trimmed").matrices()).isEqualTo(1);
  }

  @Test
  void smolLm3RotatesThreeLayersOfFour() {
    assertThat(golden("smollm3").layers().stream().map(l -> l.attention().rope() != null))
        .containsExactly(true, true, true, false, true);
  }

  @ParameterizedTest
  @CsvSource({
    "attention.head_count, 0, between",
    "attention.head_count, 6, do not divide",
    "attention.head_count_kv, 3, cannot share",
    "attention.head_count_kv, -2, between",
    "block_count, 0, between",
    "block_count, 9223372036854775807, between",
    "block_count, 4, blk.3.attn_norm.weight",
    "embedding_length, 64, token_embd.weight",
    "embedding_length, 2147483648, between",
    "feed_forward_length, 49, ffn_gate.weight",
    "attention.key_length, 16777216, too many",
    "context_length, 0, between",
    "rope.dimension_count, 7, even",
    "rope.dimension_count, 10, at most the head size",
    "expert_count, 4, expert_used_count",
  })
  void refusesImpossibleCounts(String key, long value, String message) {
    FixtureModel model = FixtureModel.llama(1).key(key, value);
    assertThatThrownBy(() -> Families.spec(model))
        .isInstanceOf(ModelFileException.class)
        .hasMessageStartingWith("fixture.gguf: ")
        .hasMessageContaining(message);
  }

  @Test
  void lfm2ConvolvesWhereItHasNoHeads() {
    ModelSpec spec = golden("lfm2");
    assertThat(spec.layers().stream().map(LayerSpec::carriesState))
        .containsExactly(true, true, false, true, false);
    assertThat(spec.layers().getFirst().attention()).isNull();
    assertThat(attention(spec, 2).kvHeads()).isEqualTo(2);
    assertThat(spec.outputNorm()).isEqualTo("token_embd_norm.weight");
  }

  @ParameterizedTest
  @CsvSource({
    "ssm.time_step_rank, 3, evenly",
    "ssm.group_count, 3, evenly",
    "ssm.state_size, 8388608, too many",
    "ssm.conv_kernel, 65, between",
    "ssm.inner_size, 0, between",
    "ssm.inner_size, 128, ssm_in.weight",
  })
  void refusesImpossibleStates(String key, long value, String message) {
    FixtureModel model = new FixtureModel("mamba2", 1);
    model
        .key("block_count", 1L)
        .key("context_length", 64L)
        .key("embedding_length", 32L)
        .key("attention.layer_norm_rms_epsilon", 1e-5)
        .key("ssm.conv_kernel", 4L)
        .key("ssm.inner_size", 64L)
        .key("ssm.state_size", 16L)
        .key("ssm.time_step_rank", 4L)
        .key("ssm.group_count", 1L)
        .weights("token_embd.weight", 32, 40)
        .norm("output_norm.weight", 32)
        .norm("blk.0.attn_norm.weight", 32)
        .weights("blk.0.ssm_in.weight", 32, 164)
        .weights("blk.0.ssm_conv1d.weight", 4, 96)
        .bias("blk.0.ssm_conv1d.bias", 96)
        .bias("blk.0.ssm_dt.bias", 4)
        .weights("blk.0.ssm_a", 1, 4)
        .weights("blk.0.ssm_d", 1, 4)
        .weights("blk.0.ssm_norm.weight", 64, 1)
        .weights("blk.0.ssm_out.weight", 64, 32);
    assertThat(Families.spec(model).layers()).hasSize(1);
    model.key(key, value);
    assertThatThrownBy(() -> Families.spec(model))
        .isInstanceOf(ModelFileException.class)
        .hasMessageStartingWith("fixture.gguf: ")
        .hasMessageContaining(message);
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, -1e-5, Double.NaN, Double.POSITIVE_INFINITY, 1e-60})
  void refusesImpossibleReals(double value) {
    for (String key : List.of("attention.layer_norm_rms_epsilon", "rope.freq_base")) {
      FixtureModel model = FixtureModel.llama(1).key(key, value);
      assertThatThrownBy(() -> Families.spec(model))
          .isInstanceOf(ModelFileException.class)
          .hasMessageContaining("llama." + key)
          .hasMessageContaining("above 0");
    }
  }

  @Test
  void everyTensorIsChecked() {
    for (String name : FixtureModel.llama(1).infos.keySet()) {
      FixtureModel without = FixtureModel.llama(1);
      without.infos.remove(name);
      FixtureModel misshapen = FixtureModel.llama(1);
      misshapen.norm(name, 31);
      if (!name.equals("output.weight")) {
        assertThatThrownBy(() -> Families.spec(without))
            .as(name)
            .isInstanceOf(ModelFileException.class)
            .hasMessageContaining("missing");
      }
      assertThatThrownBy(() -> Families.spec(misshapen))
          .as(name)
          .isInstanceOf(ModelFileException.class)
          .hasMessageContaining("fixture.gguf: " + name)
          .hasMessageContaining("[31]");
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void randomMetadataGivesASpecOrAnErrorThatNamesTheFile(long seed) {
    Random random = new Random(seed);
    Object[] values = {
      0L,
      -1L,
      1L,
      3L,
      1L << 31,
      Long.MAX_VALUE,
      Long.MIN_VALUE,
      Double.NaN,
      -0.0,
      1e300,
      "text",
      true,
      new long[0],
      new long[] {2, 0, -5},
      new float[] {1}
    };
    FixtureModel model = FixtureModel.llama(1);
    Map<String, Object> whole = Map.copyOf(model.keys);
    for (int i = 0; i < 500; i++) {
      model.keys.clear();
      model.keys.putAll(whole);
      List<String> names = new ArrayList<>(model.keys.keySet());
      names.addAll(
          List.of(
              "llama.rope.scaling.type",
              "llama.rope.scaling.factor",
              "llama.expert_count",
              "llama.attention.scale",
              "llama.rope.scaling.original_context_length"));
      for (int change = 0; change < 1 + random.nextInt(3); change++) {
        model.keys.put(
            names.get(random.nextInt(names.size())), values[random.nextInt(values.length)]);
      }
      try {
        assertThat(Families.spec(model).layers()).isNotEmpty();
      } catch (ModelFileException e) {
        assertThat(e).hasMessageStartingWith("fixture.gguf: ");
      }
    }
  }
}

package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.knapsack.TestData;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.Rope;
import dev.knapsack.kernel.Xielu;
import dev.knapsack.model.Attention.Source;
import dev.knapsack.model.arch.Families;
import dev.knapsack.tensor.Formats;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
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
              assertThat(mlp.function()).isEqualTo(new Nonlinearity.Gated(Activation.SILU));
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
        .hasMessageContaining("; supported are ")
        .hasMessageContaining(", llama, ");
  }

  @Test
  void exaone4RotatesWhereThereIsAWindow() {
    ModelSpec spec = golden("exaone4");
    assertThat(windows(spec).subList(0, 5)).containsExactly(9, 9, 9, 0, 9);
    assertThat(spec.layers().stream().map(l -> l.attention().rope() != null).limit(5))
        .containsExactly(true, true, true, false, true);
  }

  @Test
  void olmo3ScalesItsRotationWhereThereIsNoWindow() {
    FixtureModel model = NaiveModels.OLMO2.make().model;
    double[] plain = attention(Families.spec(model), 0).rope().frequencies();
    model
        .key("attention.sliding_window", 8L)
        .key("rope.scaling.type", "yarn")
        .key("rope.scaling.factor", 8.0)
        .key("rope.scaling.original_context_length", 16L);
    assertThat(windows(model)).containsExactly(8, 8, 8);
    model.key("attention.sliding_window_pattern", new long[] {1, 1, 0});
    ModelSpec spec = Families.spec(model);
    assertThat(windows(spec)).containsExactly(8, 8, 0);
    assertThat(attention(spec, 1).rope().frequencies()).isEqualTo(plain);
    assertThat(attention(spec, 2).rope().frequencies()).isNotEqualTo(plain);
  }

  @Test
  void llama4CutsThreeLayersOfFourIntoChunks() {
    ModelSpec spec = golden("llama4");
    assertThat(windows(spec)).containsExactly(8192, 8192, 8192, 0, 8192);
    for (int l = 0; l < 5; l++) {
      Attention attention = attention(spec, l);
      assertThat(attention.chunked()).isTrue();
      assertThat(attention.rope() == null).isEqualTo(l == 3);
      assertThat(attention.queryScale() == null).isEqualTo(l != 3);
      assertThat(attention.headNorms()).isEqualTo(l == 3 ? HeadNorms.EACH : HeadNorms.PLAIN);
      assertThat(spec.layers().get(l).experts() == null).isEqualTo(l % 2 == 0);
    }
    QueryScale scale = attention(spec, 3).queryScale();
    assertThat(scale.at(8190)).isEqualTo(1);
    assertThat(scale.at(8191)).isEqualTo((float) (1 + 0.1f * Math.log(2)));
    assertThat(spec.layers().get(1).experts().shared().hidden()).isEqualTo(24);
  }

  @Test
  void expertsAreWhereTheHeaderSaysSo() {
    assertThat(golden("lfm2moe").layers().stream().map(l -> l.experts() == null))
        .containsExactly(true, false, false, false, false);
    Experts glm = golden("glm4moe").layers().get(1).experts();
    assertThat(golden("glm4moe").layers()).hasSize(3);
    assertThat(glm.gating()).isEqualTo(new Gating(Gating.Function.SIGMOID, true, 1.5f));
    assertThat(glm.shared().hidden()).isEqualTo(32);
    Experts ernie = golden("ernie4_5-moe").layers().get(1).experts();
    assertThat(ernie.gating()).isEqualTo(new Gating(Gating.Function.SOFTMAX, true, 1));
    assertThat(ernie.shared().hidden()).isEqualTo(24);
  }

  @ParameterizedTest
  @CsvSource({
    "expert_gating_func, 4, supported are 1",
    "expert_gating_func, -1, between",
    "expert_group_count, 3, no 3 groups",
    "expert_group_used_count, 0, between",
    "expert_group_used_count, 5, between",
    "expert_group_used_count, 1, enough for 3 experts",
    "expert_shared_count, 65536, too many",
    "expert_used_count, 9, between",
    "interleave_moe_layer_step, -1, between",
    "leading_dense_block_count, 3, ffn_gate.weight",
    "moe_latent_size, 4, ffn_latent_down.weight",
  })
  void refusesImpossibleExperts(String key, long value, String message) {
    FixtureModel model = NaiveModels.QWEN3_MOE.make().model;
    model
        .key("expert_feed_forward_length", 512L)
        .key("expert_count", 8L)
        .key("expert_used_count", 3L)
        .key("expert_group_count", 4L)
        .key("expert_group_used_count", 2L)
        .key("expert_gating_func", 2L);
    for (int l = 0; l < 3; l++) {
      String p = "blk." + l + ".";
      model
          .weights(p + "ffn_gate_inp.weight", 32, 8)
          .weights(p + "ffn_gate_exps.weight", 32, 512, 8)
          .weights(p + "ffn_up_exps.weight", 32, 512, 8)
          .weights(p + "ffn_down_exps.weight", 512, 32, 8);
    }
    assertThat(Families.spec(model).layers().getFirst().experts().gating().usedGroups())
        .isEqualTo(2);
    model.key(key, value);
    assertThatThrownBy(() -> Families.spec(model))
        .isInstanceOf(ModelFileException.class)
        .hasMessageStartingWith("fixture.gguf: ")
        .hasMessageContaining(message);
  }

  @Test
  void apertusHasACurveInEachLayerOrOneForAll() {
    FixtureModel model = new FixtureModel("apertus", 1);
    FixtureModel llama = FixtureModel.llama(1);
    llama.keys.forEach((key, value) -> {
      if (key.startsWith("llama.")) {
        model.key(key.substring("llama.".length()), value);
      }
    });
    model.infos.putAll(llama.infos);
    for (int l = 0; l < 3; l++) {
      model.norm("blk." + l + ".attn_q_norm.weight", 8).norm("blk." + l + ".attn_k_norm.weight", 8);
    }
    model.keys.put("xielu.alpha_p", new float[] {0, 1, 2});
    model.keys.put("xielu.alpha_n", 0.0);
    model.keys.put("xielu.beta", 0.5);
    model.keys.put("xielu.eps", -1e-6);
    List<Xielu> curves =
        Families.spec(model).layers().stream()
            .map(layer -> ((Dense) layer.blocks().getLast()).function())
            .map(function -> ((Nonlinearity.Curved) function).curve())
            .toList();
    float ln2 = (float) Math.log(2);
    assertThat(curves.getFirst()).isEqualTo(new Xielu(ln2, 0.5f + ln2, 0.5f, -1e-6f));
    assertThat(curves.getLast().positive())
        .isCloseTo((float) Math.log1p(Math.exp(2)), within(1e-6f));
    model.keys.put("xielu.beta", new float[] {1, 2});
    assertThatThrownBy(() -> Families.spec(model))
        .hasMessageContaining("xielu.beta: 2 values for 3 layers");
    model.keys.put("xielu.beta", Double.NaN);
    assertThatThrownBy(() -> Families.spec(model))
        .hasMessageContaining("xielu.beta: must be a number");
  }

  @Test
  void cohere2HasOneNormForPartsSideBySide() {
    ModelSpec spec = golden("cohere2");
    assertThat(windows(spec)).containsExactly(7, 7, 7, 0);
    assertThat(spec.layers().stream().map(l -> l.attention().rope() != null))
        .containsExactly(true, true, true, false);
    assertThat(spec.centredNorms()).isTrue();
    assertThat(spec.layers()).allSatisfy(layer -> assertThat(layer.blocks()).hasSize(1));
  }

  @Test
  void alphaMakesTheBaseOfRotationLarger() {
    double[] frequencies = attention(golden("hunyuan-dense"), 0).rope().frequencies();
    double base = 10_000 * Math.pow(3, 8 / 6.0);
    for (int i = 0; i < 4; i++) {
      assertThat(frequencies[i]).isCloseTo(Math.pow(base, -i / 4.0), within(1e-8));
    }
    FixtureModel model = NaiveModels.HUNYUAN.make().model.key("rope.scaling.alpha", 1e-30);
    assertThatThrownBy(() -> Families.spec(model))
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining("rope.scaling.alpha: makes a base of");
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
    assertThat(spec.layers().stream().map(l -> l.attention().source()))
        .startsWith(Source.CACHE, Source.CACHE, Source.CACHE, Source.CACHE, Source.CACHE)
        .endsWith(new Source.Earlier(3), new Source.Earlier(4));
    assertThat(attention(spec, 1).rope().frequencies()).hasSize(16);
    assertThat(attention(spec, 1).rope().frequencies()[15]).isLessThan(1e-30);
    assertThat(spec.opening()).containsExactly(new PerLayerInputs(32, spec.vocabulary(), 7, 8));
  }

  @Test
  void gemma4SharesOnlyWhatFits() {
    FixtureModel model = gemma4().key("attention.shared_kv_layers", 1L);
    assertThat(attention(Families.spec(model), 2).source()).isEqualTo(new Source.Earlier(0));
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

  @Test
  void blocksThatPredictFurtherTokensAreNoLayers() {
    FixtureModel model =
        FixtureModel.llama(1)
            .key("nextn_predict_layers", 1L)
            .key("attention.sliding_window", 8L)
            .key("attention.sliding_window_pattern", new long[] {0, 1, 1});
    model.infos.remove("blk.2.attn_q.weight");
    ModelSpec spec = Families.spec(model);
    assertThat(windows(spec)).containsExactly(0, 8);
    assertThat(WeightLayout.of(model, spec).layers()).hasSize(2);
    Quantizer quantizer = new Quantizer(model, Formats.Q8_0, null);
    assertThat(quantizer.conversions()).hasSize(model.infos.size());
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
    "nextn_predict_layers, 3, between",
    "nextn_predict_layers, -1, between",
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
  void deepSeekCachesRowsThatKeysAndValuesAreMadeOf() {
    LatentAttention lite = latent(golden("deepseek2_lite"));
    assertThat(lite.querySource()).isZero();
    assertThat(lite.inOne()).isTrue();
    assertThat(lite.keySize()).isEqualTo(48);
    assertThat(lite.scale()).isEqualTo((float) (1 / Math.sqrt(32)));
    LatentAttention v3 = latent(golden("deepseek2_v3"));
    assertThat(v3.querySource()).isEqualTo(24);
    assertThat(v3.inOne()).isFalse();
    assertThat(v3.plain()).isEqualTo(16);
    assertThat(v3.valueSize()).isEqualTo(12);
    double stretched = 1 + 0.1 * Math.log(8);
    assertThat(v3.scale())
        .isEqualTo((float) (stretched * stretched / Math.sqrt(24)), within(1e-6f));
    assertThat(v3.rope().magnitude()).isEqualTo(1);
    assertThat(golden("deepseek2_v3").layers().stream().map(l -> l.experts() != null))
        .containsExactly(false, true, true);
  }

  private static LatentAttention latent(ModelSpec spec) {
    return (LatentAttention) spec.layers().getFirst().blocks().getFirst();
  }

  @ParameterizedTest
  @CsvSource({
    "rope.dimension_count, 16777216, too many",
    "rope.dimension_count, 24, below the numbers of a key 24",
    "rope.dimension_count, 7, even",
    "attention.kv_lora_rank, 0, between",
    "attention.kv_lora_rank, 16777216, too many",
    "attention.kv_lora_rank, 21, attn_kv_a_mqa.weight",
    "attention.key_length_mla, 16777216, too many",
    "attention.value_length_mla, 13, attn_v_b.weight",
    "attention.q_lora_rank, 0, attn_q.weight",
    "attention.q_lora_rank, 9, attn_q_a.weight",
    "nextn_predict_layers, 1, predict",
  })
  void refusesImpossibleLatents(String key, long value, String message) {
    FixtureModel model = deepSeek();
    assertThat(Families.spec(model).layers()).hasSize(1);
    model.key(key, value);
    assertThatThrownBy(() -> Families.spec(model))
        .isInstanceOf(ModelFileException.class)
        .hasMessageStartingWith("fixture.gguf: ")
        .hasMessageContaining(message);
  }

  @Test
  void deepSeekChoosesByABiasWhereWeightsAreSigmoids() {
    FixtureModel model = deepSeek();
    model
        .key("expert_count", 4L)
        .key("expert_used_count", 2L)
        .key("expert_feed_forward_length", 16L)
        .key("expert_gating_func", 1L)
        .weights("blk.0.ffn_gate_inp.weight", 32, 4)
        .weights("blk.0.ffn_gate_exps.weight", 32, 16, 4)
        .weights("blk.0.ffn_up_exps.weight", 32, 16, 4)
        .weights("blk.0.ffn_down_exps.weight", 16, 32, 4);
    assertThat(Families.spec(model).layers().getFirst().experts().count()).isEqualTo(4);
    model.key("expert_gating_func", 2L);
    assertThatThrownBy(() -> Families.spec(model))
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining("blk.0.exp_probs_b.bias: the tensor is missing");
  }

  private static FixtureModel deepSeek() {
    FixtureModel model = new FixtureModel("deepseek2", 1);
    return model
        .key("block_count", 1L)
        .key("context_length", 64L)
        .key("embedding_length", 32L)
        .key("feed_forward_length", 40L)
        .key("attention.layer_norm_rms_epsilon", 1e-5)
        .key("attention.head_count", 3L)
        .key("attention.head_count_kv", 1L)
        .key("attention.q_lora_rank", 8L)
        .key("attention.kv_lora_rank", 20L)
        .key("attention.key_length_mla", 24L)
        .key("attention.value_length_mla", 12L)
        .key("rope.dimension_count", 8L)
        .weights("token_embd.weight", 32, 40)
        .norm("output_norm.weight", 32)
        .norm("blk.0.attn_norm.weight", 32)
        .weights("blk.0.attn_q_a.weight", 32, 8)
        .norm("blk.0.attn_q_a_norm.weight", 8)
        .weights("blk.0.attn_q_b.weight", 8, 72)
        .weights("blk.0.attn_kv_a_mqa.weight", 32, 28)
        .norm("blk.0.attn_kv_a_norm.weight", 20)
        .weights("blk.0.attn_k_b.weight", 16, 20, 3)
        .weights("blk.0.attn_v_b.weight", 20, 12, 3)
        .weights("blk.0.attn_output.weight", 36, 32)
        .norm("blk.0.ffn_norm.weight", 32)
        .weights("blk.0.ffn_gate.weight", 32, 40)
        .weights("blk.0.ffn_up.weight", 32, 40)
        .weights("blk.0.ffn_down.weight", 40, 32);
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

  @Test
  void falconH1AttendsBesideAStateSpace() {
    ModelSpec spec = golden("falcon-h1");
    assertThat(spec.layers())
        .allSatisfy(layer -> {
          assertThat(layer.blocks()).hasSize(2);
          assertThat(layer.attention()).isNotNull();
          assertThat(layer.carriesState()).isTrue();
        });
    KvLayout layout = spec.kvLayout(Formats.F16, Formats.F16);
    assertThat(layout.heads(1).kvHeads()).isEqualTo(1);
    assertThat(layout.carriesStates()).isTrue();
  }

  @Test
  void granite4RotatesUnlessItsFileSaysNot() {
    ModelSpec spec = golden("granitehybrid");
    assertThat(spec.layers().stream().map(LayerSpec::carriesState))
        .containsExactly(true, true, false, true);
    assertThat(attention(spec, 2).rope()).isNull();
    assertThat(attention(spec, 2).scale()).isEqualTo(0.25f);
    assertThat(spec.residualScale()).isEqualTo(0.4f);
    assertThat(golden("granitehybrid_moe").layers().getFirst().experts().shared().hidden())
        .isEqualTo(28);
  }

  @Test
  void nemotronHHasOnePartALayer() {
    ModelSpec spec = golden("nemotron_h");
    assertThat(spec.layers().stream().<Class<?>>map(layer -> layer.blocks().getFirst().getClass()))
        .containsExactly(
            StateSpace.class, Attention.class, StateSpace.class, Dense.class, StateSpace.class);
    assertThat(spec.layers()).allSatisfy(layer -> assertThat(layer.blocks()).hasSize(1));
    assertThat(attention(spec, 1).rope()).isNull();
    assertThat(spec.kvLayout(Formats.F16, Formats.F16).layers().get(3))
        .isEqualTo(new LayerLayout.None());
  }

  @Test
  void nemotronHMayHaveExperts() {
    Experts experts = golden("nemotron_h_moe").layers().get(2).experts();
    assertThat(experts.gating()).isEqualTo(new Gating(Gating.Function.SIGMOID, true, 2.5f));
    assertThat(experts.function().isGated()).isFalse();
    assertThat(experts.shared().hidden()).isEqualTo(32);
  }

  @Test
  void jambaChoosesByTheTensorsOfALayer() {
    ModelSpec spec = golden("jamba");
    assertThat(spec.layers().stream().map(layer -> layer.attention() != null))
        .containsExactly(false, true, false, false);
    assertThat(spec.layers().stream().map(layer -> layer.experts() != null))
        .containsExactly(false, true, false, true);
    assertThat(attention(spec, 1).rope()).isNull();
  }

  @Test
  void plamo2HasFactorsForEachHeadAndNormsByOtherNames() {
    ModelSpec spec = golden("plamo2");
    assertThat(spec.layers().stream().map(LayerSpec::carriesState))
        .containsExactly(true, false, true);
    Attention attention = attention(spec, 1);
    assertThat(attention.headNorms()).isEqualTo(HeadNorms.EACH_OWN);
    assertThat(attention.norms().after()).isEqualTo("post_attention_norm");
    SelectiveStateSpace state = (SelectiveStateSpace) spec.layers().getFirst().blocks().getFirst();
    assertThat(state.rank()).isEqualTo(64);
    assertThat(state.remembers()).isEqualTo(new LayerLayout.Recurrent(4 * (48 * 8 + 3 * 48)));
    FixtureModel model = new FixtureModel("plamo2", 1);
    model.key("block_count", 1L).key("embedding_length", 32L).key("context_length", 8L);
    model.key("attention.head_count_kv", 0L).weights("token_embd.weight", 32, 40);
    model.key("ssm.inner_size", 50L).key("ssm.time_step_rank", 4L).key("ssm.state_size", 8L);
    assertThatThrownBy(() -> Families.spec(model))
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining("plamo2.ssm.time_step_rank: 4 heads do not share 50 channels");
  }

  @Test
  void rwkv7CarriesTheRowBeforeForEachOfItsParts() {
    ModelSpec spec = golden("rwkv7");
    assertThat(spec.centredNorms()).isTrue();
    assertThat(spec.embeddingNorm()).isEqualTo("token_embd_norm.weight");
    assertThat(spec.kvLayout(Formats.F16, Formats.F16).layers())
        .containsOnly(new LayerLayout.Recurrent(4 * (128 * 64 + 2 * 128)));
  }

  @Test
  void arwkv7TakesValuesOfItsFirstLayer() {
    ModelSpec spec = golden("arwkv7");
    List<TimeMix> mixers =
        spec.layers().stream().map(layer -> (TimeMix) layer.blocks().getFirst()).toList();
    assertThat(mixers.stream().map(TimeMix::ranks))
        .containsExactly(new TimeMix.Ranks(8, 6, 0, 10), new TimeMix.Ranks(8, 6, 5, 10));
    assertThat(mixers.getFirst().headSize()).isEqualTo(64);
    FixtureModel model = new FixtureModel("arwkv7", 1);
    model.key("block_count", 1L).key("embedding_length", 32L).key("context_length", 8L);
    model.weights("token_embd.weight", 32, 40).key("wkv.head_size", 12L);
    assertThatThrownBy(() -> Families.spec(model))
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining("arwkv7.wkv.head_size: a width of 32");
  }

  @Test
  void kimiLinearAttendsWhereItHasHeads() {
    ModelSpec spec = golden("kimi-linear");
    assertThat(spec.layers().stream().map(LayerSpec::carriesState))
        .containsExactly(true, true, false, true);
    LatentAttention attention = (LatentAttention) spec.layers().get(2).blocks().getFirst();
    assertThat(attention.rope()).isNull();
    assertThat(attention.scale()).isEqualTo((float) (1 / Math.sqrt(24)));
  }

  @Test
  void qwen35HasAttentionWhereItsFileSays() {
    ModelSpec every = golden("qwen35");
    assertThat(every.layers().stream().map(LayerSpec::carriesState))
        .containsExactly(true, true, true, false, true);
    ModelSpec listed = golden("qwen35_mtp");
    assertThat(listed.layers().stream().map(LayerSpec::carriesState))
        .containsExactly(true, false, true);
    assertThat(attention(listed, 1).gated()).isTrue();
    assertThat(attention(listed, 1).rope().dimensions()).isEqualTo(8);
    DeltaRule rule = (DeltaRule) listed.layers().getFirst().blocks().getFirst();
    assertThat(rule).extracting(DeltaRule::keyHeads, DeltaRule::heads).containsExactly(2, 4);
    assertThat(IntStream.range(0, 4).map(rule::keyHead)).containsExactly(0, 1, 0, 1);
    DeltaRule next = (DeltaRule) golden("qwen3next").layers().getFirst().blocks().getFirst();
    assertThat(IntStream.range(0, 4).map(next::keyHead)).containsExactly(0, 0, 1, 1);
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

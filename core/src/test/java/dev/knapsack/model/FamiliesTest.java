package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.TestData;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.ModelFileException;
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

  @Test
  void readsALlama() {
    ModelSpec spec = Families.spec(FixtureModel.llama(1));
    assertThat(spec.family()).isEqualTo("llama");
    assertThat(spec.width()).isEqualTo(32);
    assertThat(spec.vocabulary()).isEqualTo(40);
    assertThat(spec.context()).isEqualTo(128);
    assertThat(spec.tiedOutput()).isFalse();
    assertThat(spec.layers()).hasSize(3);
    LayerSpec layer = spec.layers().getFirst();
    assertThat(layer.heads()).isEqualTo(4);
    assertThat(layer.kvHeads()).isEqualTo(2);
    assertThat(layer.keySize()).isEqualTo(8);
    assertThat(layer.attentionScale()).isEqualTo((float) (1 / Math.sqrt(8)));
    assertThat(layer.rope().pairs()).isEqualTo(Rope.Pairs.ADJACENT);
    assertThat(layer.rope()).isSameAs(spec.layers().getLast().rope());
    assertThat(layer.mlp()).isEqualTo(new Mlp.Dense(48, dev.knapsack.kernel.Activation.SILU));
    // 3 layers × 2 heads × (8 + 8) numbers × 2 bytes × a page of 64 tokens.
    assertThat(spec.kvLayout(Formats.F16, Formats.F16).bytes(1)).isEqualTo(12288);
  }

  @Test
  void aFileMayNameItsPairing() {
    FixtureModel model = FixtureModel.llama(1);
    model.keys.put("knapsack.rope.pairs", "half");
    assertThat(Families.spec(model).layers().getFirst().rope().pairs())
        .isEqualTo(Rope.Pairs.HALF_SPLIT);
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
        .hasMessageContaining("gemma2, gemma3, gpt-oss, granite, llama, mistral3, phi3, qwen2,");
  }

  @Test
  void gemma3LooksAfarInEverySixthLayer() {
    ModelSpec spec = golden("gemma3");
    List<Integer> windows = spec.layers().stream().map(LayerSpec::window).toList();
    assertThat(windows).containsExactly(16, 16, 16, 16, 16, 0, 16);
    assertThat(spec.layers().get(5).rope()).isNotSameAs(spec.layers().get(0).rope());
  }

  @Test
  void longFactorsServeLongContexts() {
    try (ModelFile file = ModelFile.open(TestData.path("golden/phi3_long/model.gguf"))) {
      Rope atTrained = Families.spec(file).layers().getFirst().rope();
      Rope atOriginal = Families.spec(file, 128).layers().getFirst().rope();
      Rope beyond = Families.spec(file, 129).layers().getFirst().rope();
      assertThat(atTrained.frequencies()).isEqualTo(beyond.frequencies());
      assertThat(atOriginal.frequencies()).isNotEqualTo(beyond.frequencies());
    }
  }

  @Test
  void smolLm3RotatesThreeLayersOfFour() {
    assertThat(golden("smollm3").layers().stream().map(l -> l.rope() != null))
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

package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.TestData;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.file.ModelFile;
import dev.knapsack.model.arch.Families;
import dev.knapsack.tensor.Formats;
import java.util.List;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ParallelTest {
  private static ModelFile open(String name) {
    return ModelFile.open(TestData.path("golden/" + name + "/model.gguf"));
  }

  private static float[] logits(ModelFile file, ModelSpec spec) {
    try (Rig rig = new Rig(file, spec, Rig.Parts.USUAL, KvPolicy.FULL)) {
      return rig.logits(Rig.tokens(40, 300, 2), 7);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"gemma2", "qwen2moe", "mamba2", "lfm2"})
  void aBlockBesideNoneIsComputedAsItIsAlone(String name) {
    try (ModelFile file = open(name)) {
      ModelSpec alone = Families.spec(file);
      ModelSpec one =
          Rig.with(alone, block -> new Parallel(Norms.NONE, alone.width(), List.of(block)));
      assertThat(logits(file, one)).isEqualTo(logits(file, alone));
      assertThat(one.kvLayout(Formats.F16, Formats.F16))
          .isEqualTo(alone.kvLayout(Formats.F16, Formats.F16));
    }
  }

  @Test
  void twiceTheSameIsTwiceAsMuch() {
    try (ModelFile file = open("mamba2")) {
      ModelSpec spec = Families.spec(file);
      float[] doubled = logits(file, withResidualScale(spec, 2));
      assertThat(logits(file, twice(spec, Norms.NONE, block -> block))).isEqualTo(doubled);
      Norms norms = spec.layers().getFirst().blocks().getFirst().norms();
      assertThat(logits(file, twice(spec, norms, ParallelTest::bare))).isEqualTo(doubled);
    }
  }

  private static ModelSpec twice(ModelSpec spec, Norms norms, UnaryOperator<Block> part) {
    return Rig.with(
        spec,
        block -> new Parallel(norms, spec.width(), List.of(part.apply(block), part.apply(block))));
  }

  private static Block bare(Block block) {
    StateSpace s = (StateSpace) block;
    return new StateSpace(
        Norms.NONE, s.width(), s.inner(), s.heads(), s.state(), s.groups(), s.taps());
  }

  private static ModelSpec withResidualScale(ModelSpec spec, float scale) {
    return new ModelSpec(
        spec.family(),
        spec.name(),
        spec.width(),
        spec.vocabulary(),
        spec.context(),
        spec.layers(),
        spec.centredNorms(),
        spec.normEpsilon(),
        spec.embeddingScale(),
        scale,
        spec.logitScale(),
        spec.logitSoftCap(),
        spec.embeddingNorm(),
        spec.outputNorm(),
        spec.tiedOutput(),
        spec.diffusion(),
        spec.encoding(),
        spec.opening(),
        spec.closing());
  }

  @Test
  void refusesWhatCannotStandSideBySide() {
    assertThatThrownBy(() -> new Parallel(Norms.NONE, 32, List.of())).hasMessageContaining("Some");
    Parallel one = new Parallel(Norms.NONE, 32, List.of(new ShortConvolution(Norms.NONE, 32, 3)));
    assertThatThrownBy(() -> new Parallel(Norms.NONE, 32, List.of(one)))
        .hasMessageContaining("each by itself");
    assertThatThrownBy(() -> new Parallel(Norms.NONE, 32, one.parts(), true))
        .hasMessageContaining("A difference is of two blocks, and there are 1");
  }
}

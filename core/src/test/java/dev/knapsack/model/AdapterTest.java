package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.cache.SequenceState;
import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.TensorSpec.Role;
import dev.knapsack.model.arch.Families;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

class AdapterTest {
  private static final int RANK = 3;
  private static final double ALPHA = 6;

  /** An adapter of a model without pairs yet. */
  private static FixtureModel adapter(FixtureModel model, long seed) {
    FixtureModel adapter = new FixtureModel((String) model.keys.get("general.architecture"), seed);
    adapter.keys.put("general.type", "adapter");
    adapter.keys.put("adapter.type", "lora");
    adapter.keys.put("adapter.lora.alpha", ALPHA);
    return adapter;
  }

  private static void addPair(FixtureModel adapter, TensorInfo matrix) {
    addPair(adapter, matrix, Formats.F32);
  }

  /**
   * Adds a pair.
   *
   * @param format of the first half, where its rows are whole blocks
   */
  private static void addPair(FixtureModel adapter, TensorInfo matrix, Format format) {
    long columns = matrix.shape().getFirst();
    long rows = matrix.shape().getLast();
    Format fitting = columns % format.blockValues() == 0 ? format : Formats.F32;
    adapter
        .tensor(matrix.name() + ".lora_a", fitting, 0, 0.2, columns, RANK)
        .tensor(matrix.name() + ".lora_b", Formats.F32, 0, 0.2, RANK, rows);
  }

  /** An adapter with a pair for each matrix that can have one. */
  private static FixtureModel full(FixtureModel model, long seed, Format format) {
    FixtureModel adapter = adapter(model, seed);
    Set<String> names = new TreeSet<>();
    List<LayerSpec> layers = Families.spec(model).layers();
    for (int l = 0; l < layers.size(); l++) {
      for (TensorSpec tensor : layers.get(l).tensors()) {
        if (tensor.role() == Role.MATRIX || tensor.role() == Role.ROUTER) {
          names.add(WeightLayout.name(l, tensor.name()));
          names.add(WeightLayout.name(l, String.valueOf(tensor.fused())));
        }
      }
    }
    names.retainAll(model.infos.keySet());
    names.forEach(name -> addPair(adapter, model.infos.get(name), format));
    return adapter;
  }

  /** Adds an adapter's products to the matrices. */
  private static void merge(FixtureModel model, FixtureModel adapter, double scale) {
    for (TensorInfo matrix : List.copyOf(model.infos.values())) {
      float[] a = adapter.numbers.get(matrix.name() + ".lora_a");
      if (a == null) {
        continue;
      }
      float[] b = adapter.numbers.get(matrix.name() + ".lora_b");
      int columns = matrix.shape().getFirst().intValue();
      int rows = matrix.shape().getLast().intValue();
      float[] w = model.numbers.get(matrix.name()).clone();
      for (int i = 0; i < w.length; i++) {
        double sum = 0;
        for (int r = 0; r < RANK; r++) {
          sum += (double) b[i / columns * RANK + r] * a[r * columns + i % columns];
        }
        w[i] += (float) (scale * ALPHA / RANK * sum);
      }
      model.tensor(matrix.name(), Formats.F32, w, columns, rows);
    }
  }

  @ParameterizedTest
  @EnumSource
  void isAsGoodAsMatricesThatItWasMergedWith(NaiveModels model) {
    int[] tokens = Rig.tokens(40, 40, 1);
    FixtureModel adapterFile = full(model.make().model, 17, Formats.F32);
    NaiveModel merged = model.make();
    merge(merged.model, adapterFile, 0.5);
    float[] expected = merged.logits(tokens);
    float[] without = model.make().logits(tokens);
    assertThat(Rig.error(without, expected)).isGreaterThan(0.01);
    for (KernelProvider provider : KernelProvider.here()) {
      try (Rig rig = new Rig(model.make().model, Rig.Parts.USUAL.with(provider).workers(2));
          Adapter adapter = open(rig, adapterFile, 0.5f)) {
        for (int step : List.of(40, 1, 7)) {
          assertThat(Rig.error(expected, rig.logits(tokens, step, adapter)))
              .as("%s, %s, %d at a time", model, provider, step)
              .isLessThan(1e-9);
        }
      }
    }
  }

  private static Adapter open(Rig rig, FixtureModel file, float scale) {
    return new Adapter(file, rig.spec, scale, rig.budget.account("adapters"));
  }

  static Stream<Arguments> models() {
    Stream<FixtureModel> mixers = Arrays.stream(NaiveMixers.values()).map(m -> m.make().model);
    return Stream.concat(Stream.of(NaiveModels.QWEN2_MOE.make().model), mixers)
        .flatMap(model ->
            Arrays.stream(Compute.Precision.values())
                .map(precision -> Arguments.of(model, precision)));
  }

  @ParameterizedTest
  @MethodSource("models")
  void eachRunOfAStepHasItsOwn(FixtureModel model, Compute.Precision precision) {
    quantise(model);
    for (KernelProvider provider : KernelProvider.here()) {
      Rig.Parts parts = Rig.Parts.USUAL.with(provider).with(precision).workers(2).tokens(120);
      try (Rig rig = new Rig(model, parts);
          Adapter one = open(rig, full(model, 1, Formats.Q8_0), 1);
          Adapter other = open(rig, full(model, 2, Formats.F16), 0.7f)) {
        List<Answer> answers =
            List.of(
                new Answer(70, one, Run.Kind.WRITTEN),
                new Answer(1, one, Run.Kind.WRITTEN),
                new Answer(5, null, Run.Kind.WRITTEN),
                new Answer(9, other, Run.Kind.WRITTEN),
                new Answer(20, one, Run.Kind.PROMPT),
                new Answer(13, null, Run.Kind.PROMPT),
                new Answer(2, other, Run.Kind.PROMPT));
        List<float[]> together = logits(rig, answers);
        for (int i = 0; i < answers.size(); i++) {
          float[] alone = logits(rig, List.of(answers.get(i))).getFirst();
          assertThat(together.get(i)).as("%s, run %d", provider, i).isEqualTo(alone);
        }
        Answer without = new Answer(70, null, Run.Kind.WRITTEN);
        assertThat(logits(rig, List.of(without)).getFirst()).isNotEqualTo(together.getFirst());
      }
    }
  }

  /** Stores matrices in 8 bits a number, as far as their rows are whole blocks. */
  private static void quantise(FixtureModel model) {
    for (TensorInfo tensor : List.copyOf(model.infos.values())) {
      long[] shape = tensor.shape().stream().mapToLong(Long::longValue).toArray();
      if (shape.length > 1 && shape[0] % 32 == 0) {
        model.tensor(tensor.name(), Formats.Q8_0, model.numbers.get(tensor.name()), shape);
      }
    }
  }

  /** A prompt of so many tokens, and a token after it. */
  private record Answer(int prompt, @Nullable Adapter adapter, Run.Kind kind) {
    int[] tokens() {
      return Rig.tokens(prompt + 1, 40, prompt);
    }
  }

  /** Logits of all tokens of some answers, whose prompts are one step and whose tokens another. */
  private static List<float[]> logits(Rig rig, List<Answer> answers) {
    List<SequenceState> states = answers.stream().map(answer -> rig.pool.sequence()).toList();
    List<Run> prompts = new ArrayList<>();
    List<Run> tokens = new ArrayList<>();
    for (int i = 0; i < answers.size(); i++) {
      Answer answer = answers.get(i);
      int n = answer.prompt;
      SequenceState state = states.get(i);
      prompts.add(new Run(state, answer.tokens(), 0, n, n, 0, Run.Kind.PROMPT, answer.adapter));
      tokens.add(new Run(state, answer.tokens(), n, n + 1, 1, 0, answer.kind, answer.adapter));
    }
    float[] first = Rig.floats(rig.transformer.forward(prompts));
    float[] second = Rig.floats(rig.transformer.forward(tokens));
    List<float[]> all = new ArrayList<>();
    int columns = rig.spec.vocabulary();
    int at = 0;
    for (int i = 0; i < answers.size(); i++) {
      int n = answers.get(i).prompt * columns;
      float[] both = Arrays.copyOfRange(first, at, at + n + columns);
      System.arraycopy(second, i * columns, both, n, columns);
      all.add(both);
      at += n;
    }
    states.forEach(SequenceState::close);
    return all;
  }

  @Test
  void anAccountHasItsBytesAsLongAsItIsOpen() {
    FixtureModel model = FixtureModel.llama(1);
    FixtureModel file = full(model, 2, Formats.F32);
    try (Rig rig = new Rig(model, Rig.Parts.USUAL)) {
      Account account = rig.budget.account("adapters");
      long pairs = file.infos.values().stream().mapToLong(TensorInfo::bytes).sum();
      Adapter adapter = open(rig, file, 1);
      assertThat(account.used()).isBetween(pairs, pairs + 64 * (48 + 3 + 2 * 42) * 4);
      adapter.close();
      assertThat(account.used()).isZero();
      assertThatThrownBy(() -> rig.logits(new int[] {1}, 1, adapter))
          .isInstanceOf(IllegalStateException.class);
      assertThatThrownBy(
              () -> new Adapter(file, rig.spec, 1, Budget.of("4KiB").account("adapters")))
          .isInstanceOf(BudgetExceededException.class);
    }
  }

  @Test
  void anotherModelsIsRefusedByAStep() {
    FixtureModel other = NaiveModels.GRANITE.make().model;
    try (Rig rig = new Rig(FixtureModel.llama(1), Rig.Parts.USUAL);
        Adapter adapter =
            new Adapter(
                full(other, 1, Formats.F32),
                Families.spec(other),
                1,
                rig.budget.account("adapters"))) {
      assertThatThrownBy(() -> rig.logits(new int[] {1}, 1, adapter))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("An adapter of");
      assertThat(rig.pool.livePages()).isZero();
    }
  }

  private enum Misfit {
    NO_ADAPTER("general.type: is ''; an adapter of this model has 'adapter'") {
      @Override
      void make(FixtureModel file) {
        file.keys.remove("general.type");
      }
    },
    ANOTHER_KIND("adapter.type: is 'loha'") {
      @Override
      void make(FixtureModel file) {
        file.keys.put("adapter.type", "loha");
      }
    },
    ANOTHER_ARCHITECTURE("general.architecture: is 'qwen3'; an adapter of this model has 'llama'") {
      @Override
      void make(FixtureModel file) {
        file.keys.put("general.architecture", "qwen3");
      }
    },
    HALF_A_PAIR("blk.1.attn_v.weight.lora_b: is missing") {
      @Override
      void make(FixtureModel file) {
        file.infos.remove("blk.1.attn_v.weight.lora_b");
      }
    },
    A_LAYER_TOO_MANY("blk.3.attn_v.weight.lora_a: belongs to no matrix") {
      @Override
      void make(FixtureModel file) {
        addPair(file, new TensorInfo("blk.3.attn_v.weight", Formats.F32, List.of(32L, 16L)));
      }
    },
    THE_EMBEDDING("token_embd.weight.lora_a: belongs to no matrix") {
      @Override
      void make(FixtureModel file) {
        addPair(file, new TensorInfo("token_embd.weight", Formats.F32, List.of(40L, 32L)));
      }
    },
    A_WIDER_MODEL(
        "blk.0.ffn_up.weight: has a pair of shapes [64, 3] and [3, 48]; the model needs") {
      @Override
      void make(FixtureModel file) {
        addPair(file, new TensorInfo("blk.0.ffn_up.weight", Formats.F32, List.of(64L, 48L)));
      }
    },
    TWO_RANKS("blk.0.ffn_up.weight: has a pair of shapes [32, 3] and [4, 48]") {
      @Override
      void make(FixtureModel file) {
        file.weights("blk.0.ffn_up.weight.lora_b", 4, 48);
      }
    },
    A_SCALAR("blk.0.ffn_up.weight: has a pair of shapes [32, 3] and []") {
      @Override
      void make(FixtureModel file) {
        file.tensor("blk.0.ffn_up.weight.lora_b", Formats.F32, new float[1]);
      }
    },
    A_SCALAR_FOR_ALL("blk.0.attn_qkv.weight.lora_b: belongs to no matrix") {
      @Override
      void make(FixtureModel file) {
        file.tensor("blk.0.attn_qkv.weight.lora_b", Formats.F32, new float[1]);
      }
    },
    NO_NUMBER("adapter.lora.alpha: is NaN") {
      @Override
      void make(FixtureModel file) {
        file.keys.put("adapter.lora.alpha", Double.NaN);
      }
    },
    TOO_MUCH("adapter.lora.alpha: is 1.0E300") {
      @Override
      void make(FixtureModel file) {
        file.keys.put("adapter.lora.alpha", 1e300);
      }
    },
    NOTHING("tensors: there are none") {
      @Override
      void make(FixtureModel file) {
        file.infos.clear();
      }
    };

    final String message;

    Misfit(String message) {
      this.message = message;
    }

    abstract void make(FixtureModel file);
  }

  @ParameterizedTest
  @EnumSource
  void whatDoesNotFitTheModelIsRefused(Misfit misfit) {
    FixtureModel model = FixtureModel.llama(1);
    FixtureModel file = full(model, 2, Formats.F32);
    misfit.make(file);
    Account account = Budget.of("1MiB").account("adapters");
    assertThatThrownBy(() -> new Adapter(file, Families.spec(model), 1, account))
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining(misfit.message);
    assertThat(account.used()).isZero();
  }
}

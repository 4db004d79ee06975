package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.cache.SequenceState;
import dev.knapsack.engine.Engine;
import dev.knapsack.file.GgufWriter;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.host.Host;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.kernel.Kernels;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.arch.Families;
import dev.knapsack.plan.Plan;
import dev.knapsack.planner.JvmShare;
import dev.knapsack.planner.Machine;
import dev.knapsack.planner.PlanRequest;
import dev.knapsack.planner.Planner;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.UnaryOperator;

/**
 * A model in miniature, and its paper's equations in double precision.
 *
 * @param definition logits after each token of a text, by the equations
 */
record PaperModel(FixtureModel model, Function<int[], float[]> definition) {
  private static final double ROUNDING = 1e-11;
  private static final double FLOAT = 1e-9;
  private static final int TOKENS = 50;

  private static final Machine MACHINE =
      new Machine(
          "any",
          "scalar",
          1,
          1e10,
          1e9,
          new Machine.Rates(1e9, 2e9),
          Map.of("F32", new Machine.Rates(1e9, 2e9)));

  private static int[] text(int seed) {
    return Rig.tokens(TOKENS, 40, seed);
  }

  /** Checks what all kernels compute of whole texts. */
  void isDefinedByItsPaper() {
    float[] expected = definition.apply(text(1));
    for (KernelProvider provider : KernelProvider.here()) {
      try (Rig rig = new Rig(model, Rig.Parts.USUAL.with(provider).workers(2))) {
        assertThat(Rig.error(expected, rig.logits(text(1), TOKENS)))
            .as("%s", provider)
            .isLessThan(provider == KernelProvider.SCALAR ? ROUNDING : FLOAT);
      }
    }
  }

  /** Checks that no bit depends on steps or workers. */
  void isTheSameInSteps(int... steps) {
    try (Rig one = new Rig(model, Rig.Parts.USUAL);
        Rig three = new Rig(model, Rig.Parts.USUAL.workers(3))) {
      float[] whole = one.logits(text(2), TOKENS);
      assertThat(three.logits(text(2), TOKENS)).as("three workers").isEqualTo(whole);
      for (int step : steps) {
        assertThat(one.logits(text(2), step)).as("%d at a time", step).isEqualTo(whole);
        assertThat(three.logits(text(2), step)).as("%d, three workers", step).isEqualTo(whole);
      }
    }
  }

  /** Checks that forks and sequences that went back go on as if there had been nothing else. */
  void forksAndGoesBack() {
    try (Rig rig = new Rig(model, Rig.Parts.USUAL);
        SequenceState state = rig.pool.sequence()) {
      float[] expected = rig.logits(text(3), TOKENS);
      int[] other = text(3).clone();
      Arrays.fill(other, 20, TOKENS, 7);
      float[] otherwise = rig.logits(other, TOKENS);
      state.prompt(20);
      rig.logits(state, text(3), 20, 20, UnaryOperator.identity());
      try (SequenceState fork = state.fork()) {
        assertThat(rig.logits(fork, other, 30, 4, UnaryOperator.identity()))
            .isEqualTo(rows(rig, otherwise, 20, 30));
      }
      rig.logits(state, other, 33, 13, UnaryOperator.identity());
      int from = state.back(25);
      assertThat(from).isEqualTo(20);
      assertThat(rig.logits(state, text(3), TOKENS, 9, UnaryOperator.identity()))
          .isEqualTo(rows(rig, expected, 20, TOKENS));
    }
  }

  private static float[] rows(Rig rig, float[] logits, int from, int to) {
    int vocabulary = rig.spec.vocabulary();
    return Arrays.copyOfRange(logits, from * vocabulary, to * vocabulary);
  }

  /** Checks the logits of a model that is opened from a file as any is. */
  void opensFrom(Path file) {
    opensFrom(file, engine -> {});
  }

  /** The same, and what else is to be said of the engine. */
  void opensFrom(Path file, Consumer<Engine> further) {
    write(file);
    Budget budget = Budget.of("256MiB");
    float[] expected = definition.apply(text(4));
    float[] actual = new float[expected.length];
    int vocabulary = expected.length / TOKENS;
    try (ModelFile opened = ModelFile.open(file);
        Engine engine =
            Engine.open(opened, null, plan(opened), new Host(budget), Engine.Options.usual())) {
      engine.logits(
          text(4),
          (position, logits) ->
              MemorySegment.copy(
                  logits, ValueLayout.JAVA_FLOAT, 0, actual, position * vocabulary, vocabulary));
      further.accept(engine);
    }
    // Activations are codes of 8 bits, where the machine's kernels have these.
    assertThat(Rig.error(expected, actual)).isLessThan(1e-3);
    assertThat(budget.used()).isZero();
  }

  private static Plan plan(ModelFile file) {
    ModelSpec spec = Families.spec(file);
    Kernels kernels = KernelProvider.SCALAR.open().kernels();
    return new Planner(file, spec, MACHINE, kernels, new JvmShare(4096, 0, 0, 0))
        .plan(PlanRequest.of(1L << 28, 1).withContext(spec.context()));
  }

  private void write(Path file) {
    try (GgufWriter writer = GgufWriter.create(file, model.metadata(), model.tensors().values());
        Arena arena = Arena.ofConfined()) {
      for (TensorInfo tensor : model.tensors().values()) {
        MemorySegment bytes = arena.allocate(tensor.bytes());
        model.read(tensor, 0, bytes);
        writer.write(tensor, bytes);
      }
      writer.finish();
    }
  }
}

package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.SequenceState;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.model.arch.Families;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.DoubleUnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The block beside plain loops in double precision. */
class ExpertsTest {
  private static final int WIDTH = 32;
  private static final int HIDDEN = 24;
  private static final int SHARED = 40;
  private static final int ROWS = 9;
  private static final int COUNT = 12;

  private static final Gating PLAIN = new Gating(Gating.Function.SOFTMAX, true, 1);
  private static final Gating GROUPED =
      new Gating(Gating.Function.SIGMOID, true, 2.5f, 4, 2, false);
  private static final Gating OF_INPUTS = new Gating(Gating.Function.SIGMOID, false, 1, 1, 1, true);

  /** What experts of today's mixtures are like. */
  enum Form {
    QWEN(Activation.SILU, true, PLAIN, 0, false, false),
    GROUPS(Activation.SILU, true, GROUPED, 0, false, true),
    FUSED(Activation.SILU, true, GROUPED, 0, false, true),
    NEMOTRON(Activation.RELU_SQUARED, false, GROUPED, 0, false, true),
    NEMOTRON_LATENT(Activation.RELU_SQUARED, false, GROUPED, 20, false, true),
    WIDE_LATENT(Activation.SILU, true, GROUPED, 48, false, true),
    LLAMA4(Activation.SILU, true, OF_INPUTS, 0, false, true),
    SMALLTHINKER(Activation.RELU, true, PLAIN, 0, true, false);

    private final Nonlinearity function;
    private final DoubleUnaryOperator activation;
    private final Gating gating;
    private final int latent;
    private final boolean routesInput;
    private final boolean shared;

    Form(
        Activation activation,
        boolean gated,
        Gating gating,
        int latent,
        boolean routesInput,
        boolean shared) {
      this.function =
          gated ? new Nonlinearity.Gated(activation) : new Nonlinearity.Ungated(activation);
      this.activation =
          switch (activation) {
            case RELU -> x -> Math.max(x, 0);
            case RELU_SQUARED -> x -> Math.max(x, 0) * Math.max(x, 0);
            default -> x -> x / (1 + Math.exp(-x));
          };
      this.gating = gating;
      this.latent = latent;
      this.routesInput = routesInput;
      this.shared = shared;
    }

    int expertWidth() {
      return latent == 0 ? WIDTH : latent;
    }

    Experts experts() {
      return new Experts(
          new Norms("ffn_norm.weight", null),
          WIDTH,
          COUNT,
          3,
          HIDDEN,
          function,
          gating,
          latent,
          routesInput ? Experts.Routed.LAYER_INPUT : Experts.Routed.INPUT,
          shared ? new Dense(Norms.NONE, WIDTH, SHARED, function, "_shexp") : null);
    }

    FixtureModel model() {
      FixtureModel model = FixtureModel.llama(4);
      for (int l = 0; l < 3; l++) {
        String p = "blk." + l + ".";
        model
            .weights(p + "ffn_gate_inp.weight", WIDTH, COUNT)
            .bias(p + "exp_probs_b.bias", COUNT)
            .weights(p + "ffn_down_exps.weight", HIDDEN, expertWidth(), COUNT);
        if (latent > 0) {
          model
              .weights(p + "ffn_latent_down.weight", WIDTH, latent)
              .weights(p + "ffn_latent_up.weight", latent, WIDTH);
        }
        if (shared) {
          model
              .weights(p + "ffn_gate_shexp.weight", WIDTH, SHARED)
              .weights(p + "ffn_up_shexp.weight", WIDTH, SHARED)
              .weights(p + "ffn_down_shexp.weight", SHARED, WIDTH);
        }
        if (this == FUSED) {
          model.weights(p + "ffn_gate_up_exps.weight", WIDTH, 2 * HIDDEN, COUNT);
        } else {
          model
              .weights(p + "ffn_gate_exps.weight", expertWidth(), HIDDEN, COUNT)
              .weights(p + "ffn_up_exps.weight", expertWidth(), HIDDEN, COUNT);
        }
      }
      return model;
    }
  }

  private static float[] random(long seed) {
    Random random = new Random(seed);
    float[] numbers = new float[ROWS * WIDTH];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = (float) random.nextGaussian();
    }
    return numbers;
  }

  private static Matrix matrix(Rig rig, Slot slot, float[] numbers) {
    Matrix matrix = rig.workspace.matrix(slot, ROWS, WIDTH);
    MemorySegment.copy(numbers, 0, matrix.data(), ValueLayout.JAVA_FLOAT, 0, numbers.length);
    return matrix;
  }

  @ParameterizedTest
  @EnumSource
  void isWhatLoopsCompute(Form form) {
    FixtureModel model = form.model();
    ModelSpec spec =
        Rig.with(Families.spec(model), block -> block instanceof Dense ? form.experts() : block);
    for (KernelProvider provider : KernelProvider.here()) {
      Rig.Parts parts = Rig.Parts.USUAL.with(provider).workers(2);
      try (Rig rig = new Rig(model, spec, parts, KvPolicy.FULL)) {
        Blocks blocks = new Blocks(spec, rig.compute, rig.workspace);
        ExpertsBlock block = new ExpertsBlock(blocks, new DenseBlock(blocks));
        Experts.Weights weights = (Experts.Weights) rig.weights.layer(1).blocks().getLast();
        float[] routed = random(1);
        float[] x = random(2);
        Matrix delta = rig.workspace.matrix(Slot.DELTA, ROWS, WIDTH);
        block.apply(weights, matrix(rig, Slot.HIDDEN, routed), matrix(rig, Slot.NORMED, x), delta);
        float[] expected = new float[ROWS * WIDTH];
        for (int t = 0; t < ROWS; t++) {
          double[] row = expected(form, model, row(routed, t), row(x, t));
          for (int i = 0; i < WIDTH; i++) {
            expected[t * WIDTH + i] = (float) row[i];
          }
        }
        assertThat(Rig.error(expected, Rig.floats(delta))).as("%s", provider).isLessThan(1e-11);
      }
    }
  }

  private static double[] row(float[] numbers, int row) {
    double[] values = new double[WIDTH];
    Arrays.setAll(values, i -> numbers[row * WIDTH + i]);
    return values;
  }

  private static double[] expected(Form form, FixtureModel model, double[] routed, double[] x) {
    String p = "blk.1.";
    double[] logits = product(model, p + "ffn_gate_inp.weight", 0, COUNT, routed);
    float[] bias = model.numbers.get(p + "exp_probs_b.bias");
    Map<Integer, Double> routes = RouterTest.expected(form.experts(), bias, logits);
    double[] input =
        form.latent == 0 ? x : product(model, p + "ffn_latent_down.weight", 0, form.latent, x);
    double[] sum = new double[form.expertWidth()];
    routes.forEach((expert, weight) -> {
      double[] read =
          Arrays.stream(input).map(d -> form.gating.inputs() ? d * weight : d).toArray();
      double[] out = expert(form, model, expert, read);
      for (int i = 0; i < sum.length; i++) {
        sum[i] += form.gating.inputs() ? out[i] : weight * out[i];
      }
    });
    double[] delta =
        form.latent == 0 ? sum : product(model, p + "ffn_latent_up.weight", 0, WIDTH, sum);
    if (form.shared) {
      double[] gate = product(model, p + "ffn_gate_shexp.weight", 0, SHARED, x);
      double[] up = product(model, p + "ffn_up_shexp.weight", 0, SHARED, x);
      double[] shared =
          product(model, p + "ffn_down_shexp.weight", 0, WIDTH, hidden(form, gate, up));
      for (int i = 0; i < WIDTH; i++) {
        delta[i] += shared[i];
      }
    }
    return delta;
  }

  private static double[] expert(Form form, FixtureModel model, int expert, double[] x) {
    String p = "blk.1.";
    double[] gate;
    double[] up;
    if (form == Form.FUSED) {
      gate = product(model, p + "ffn_gate_up_exps.weight", 2 * expert * HIDDEN, HIDDEN, x);
      up = product(model, p + "ffn_gate_up_exps.weight", (2 * expert + 1) * HIDDEN, HIDDEN, x);
    } else {
      gate = product(model, p + "ffn_gate_exps.weight", expert * HIDDEN, HIDDEN, x);
      up = product(model, p + "ffn_up_exps.weight", expert * HIDDEN, HIDDEN, x);
    }
    int width = form.expertWidth();
    return product(
        model, p + "ffn_down_exps.weight", expert * width, width, hidden(form, gate, up));
  }

  private static double[] hidden(Form form, double[] gate, double[] up) {
    double[] hidden = new double[up.length];
    Arrays.setAll(
        hidden,
        i ->
            form.function.isGated()
                ? form.activation.applyAsDouble(gate[i]) * up[i]
                : form.activation.applyAsDouble(up[i]));
    return hidden;
  }

  /** Some rows of a matrix times x. */
  private static double[] product(FixtureModel model, String name, int from, int rows, double[] x) {
    float[] numbers = model.numbers.get(name);
    double[] out = new double[rows];
    for (int r = 0; r < rows; r++) {
      for (int c = 0; c < x.length; c++) {
        out[r] += numbers[(from + r) * x.length + c] * x[c];
      }
    }
    return out;
  }

  @Test
  void gateAndUpInOneTensorAreExperts() {
    FixtureModel model =
        Form.FUSED
            .model()
            .key("expert_count", (long) COUNT)
            .key("expert_used_count", 3L)
            .key("expert_feed_forward_length", (long) HIDDEN);
    ModelSpec spec = Families.spec(model);
    List<TensorInfo> experts = WeightLayout.of(model, spec).experts().getFirst();
    assertThat(experts)
        .extracting(TensorInfo::name)
        .containsExactly("blk.0.ffn_gate_up_exps.weight", "blk.0.ffn_down_exps.weight");
    Map<String, Format> formats = new HashMap<>();
    new Quantizer(model, Formats.MXFP4, null)
        .conversions()
        .forEach(conversion -> formats.put(conversion.to().name(), conversion.wanted()));
    assertThat(formats)
        .containsEntry("blk.0.ffn_gate_up_exps.weight", Formats.MXFP4)
        .containsEntry("blk.0.attn_q.weight", Formats.Q8_0)
        .containsEntry("blk.0.exp_probs_b.bias", Formats.F32);
    model.weights("blk.0.ffn_gate_up_exps.weight", WIDTH, HIDDEN, 2 * COUNT);
    assertThatThrownBy(() -> Families.spec(model))
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining("blk.0.ffn_gate_up_exps.weight: has shape [32, 24, 24]")
        .hasMessageContaining("expected [32, 48, 12]");
  }

  /** What is added to a row depends on no other, nor on how many workers there are. */
  @ParameterizedTest
  @EnumSource
  void neitherStepsNorWorkersChangeABit(Form form) {
    FixtureModel model = form.model();
    ModelSpec spec =
        Rig.with(Families.spec(model), block -> block instanceof Dense ? form.experts() : block);
    Rig.Parts parts = Rig.Parts.USUAL.with(Formats.F16);
    int[] tokens = Rig.tokens(33, 40, 6);
    try (Rig one = new Rig(model, spec, parts, KvPolicy.FULL);
        Rig three = new Rig(model, spec, parts.workers(3), KvPolicy.FULL)) {
      float[] expected = one.logits(tokens, 33);
      assertThat(three.logits(tokens, 33)).isEqualTo(expected);
      assertThat(three.logits(tokens, 7)).isEqualTo(expected);
      assertThat(one.logits(tokens, 1)).isEqualTo(expected);
      try (SequenceState state = one.pool.sequence()) {
        Matrix last = one.transformer.forward(List.of(new Run(state, tokens, 0, 33, 1)));
        assertThat(Rig.floats(last))
            .isEqualTo(Arrays.copyOfRange(expected, expected.length - 40, expected.length));
      }
    }
  }
}

package dev.knapsack.model;

import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;

/**
 * Models in miniature whose token mixers are known from papers alone, each with its definition in
 * double precision: whole texts, and nothing carried.
 */
enum NaiveMixers {
  /** Four memories, of which a token uses two, and one for all. */
  MOM {
    @Override
    NaiveModel make() {
      return mom(true);
    }
  },

  MOM_ALONE {
    @Override
    NaiveModel make() {
      return mom(false);
    }
  },

  /** A window of 6 tokens, 4 that fade and 5 that are kept. */
  BMOJO {
    @Override
    NaiveModel make() {
      return NaiveBMojo.make(4, 5);
    }
  },

  /** As it is published: as many tokens fade as the window has, and none is kept. */
  BMOJO_F {
    @Override
    NaiveModel make() {
      return NaiveBMojo.make(NaiveBMojo.WINDOW, 0);
    }
  },

  /** Ternary matrices, each with a scale. */
  MATMUL_FREE {
    @Override
    NaiveModel make() {
      return matMulFree(Formats.F32, WIDTH);
    }
  };

  static final int LAYERS = 2;
  static final int WIDTH = 32;
  static final int HEADS = 4;
  static final int SIZE = 8;
  private static final int MEMORIES = 4;
  private static final int USED = 2;
  static final int TAPS = 3;

  abstract NaiveModel make();

  static NaiveModel with(FixtureModel model, NaiveModel.Mixer mixer) {
    NaiveModel naive = new NaiveModel(model);
    naive.layers = LAYERS;
    naive.headSize = SIZE;
    naive.mixer = mixer;
    return naive;
  }

  static FixtureModel base(String architecture, int width, int hidden) {
    FixtureModel model =
        new FixtureModel(architecture, 7)
            .key("block_count", (long) LAYERS)
            .key("context_length", 128L)
            .key("embedding_length", (long) width)
            .key("feed_forward_length", (long) hidden)
            .key("attention.layer_norm_rms_epsilon", 1e-5)
            .tensor("token_embd.weight", Formats.F32, 0, 1, width, 300)
            .norm("output_norm.weight", width)
            .weights("output.weight", width, 300);
    for (int l = 0; l < LAYERS; l++) {
      String p = "blk." + l + ".";
      model.norm(p + "attn_norm.weight", width).norm(p + "ffn_norm.weight", width);
    }
    return model;
  }

  static void dense(FixtureModel model, String p) {
    model
        .weights(p + "ffn_gate.weight", WIDTH, 48)
        .weights(p + "ffn_up.weight", WIDTH, 48)
        .weights(p + "ffn_down.weight", 48, WIDTH);
  }

  /** With ternary numbers in this format. */
  static NaiveModel matMulFree(Format format, int width) {
    FixtureModel model = base("matmul-free", width, width);
    for (int l = 0; l < LAYERS; l++) {
      String p = "blk." + l + ".";
      for (String name : List.of("gru_forget", "gru_candidate", "gru_gate", "gru_output")) {
        ternary(model, p + name, format, width);
        model.bias(p + name + ".bias", width);
      }
      for (String name : List.of("ffn_gate", "ffn_up", "ffn_down")) {
        ternary(model, p + name, format, width);
      }
      model.norm(p + "gru_sub_norm.weight", width).norm(p + "ffn_sub_norm.weight", width);
    }
    return with(model, NaiveMixers::linearGru);
  }

  private static void ternary(FixtureModel model, String name, Format format, int width) {
    Random random = new Random(name.hashCode());
    float[] values = new float[width * width];
    for (int i = 0; i < values.length; i++) {
      values[i] = random.nextInt(3) - 1;
    }
    float scale = (float) (1.2 / Math.sqrt(width));
    model
        .tensor(name + ".weight", format, values, width, width)
        .tensor(name + ".scale", Formats.F32, new float[] {scale}, 1);
  }

  private static NaiveModel mom(boolean shared) {
    int memories = shared ? MEMORIES + 1 : MEMORIES;
    int columns = HEADS * SIZE;
    FixtureModel model =
        base("mom", WIDTH, 48)
            .key("attention.head_count", (long) HEADS)
            .key("attention.key_length", (long) SIZE)
            .key("attention.value_length", (long) SIZE)
            .key("ssm.conv_kernel", (long) TAPS)
            .key("memory_count", (long) MEMORIES)
            .key("memory_used_count", (long) USED)
            .key("memory_shared", shared);
    for (int l = 0; l < LAYERS; l++) {
      String p = "blk." + l + ".";
      dense(model, p);
      model
          .weights(p + "memory_router.weight", WIDTH, MEMORIES)
          .weights(p + "attn_q.weight", WIDTH, columns)
          .weights(p + "attn_k.weight", WIDTH, (long) memories * columns)
          .weights(p + "attn_v.weight", WIDTH, (long) memories * columns)
          .weights(p + "ssm_beta.weight", WIDTH, (long) memories * HEADS)
          .weights(p + "ssm_alpha.weight", WIDTH, (long) memories * HEADS)
          .weights(p + "attn_gate.weight", WIDTH, columns)
          .weights(p + "ssm_conv1d_q.weight", TAPS, columns)
          .weights(p + "ssm_conv1d_k.weight", TAPS, columns)
          .weights(p + "ssm_conv1d_v.weight", TAPS, columns)
          .bias(p + "ssm_dt.bias", HEADS)
          .tensor(p + "ssm_a", Formats.F32, -0.3, 0.05, HEADS)
          .norm(p + "ssm_norm.weight", SIZE)
          .weights(p + "ssm_out.weight", columns, WIDTH);
    }
    return with(model, (naive, x, p) -> memories(naive, x, p, shared));
  }

  private static double[][] memories(NaiveModel naive, double[][] x, String p, boolean shared) {
    double[][] read = new double[x.length][HEADS * SIZE];
    double[][] factors = new double[MEMORIES + 1][x.length];
    Arrays.fill(factors[MEMORIES], 1);
    for (int t = 0; t < x.length; t++) {
      double[] logits = naive.product(p + "memory_router.weight", x[t], 0);
      double[] weights = Arrays.stream(logits).map(Math::exp).toArray();
      int[] chosen =
          IntStream.range(0, MEMORIES)
              .boxed()
              .sorted(Comparator.comparingDouble(m -> -weights[m]))
              .limit(USED)
              .mapToInt(m -> m)
              .toArray();
      double sum = Arrays.stream(chosen).mapToDouble(m -> weights[m]).sum();
      for (int m : chosen) {
        factors[m][t] = weights[m] / sum;
      }
    }
    for (int m = 0; m < (shared ? MEMORIES + 1 : MEMORIES); m++) {
      memory(naive, x, p, m, factors[m], read);
    }
    double[][] out = new double[x.length][];
    for (int t = 0; t < x.length; t++) {
      double[] gate = naive.product(p + "attn_gate.weight", x[t], 0);
      double[] gated = new double[HEADS * SIZE];
      for (int h = 0; h < HEADS; h++) {
        double[] head = Arrays.copyOfRange(read[t], h * SIZE, (h + 1) * SIZE);
        double[] normed = naive.norm(head, p + "ssm_norm.weight");
        for (int i = 0; i < SIZE; i++) {
          gated[h * SIZE + i] = normed[i] * silu(gate[h * SIZE + i]);
        }
      }
      out[t] = naive.product(p + "ssm_out.weight", gated, 0);
    }
    return out;
  }

  /** Adds what the tokens with a factor read of a memory that they alone write. */
  private static void memory(
      NaiveModel naive, double[][] x, String p, int memory, double[] factors, double[][] sum) {
    int[] tokens = IntStream.range(0, x.length).filter(t -> factors[t] > 0).toArray();
    double[][] query = of(naive, p + "attn_q.weight", x, tokens, 0, 1);
    double[][] key = of(naive, p + "attn_k.weight", x, tokens, memory, HEADS * SIZE);
    double[][] value = of(naive, p + "attn_v.weight", x, tokens, memory, HEADS * SIZE);
    double[][] beta = of(naive, p + "ssm_beta.weight", x, tokens, memory, HEADS);
    double[][] alpha = of(naive, p + "ssm_alpha.weight", x, tokens, memory, HEADS);
    query = convolved(naive, p + "ssm_conv1d_q", query);
    key = convolved(naive, p + "ssm_conv1d_k", key);
    value = convolved(naive, p + "ssm_conv1d_v", value);
    for (int h = 0; h < HEADS; h++) {
      double[][] state = new double[SIZE][SIZE];
      double rate = naive.row(p + "ssm_a", 0)[h];
      double bias = naive.row(p + "ssm_dt.bias", 0)[h];
      for (int n = 0; n < tokens.length; n++) {
        double[] q = unit(query[n], h);
        double[] k = unit(key[n], h);
        double decay = Math.exp(rate * Math.log1p(Math.exp(alpha[n][h] + bias)));
        for (int j = 0; j < SIZE; j++) {
          double known = 0;
          for (int i = 0; i < SIZE; i++) {
            state[i][j] *= decay;
            known += k[i] * state[i][j];
          }
          double found = 0;
          for (int i = 0; i < SIZE; i++) {
            state[i][j] += sigmoid(beta[n][h]) * k[i] * (value[n][h * SIZE + j] - known);
            found += q[i] / Math.sqrt(SIZE) * state[i][j];
          }
          sum[tokens[n]][h * SIZE + j] += factors[tokens[n]] * found;
        }
      }
    }
  }

  /** Some tokens' products with the rows of a matrix that are a memory's; one of 1 has them all. */
  private static double[][] of(
      NaiveModel naive, String name, double[][] x, int[] tokens, int memory, int rows) {
    return IntStream.of(tokens)
        .mapToObj(t -> naive.product(name, x[t], 0))
        .map(y -> rows == 1 ? y : Arrays.copyOfRange(y, memory * rows, (memory + 1) * rows))
        .toArray(double[][]::new);
  }

  private static double[] unit(double[] x, int head) {
    double[] own = Arrays.copyOfRange(x, head * SIZE, (head + 1) * SIZE);
    double length = Math.sqrt(Arrays.stream(own).map(d -> d * d).sum() + 1e-5);
    return Arrays.stream(own).map(d -> d / length).toArray();
  }

  /** Each row with those before it, and the silu of that. */
  static double[][] convolved(NaiveModel naive, String name, double[][] x) {
    double[][] y = new double[x.length][];
    for (int t = 0; t < x.length; t++) {
      y[t] = filtered(naive, name + ".weight", x, t);
      for (int c = 0; c < y[t].length; c++) {
        double bias = naive.has(name + ".bias") ? naive.row(name + ".bias", 0)[c] : 0;
        y[t][c] = silu(y[t][c] + bias);
      }
    }
    return y;
  }

  /**
   * The sum of a row and those before it by a matrix's factors, of which the last are the row's.
   */
  static double[] filtered(NaiveModel naive, String name, double[][] x, int t) {
    int taps = naive.row(name, 0).length;
    int columns = naive.model.infos.get(name).shape().get(1).intValue();
    double[] y = new double[columns];
    for (int c = 0; c < columns; c++) {
      double[] factors = naive.row(name, c);
      for (int k = Math.max(0, taps - 1 - t); k < taps; k++) {
        y[c] += factors[k] * x[t - taps + 1 + k][c];
      }
    }
    return y;
  }

  private static double[][] linearGru(NaiveModel naive, double[][] x, String p) {
    double[] state = new double[x[0].length];
    double[][] out = new double[x.length][];
    for (int t = 0; t < x.length; t++) {
      double[] forget = naive.biased(p + "gru_forget", x[t]);
      double[] candidate = naive.biased(p + "gru_candidate", x[t]);
      double[] gate = naive.biased(p + "gru_gate", x[t]);
      double[] gated = new double[state.length];
      for (int c = 0; c < state.length; c++) {
        double f = sigmoid(forget[c]);
        state[c] = f * state[c] + (1 - f) * silu(candidate[c]);
        gated[c] = sigmoid(gate[c]) * state[c];
      }
      out[t] = naive.biased(p + "gru_output", naive.norm(gated, p + "gru_sub_norm.weight"));
    }
    return out;
  }

  private static double sigmoid(double x) {
    return 1 / (1 + Math.exp(-x));
  }

  static double silu(double x) {
    return x * sigmoid(x);
  }
}

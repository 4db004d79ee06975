package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.ModelFileException;
import dev.knapsack.model.arch.Families;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Bi-Mamba (arXiv 2411.11843): Mamba 2 with projections of one bit. */
class BiMambaTest {
  private static final int WIDTH = 128;
  private static final int INNER = 256;
  private static final int HEADS = 4;
  private static final int GROUPS = 2;
  private static final int STATE = 8;
  private static final int TAPS = 4;
  private static final int MIXED = INNER + 2 * GROUPS * STATE;
  private static final int LAYERS = 2;

  @TempDir Path folder;

  private static FixtureModel model(Format signs) {
    FixtureModel model =
        new FixtureModel("bi-mamba", 5)
            .key("block_count", (long) LAYERS)
            .key("context_length", 64L)
            .key("embedding_length", (long) WIDTH)
            .key("attention.layer_norm_rms_epsilon", 1e-5)
            .key("ssm.conv_kernel", (long) TAPS)
            .key("ssm.inner_size", (long) INNER)
            .key("ssm.state_size", (long) STATE)
            .key("ssm.time_step_rank", (long) HEADS)
            .key("ssm.group_count", (long) GROUPS)
            .weights("token_embd.weight", WIDTH, 40)
            .norm("output_norm.weight", WIDTH);
    for (int l = 0; l < LAYERS; l++) {
      String p = "blk." + l + ".";
      model
          .norm(p + "attn_norm.weight", WIDTH)
          .weights(p + "ssm_conv1d.weight", TAPS, MIXED)
          .bias(p + "ssm_conv1d.bias", MIXED)
          .bias(p + "ssm_dt.bias", HEADS)
          .tensor(p + "ssm_a", Formats.F32, -1, 0.2, 1, HEADS)
          .bias(p + "ssm_d", 1, HEADS)
          .norm(p + "ssm_norm.weight", INNER);
      // A row of the norm's factors for each group.
      model.tensor(
          p + "ssm_norm.weight",
          Formats.F32,
          model.numbers.get(p + "ssm_norm.weight"),
          INNER / GROUPS,
          GROUPS);
      signs(model, p + "ssm_in", signs, WIDTH, INNER + MIXED + HEADS);
      signs(model, p + "ssm_out", signs, INNER, WIDTH);
    }
    return model;
  }

  private static void signs(FixtureModel model, String name, Format format, int columns, int rows) {
    Random random = new Random(name.hashCode());
    float[] signs = new float[rows * columns];
    for (int i = 0; i < signs.length; i++) {
      signs[i] = random.nextBoolean() ? 1 : -1;
    }
    double size = 1 / Math.sqrt(columns);
    model
        .tensor(name + ".weight", format, signs, columns, rows)
        .tensor(name + ".alpha", Formats.F32, size, 0.3 * size, columns)
        .tensor(name + ".beta", Formats.F32, 0, 0.3 * size, columns);
  }

  /** {@code W = α · sign(W) + β}, column by column, written out. */
  private static double[] product(NaiveModel naive, String name, double[] x) {
    double[] alpha = naive.row(name + ".alpha", 0);
    double[] beta = naive.row(name + ".beta", 0);
    double[] y = new double[naive.model.infos.get(name + ".weight").shape().get(1).intValue()];
    for (int r = 0; r < y.length; r++) {
      double[] signs = naive.row(name + ".weight", r);
      for (int c = 0; c < x.length; c++) {
        y[r] += (alpha[c] * signs[c] + beta[c]) * x[c];
      }
    }
    return y;
  }

  private static PaperModel paper(Format signs) {
    FixtureModel model = model(signs);
    NaiveModel naive = new NaiveModel(model);
    return new PaperModel(
        model,
        tokens -> {
          double[][] x = new double[tokens.length][];
          Arrays.setAll(x, t -> naive.row("token_embd.weight", tokens[t]));
          for (int l = 0; l < LAYERS; l++) {
            layer(naive, "blk." + l + ".", x);
          }
          return naive.logits(x);
        });
  }

  /** Mamba 2 (Dao and Gu, arXiv 2405.21060), a state for each head. */
  private static void layer(NaiveModel naive, String p, double[][] x) {
    int size = INNER / HEADS;
    double[][][] states = new double[HEADS][size][STATE];
    double[][] mixed = new double[x.length][];
    for (int t = 0; t < x.length; t++) {
      double[] all = product(naive, p + "ssm_in", naive.norm(x[t], p + "attn_norm.weight"));
      mixed[t] = Arrays.copyOfRange(all, INNER, INNER + MIXED);
      double[] in = NaiveScans.convolved(naive, p + "ssm_conv1d", mixed, t);
      double[] y = new double[INNER];
      for (int h = 0; h < HEADS; h++) {
        double step =
            NaiveScans.softplus(all[INNER + MIXED + h] + naive.row(p + "ssm_dt.bias", 0)[h]);
        double decay = Math.exp(step * naive.row(p + "ssm_a", h)[0]);
        int group = h / (HEADS / GROUPS) * STATE;
        for (int i = 0; i < size; i++) {
          double value = in[h * size + i];
          for (int n = 0; n < STATE; n++) {
            double b = in[INNER + group + n];
            double c = in[INNER + GROUPS * STATE + group + n];
            states[h][i][n] = decay * states[h][i][n] + step * value * b;
            y[h * size + i] += states[h][i][n] * c;
          }
          y[h * size + i] += naive.row(p + "ssm_d", h)[0] * value;
        }
      }
      for (int i = 0; i < INNER; i++) {
        y[i] *= NaiveScans.silu(all[i]);
      }
      for (int g = 0; g < GROUPS; g++) {
        double[] part = Arrays.copyOfRange(y, g * INNER / GROUPS, (g + 1) * INNER / GROUPS);
        double[] normed = NaiveScans.norm(part, naive.row(p + "ssm_norm.weight", g));
        System.arraycopy(normed, 0, y, g * normed.length, normed.length);
      }
      NaiveModel.add(x[t], product(naive, p + "ssm_out", y), 1);
    }
  }

  @Test
  void isMamba2WithSignsAFactorAndASummandOfEachColumn() {
    paper(Formats.Q1_0).isDefinedByItsPaper();
    paper(Formats.F16).isDefinedByItsPaper();
  }

  @Test
  void neitherStepsNorWorkersChangeABit() {
    paper(Formats.Q1_0).isTheSameInSteps(1, 7);
  }

  @Test
  void forksAndGoesBack() {
    paper(Formats.Q1_0).forksAndGoesBack();
  }

  @Test
  void opensFromAFile() {
    paper(Formats.Q1_0).opensFrom(folder.resolve("bi-mamba.gguf"));
  }

  @Test
  void doesNotDoWithoutFactorsOfColumns() {
    FixtureModel model = model(Formats.Q1_0);
    model.infos.remove("blk.1.ssm_out.beta");
    assertThatThrownBy(() -> Families.spec(model))
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining("blk.1.ssm_out.beta: the tensor is missing");
  }
}

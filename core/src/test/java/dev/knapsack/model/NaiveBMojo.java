package dev.knapsack.model;

import static dev.knapsack.model.NaiveMixers.HEADS;
import static dev.knapsack.model.NaiveMixers.LAYERS;
import static dev.knapsack.model.NaiveMixers.SIZE;
import static dev.knapsack.model.NaiveMixers.TAPS;
import static dev.knapsack.model.NaiveMixers.WIDTH;

import dev.knapsack.tensor.Formats;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/** The models of {@link NaiveMixers} that attend to what fades and what is kept. */
final class NaiveBMojo {
  static final int WINDOW = 6;
  private static final int INNER = 48;
  private static final int STATE = 6;
  private static final int RANK = 4;

  private NaiveBMojo() {}

  static NaiveModel make(int faded, int kept) {
    FixtureModel model =
        NaiveMixers.base("bmojo", WIDTH, 48)
            .key("attention.head_count", (long) HEADS)
            .key("attention.head_count_kv", 2L)
            .key("attention.key_length", (long) SIZE)
            .key("attention.sliding_window", (long) WINDOW)
            .key("ssm.conv_kernel", (long) TAPS)
            .key("ssm.inner_size", (long) INNER)
            .key("ssm.state_size", (long) STATE)
            .key("ssm.time_step_rank", (long) RANK);
    if (kept > 0) {
      model
          .key("fading_length", (long) faded)
          .key("eidetic_length", (long) kept)
          .key("innovation.conv_kernel", 2L);
    }
    for (int l = 0; l < LAYERS; l++) {
      String p = "blk." + l + ".";
      NaiveMixers.dense(model, p);
      model
          .weights(p + "ssm_in.weight", WIDTH, 2L * INNER)
          .weights(p + "ssm_conv1d.weight", TAPS, INNER)
          .bias(p + "ssm_conv1d.bias", INNER)
          .weights(p + "ssm_x.weight", INNER, RANK + 2L * STATE)
          .weights(p + "ssm_dt.weight", RANK, INNER)
          .bias(p + "ssm_dt.bias", INNER)
          .tensor(p + "ssm_a", Formats.F32, -1, 0.2, STATE, INNER)
          .bias(p + "ssm_d", INNER)
          .tensor(p + "ssm_out.weight", Formats.F32, 0, 0.6, INNER, WIDTH)
          .weights(p + "attn_q.weight", WIDTH, (long) HEADS * SIZE)
          .weights(p + "attn_k.weight", WIDTH, 2L * SIZE)
          .weights(p + "attn_v.weight", WIDTH, 2L * SIZE)
          .weights(p + "attn_output.weight", (long) HEADS * SIZE, WIDTH);
      if (kept > 0) {
        model.tensor(p + "innovation.weight", Formats.F32, 0.4, 0.1, 2, WIDTH);
      }
    }
    return NaiveMixers.with(model, (naive, x, p) -> eidetic(naive, x, p, faded, kept));
  }

  private static double[][] eidetic(NaiveModel naive, double[][] x, String p, int faded, int kept) {
    double[][] y = selectiveScan(naive, x, p);
    double[] innovation = new double[x.length];
    for (int t = 0; t < x.length && kept > 0; t++) {
      double[] foretold =
          t == 0
              ? new double[WIDTH]
              : NaiveMixers.filtered(naive, p + "innovation.weight", y, t - 1);
      for (int c = 0; c < WIDTH; c++) {
        innovation[t] += Math.pow(y[t][c] - foretold[c], 2);
      }
    }
    double[][] out = new double[x.length][];
    for (int t = 0; t < x.length; t++) {
      List<double[]> keys = new ArrayList<>();
      List<double[]> values = new ArrayList<>();
      for (int s = Math.max(0, t - WINDOW - faded + 1); s <= t - WINDOW; s++) {
        keys.add(rotated(naive, naive.product(p + "attn_k.weight", y[s], 0), s));
        values.add(naive.product(p + "attn_v.weight", y[s], 0));
      }
      IntStream eidetic =
          IntStream.rangeClosed(0, t - WINDOW)
              .boxed()
              .sorted(Comparator.comparingDouble(s -> -innovation[s]))
              .limit(kept)
              .mapToInt(s -> s);
      IntStream recent = IntStream.rangeClosed(Math.max(0, t - WINDOW + 1), t);
      for (int s : IntStream.concat(eidetic, recent).toArray()) {
        keys.add(rotated(naive, naive.product(p + "attn_k.weight", x[s], 0), s));
        values.add(naive.product(p + "attn_v.weight", x[s], 0));
      }
      double[] query = rotated(naive, naive.product(p + "attn_q.weight", x[t], 0), t);
      double[] attended = new double[HEADS * SIZE];
      for (int h = 0; h < HEADS; h++) {
        attend(query, keys, values, h, attended);
      }
      out[t] = naive.product(p + "attn_output.weight", attended, 0);
    }
    return out;
  }

  private static double[] rotated(NaiveModel naive, double[] heads, int position) {
    naive.rotate(heads, position);
    return heads;
  }

  private static void attend(
      double[] query, List<double[]> keys, List<double[]> values, int head, double[] out) {
    int kv = head / (HEADS / 2) * SIZE;
    double[] weights = new double[keys.size()];
    for (int s = 0; s < weights.length; s++) {
      double score = 0;
      for (int i = 0; i < SIZE; i++) {
        score += query[head * SIZE + i] * keys.get(s)[kv + i];
      }
      weights[s] = Math.exp(score / Math.sqrt(SIZE));
    }
    double sum = Arrays.stream(weights).sum();
    for (int s = 0; s < weights.length; s++) {
      for (int i = 0; i < SIZE; i++) {
        out[head * SIZE + i] += weights[s] / sum * values.get(s)[kv + i];
      }
    }
  }

  private static double[][] selectiveScan(NaiveModel naive, double[][] x, String p) {
    double[][] inner = new double[x.length][];
    double[][] gate = new double[x.length][];
    for (int t = 0; t < x.length; t++) {
      double[] both = naive.product(p + "ssm_in.weight", x[t], 0);
      inner[t] = Arrays.copyOf(both, INNER);
      gate[t] = Arrays.copyOfRange(both, INNER, 2 * INNER);
    }
    inner = NaiveMixers.convolved(naive, p + "ssm_conv1d", inner);
    double[][] state = new double[INNER][STATE];
    double[][] out = new double[x.length][];
    for (int t = 0; t < x.length; t++) {
      double[] selected = naive.product(p + "ssm_x.weight", inner[t], 0);
      double[] steps = naive.biased(p + "ssm_dt", Arrays.copyOf(selected, RANK));
      double[] y = new double[INNER];
      for (int c = 0; c < INNER; c++) {
        double step = Math.log1p(Math.exp(steps[c]));
        double[] rates = naive.row(p + "ssm_a", c);
        y[c] = naive.row(p + "ssm_d", 0)[c] * inner[t][c];
        for (int n = 0; n < STATE; n++) {
          double in = step * inner[t][c] * selected[RANK + n];
          state[c][n] = Math.exp(step * rates[n]) * state[c][n] + in;
          y[c] += state[c][n] * selected[RANK + STATE + n];
        }
        y[c] *= NaiveMixers.silu(gate[t][c]);
      }
      out[t] = naive.product(p + "ssm_out.weight", y, 0);
    }
    return out;
  }
}

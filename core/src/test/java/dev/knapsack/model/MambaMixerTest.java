package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.ModelFileException;
import dev.knapsack.model.arch.Families;
import dev.knapsack.tensor.Formats;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** MambaMixer (arXiv 2403.19888). */
class MambaMixerTest {
  private static final int WIDTH = 32;
  private static final int LAYERS = 3;
  private static final int INNER = 48;
  private static final int STATE = 8;
  private static final int RANK = 4;
  private static final int CHANNEL_INNER = 6;
  private static final int CHANNEL_STATE = 5;
  private static final int CHANNEL_RANK = 2;

  @TempDir Path folder;

  private static FixtureModel model() {
    FixtureModel model =
        new FixtureModel("mambamixer", 6)
            .key("block_count", (long) LAYERS)
            .key("context_length", 64L)
            .key("embedding_length", (long) WIDTH)
            .key("attention.layer_norm_rms_epsilon", 1e-5)
            .key("ssm.conv_kernel", 4L)
            .key("ssm.inner_size", (long) INNER)
            .key("ssm.state_size", (long) STATE)
            .key("ssm.time_step_rank", (long) RANK)
            .key("channel.conv_kernel", 3L)
            .key("channel.inner_size", (long) CHANNEL_INNER)
            .key("channel.state_size", (long) CHANNEL_STATE)
            .key("channel.time_step_rank", (long) CHANNEL_RANK)
            .weights("token_embd.weight", WIDTH, 40)
            .norm("output_norm.weight", WIDTH);
    for (int l = 0; l < LAYERS; l++) {
      String p = "blk." + l + ".";
      model
          .bias(p + "earlier_alpha.weight", l + 1)
          .bias(p + "earlier_beta.weight", l + 1)
          .bias(p + "earlier_theta.weight", l + 2)
          .bias(p + "earlier_gamma.weight", l + 1)
          .norm(p + "attn_norm.weight", WIDTH)
          .norm(p + "ffn_norm.weight", WIDTH)
          .weights(p + "ssm_in.weight", WIDTH, 2 * INNER)
          .weights(p + "ssm_out.weight", INNER, WIDTH)
          .weights(p + "channel_in.weight", 1, 2 * CHANNEL_INNER)
          .weights(p + "channel_out.weight", CHANNEL_INNER, 1);
      scan(model, p + "ssm_", 4, INNER, STATE, RANK);
      for (String direction : List.of("channel_", "channel_back_")) {
        scan(model, p + direction, 3, CHANNEL_INNER, CHANNEL_STATE, CHANNEL_RANK);
      }
    }
    return model;
  }

  private static void scan(FixtureModel model, String p, int taps, int inner, int state, int rank) {
    model
        .weights(p + "conv1d.weight", taps, inner)
        .bias(p + "conv1d.bias", inner)
        .weights(p + "x.weight", inner, rank + 2L * state)
        .weights(p + "dt.weight", rank, inner)
        .bias(p + "dt.bias", inner)
        .tensor(p + "a", Formats.F32, -1, 0.2, state, inner)
        .bias(p + "d", inner);
  }

  private static PaperModel paper() {
    FixtureModel model = model();
    NaiveModel naive = new NaiveModel(model);
    return new PaperModel(model, tokens -> naive.logits(states(naive, tokens)));
  }

  /** The last layer's y_Channel, of the sums of section 3.2 as they stand there. */
  private static double[][] states(NaiveModel naive, int[] tokens) {
    double[][] x = new double[tokens.length][];
    Arrays.setAll(x, t -> naive.row("token_embd.weight", tokens[t]));
    List<double[][]> ofTokens = new ArrayList<>(Collections.singleton(x));
    List<double[][]> ofChannels = new ArrayList<>(Collections.singleton(x));
    for (int l = 0; l < LAYERS; l++) {
      String p = "blk." + l + ".";
      double[][] input = zeros(x.length);
      average(naive.row(p + "earlier_alpha.weight", 0), ofTokens, input);
      average(naive.row(p + "earlier_beta.weight", 0), ofChannels, input);
      ofTokens.add(tokenMixer(naive, p, input));
      input = zeros(x.length);
      average(naive.row(p + "earlier_theta.weight", 0), ofTokens, input);
      average(naive.row(p + "earlier_gamma.weight", 0), ofChannels, input);
      ofChannels.add(channelMixer(naive, p, input));
    }
    return ofChannels.getLast();
  }

  private static double[][] zeros(int rows) {
    return new double[rows][WIDTH];
  }

  private static void average(double[] weights, List<double[][]> outputs, double[][] sum) {
    assertThat(weights).hasSize(outputs.size());
    for (int i = 0; i < weights.length; i++) {
      for (int t = 0; t < sum.length; t++) {
        NaiveModel.add(sum[t], outputs.get(i)[t], weights[i]);
      }
    }
  }

  private static double[][] tokenMixer(NaiveModel naive, String p, double[][] x) {
    double[][] mixed = new double[x.length][];
    double[][] gate = new double[x.length][];
    for (int t = 0; t < x.length; t++) {
      double[] both =
          naive.product(p + "ssm_in.weight", naive.norm(x[t], p + "attn_norm.weight"), 0);
      mixed[t] = Arrays.copyOf(both, INNER);
      gate[t] = Arrays.copyOfRange(both, INNER, 2 * INNER);
    }
    double[][] y = NaiveScans.selective(naive, p + "ssm_", mixed, RANK, STATE);
    for (int t = 0; t < x.length; t++) {
      for (int i = 0; i < INNER; i++) {
        y[t][i] *= NaiveScans.silu(gate[t][i]);
      }
      y[t] = naive.product(p + "ssm_out.weight", y[t], 0);
    }
    return y;
  }

  private static double[][] channelMixer(NaiveModel naive, String p, double[][] x) {
    double[][] y = zeros(x.length);
    for (int t = 0; t < x.length; t++) {
      double[] normed = naive.norm(x[t], p + "ffn_norm.weight");
      List<double[]> mixed = new ArrayList<>();
      double[][] gate = new double[WIDTH][];
      for (int c = 0; c < WIDTH; c++) {
        double[] both = naive.product(p + "channel_in.weight", new double[] {normed[c]}, 0);
        mixed.add(Arrays.copyOf(both, CHANNEL_INNER));
        gate[c] = Arrays.copyOfRange(both, CHANNEL_INNER, 2 * CHANNEL_INNER);
      }
      double[][] forwards = scan(naive, p + "channel_", mixed);
      Collections.reverse(mixed);
      double[][] backwards = scan(naive, p + "channel_back_", mixed);
      for (int c = 0; c < WIDTH; c++) {
        double[] sum = forwards[c];
        NaiveModel.add(sum, backwards[WIDTH - 1 - c], 1);
        for (int i = 0; i < CHANNEL_INNER; i++) {
          sum[i] *= NaiveScans.silu(gate[c][i]);
        }
        y[t][c] = naive.product(p + "channel_out.weight", sum, 0)[0];
      }
    }
    return y;
  }

  private static double[][] scan(NaiveModel naive, String p, List<double[]> rows) {
    return NaiveScans.selective(
        naive, p, rows.toArray(double[][]::new), CHANNEL_RANK, CHANNEL_STATE);
  }

  @Test
  void scansTokensAndChannelsOfAveragesOfAllThatCameBefore() {
    paper().isDefinedByItsPaper();
  }

  @Test
  void neitherStepsNorWorkersChangeABit() {
    paper().isTheSameInSteps(1, 7);
  }

  @Test
  void forksAndGoesBack() {
    paper().forksAndGoesBack();
  }

  @Test
  void opensFromAFile() {
    paper().opensFrom(folder.resolve("mambamixer.gguf"));
  }

  /**
   * The last mixer of tokens is not the last block: what came before follows the rows that go on.
   */
  @Test
  void theLastTokensLogitsAreThoseOfAll() {
    int[] tokens = Rig.tokens(12, 40, 5);
    try (Rig rig = new Rig(model(), Rig.Parts.USUAL);
        var state = rig.pool.sequence()) {
      float[] all = rig.logits(tokens, 12);
      float[] last = Rig.floats(rig.transformer.forward(List.of(Run.last(state, tokens))));
      assertThat(last).isEqualTo(Arrays.copyOfRange(all, 11 * 40, 12 * 40));
    }
  }

  @ParameterizedTest
  @CsvSource({
    "channel.state_size, 0, between",
    "channel.state_size, 524288, too many",
    "channel.time_step_rank, 3, channel_x.weight",
    "channel.conv_kernel, 65, between",
  })
  void refusesImpossibleCounts(String key, long value, String message) {
    assertThatThrownBy(() -> Families.spec(model().key(key, value)))
        .isInstanceOf(ModelFileException.class)
        .hasMessageStartingWith("fixture.gguf: ")
        .hasMessageContaining(message);
  }
}

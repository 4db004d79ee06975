package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.cache.SequenceState;
import dev.knapsack.engine.Request;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.model.arch.Families;
import dev.knapsack.tensor.Formats;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** EmbBERT (arXiv 2502.10001), with matrices of 8 bits. */
class EmbBertTest {
  private static final int WIDTH = 64;
  private static final int RANK = 16;
  private static final int TAPS = 7;
  private static final int LAYERS = 3;
  private static final int CONTEXT = 64;
  private static final int SEPARATOR = 4;

  @TempDir Path folder;

  private static FixtureModel model(int heads) {
    FixtureModel model =
        new FixtureModel("embbert", 7)
            .key("block_count", (long) LAYERS)
            .key("context_length", (long) CONTEXT)
            .key("embedding_length", (long) WIDTH)
            .key("embedding_rank", (long) RANK)
            .key("separator_token_id", (long) SEPARATOR)
            .key("conv_kernel", (long) TAPS)
            .key("attention.head_count", (long) heads)
            .key("attention.layer_norm_rms_epsilon", 1e-5)
            .tensor("token_embd.weight", Formats.F16, 0, 1, RANK, 40)
            .tensor("token_embd_up.weight", Formats.F16, 0, 0.25, RANK, WIDTH)
            .tensor("position_embd.weight", Formats.F32, 0, 1, RANK, CONTEXT)
            .tensor("position_embd_up.weight", Formats.F16, 0, 0.25, RANK, WIDTH)
            .tensor("token_types.weight", Formats.F32, 0, 1, WIDTH, 3);
    eightBits(model, "output_down.weight", RANK);
    for (int l = 0; l < LAYERS; l++) {
      String p = "blk." + l + ".";
      model
          .norm(p + "attn_norm.weight", WIDTH)
          .bias(p + "attn_q.bias", WIDTH)
          .bias(p + "attn_output.bias", WIDTH)
          .weights(p + "conv.weight", TAPS, WIDTH)
          .bias(p + "conv.bias", WIDTH)
          .bias(p + "conv_output.bias", WIDTH);
      for (String name : List.of("attn_q", "attn_output", "conv_output")) {
        eightBits(model, p + name + ".weight", WIDTH);
      }
      for (String name : List.of("q1", "k1", "q2", "k2")) {
        model.tensor(p + "lambda_" + name + ".weight", Formats.F32, 0, 0.1, WIDTH);
      }
    }
    return model;
  }

  private static void eightBits(FixtureModel model, String name, int rows) {
    model.tensor(name, Formats.Q8_0, 0, 1 / Math.sqrt(WIDTH), WIDTH, rows);
  }

  private static PaperModel paper(int heads) {
    FixtureModel model = model(heads);
    NaiveModel naive = new NaiveModel(model);
    return new PaperModel(model, tokens -> logits(naive, heads, tokens));
  }

  private static float[] logits(NaiveModel naive, int heads, int[] tokens) {
    double[][] x = new double[tokens.length][];
    boolean second = false;
    for (int t = 0; t < x.length; t++) {
      second |= tokens[t] == SEPARATOR;
      x[t] = naive.product("token_embd_up.weight", naive.row("token_embd.weight", tokens[t]), 0);
      double[] position = naive.row("position_embd.weight", t);
      NaiveModel.add(x[t], naive.product("position_embd_up.weight", position, 0), 1);
      int part = tokens[t] == 0 ? 0 : second ? 2 : 1;
      NaiveModel.add(x[t], naive.row("token_types.weight", part), 1);
    }
    for (int l = 0; l < LAYERS; l++) {
      x = layer(naive, "blk." + l + ".", heads, x);
    }
    float[] logits = new float[40 * tokens.length];
    for (int t = 0; t < x.length; t++) {
      double[] few = naive.product("output_down.weight", x[t], 0);
      double[] row = naive.product("token_embd.weight", few, 0);
      for (int v = 0; v < 40; v++) {
        logits[40 * t + v] = (float) row[v];
      }
    }
    return logits;
  }

  /** λ₁ · attention − λ₂ · convolution, of normed rows, which nothing is added to. */
  private static double[][] layer(NaiveModel naive, String p, int heads, double[][] rows) {
    int n = rows.length;
    double[][] x = new double[n][];
    Arrays.setAll(x, t -> naive.norm(rows[t], p + "attn_norm.weight"));
    double[][] y = new double[n][];
    for (int t = 0; t < n; t++) {
      double[] query = naive.biased(p + "attn_q", x[t]);
      double[] attended = new double[WIDTH];
      int size = WIDTH / heads;
      for (int from = 0; from < WIDTH; from += size) {
        double[] scores = new double[n];
        for (int s = 0; s < n; s++) {
          for (int i = from; i < from + size; i++) {
            scores[s] += query[i] * x[s][i] / Math.sqrt(size);
          }
        }
        double[] weights = NaiveModel.softmax(scores);
        for (int s = 0; s < n; s++) {
          for (int i = from; i < from + size; i++) {
            attended[i] += weights[s] * x[s][i];
          }
        }
      }
      double[] convolved = NaiveScans.convolved(naive, p + "conv", x, t);
      y[t] = new double[WIDTH];
      NaiveModel.add(y[t], naive.biased(p + "attn_output", attended), lambda(naive, p, "1"));
      NaiveModel.add(y[t], naive.biased(p + "conv_output", convolved), -lambda(naive, p, "2"));
    }
    return y;
  }

  private static double lambda(NaiveModel naive, String p, String which) {
    double[] q = naive.row(p + "lambda_q" + which + ".weight", 0);
    double[] k = naive.row(p + "lambda_k" + which + ".weight", 0);
    return Math.exp(IntStream.range(0, WIDTH).mapToDouble(i -> q[i] * k[i]).sum());
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 4})
  void isADifferenceOfAttentionAndAConvolution(int heads) {
    paper(heads).isDefinedByItsPaper();
  }

  @Test
  void workersChangeNoBit() {
    paper(1).isTheSameInSteps();
  }

  @Test
  void textsOfAStepDoNotSeeEachOther() {
    List<int[]> texts =
        List.of(Rig.tokens(9, 40, 1), new int[] {7, SEPARATOR, 9}, new int[] {3, 5});
    try (Rig rig = new Rig(model(1), Rig.Parts.USUAL)) {
      List<SequenceState> states = texts.stream().map(text -> rig.pool.sequence()).toList();
      List<Run> runs =
          IntStream.range(0, texts.size())
              .mapToObj(i -> Run.all(states.get(i), texts.get(i)))
              .toList();
      float[] together = Rig.floats(rig.transformer.forward(runs));
      assertThat(rig.budget.account("kv").used()).isZero();
      states.forEach(SequenceState::close);
      int from = 0;
      for (int[] text : texts) {
        int to = from + 40 * text.length;
        assertThat(Arrays.copyOfRange(together, from, to)).isEqualTo(rig.logits(text, text.length));
        from = to;
      }
    }
  }

  @Test
  void opensFromAFileAndWritesNothing() {
    paper(1)
        .opensFrom(
            folder.resolve("embbert.gguf"),
            engine -> {
              assertThatThrownBy(() -> engine.start(Request.of(1, 2)))
                  .hasMessageContaining("reads texts and writes none");
              assertThatThrownBy(() -> engine.read(new int[] {1}, (at, logits) -> {}))
                  .hasMessageContaining("ask it for the logits of a text");
            });
  }

  @Test
  void aTextHasNoMorePositionsThanTheTable() {
    try (Rig rig = new Rig(model(1), Rig.Parts.USUAL.tokens(CONTEXT + 1))) {
      assertThat(rig.logits(Rig.tokens(CONTEXT, 40, 1), CONTEXT)).hasSize(40 * CONTEXT);
      assertThatThrownBy(() -> rig.logits(Rig.tokens(CONTEXT + 1, 40, 1), CONTEXT + 1))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("A text has 65 tokens or more")
          .hasMessageContaining("up to 64 positions");
    }
  }

  @ParameterizedTest
  @CsvSource({
    "attention.head_count_kv, 2, as wide as the model",
    "attention.value_length, 8, as wide as the model",
    "embedding_rank, 17, has shape",
    "conv_kernel, 65, between",
  })
  void refusesImpossibleShapes(String key, long value, String message) {
    assertThatThrownBy(() -> Families.spec(model(4).key(key, value)))
        .isInstanceOf(ModelFileException.class)
        .hasMessageStartingWith("fixture.gguf: ")
        .hasMessageContaining(message);
  }
}

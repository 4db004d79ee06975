package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.TestData;
import dev.knapsack.cache.KvTransform;
import dev.knapsack.cache.SequenceState;
import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.memory.Lease;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import dev.knapsack.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.DoubleStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class TransformerTest {
  private static final double ROUNDING = 1e-11;

  private static final int[] MEASURED = Rig.tokens(60, 40, 9);

  @ParameterizedTest
  @EnumSource
  void agreesWithThePlainForwardPass(NaiveModels model) {
    NaiveModel naive = model.make();
    int[] tokens = Rig.tokens(40, 40, 1);
    float[] expected = naive.logits(tokens);
    try (Rig rig = new Rig(naive.model, Rig.Parts.USUAL)) {
      for (int step : List.of(40, 1, 7)) {
        assertThat(Rig.error(expected, rig.logits(tokens, step)))
            .as("%s, %d at a time", model, step)
            .isLessThan(ROUNDING);
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void neitherWorkersNorBlocksOfTheOutputChangeABit(NaiveModels model) {
    NaiveModel naive = model.make();
    int[] tokens = Rig.tokens(33, 40, 2);
    float[] one;
    try (Rig rig = new Rig(naive.model, Rig.Parts.USUAL)) {
      one = rig.logits(tokens, 11);
    }
    try (Rig rig = new Rig(naive.model, Rig.Parts.USUAL.workers(3))) {
      assertThat(rig.logits(tokens, 11)).isEqualTo(one);
    }
    try (Rig rig = new Rig(naive.model, Rig.Parts.USUAL.outputRows(7))) {
      assertThat(rig.logits(tokens, 11)).isEqualTo(one);
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void matricesInOneTensorAreTheSameAsApart(boolean biasesToo) {
    FixtureModel apart = FixtureModel.llama(5);
    FixtureModel together = FixtureModel.llama(5);
    for (int l = 0; l < 3; l++) {
      String p = "blk." + l + ".attn_";
      for (FixtureModel model : List.of(apart, together)) {
        model.bias(p + "q.bias", 32).bias(p + "k.bias", 16).bias(p + "v.bias", 16);
      }
      together.fuse(p + "qkv.weight", p + "q.weight", p + "k.weight", p + "v.weight");
      if (biasesToo) {
        together.fuse(p + "qkv.bias", p + "q.bias", p + "k.bias", p + "v.bias");
      }
    }
    int[] tokens = Rig.tokens(20, 40, 6);
    try (Rig one = new Rig(apart, Rig.Parts.USUAL);
        Rig other = new Rig(together, Rig.Parts.USUAL)) {
      assertThat(other.logits(tokens, 7)).isEqualTo(one.logits(tokens, 7));
    }
  }

  @ParameterizedTest
  @EnumSource
  void sequencesOfAStepDoNotSeeEachOther(NaiveModels model) {
    NaiveModel naive = model.make();
    int[] first = Rig.tokens(20, 40, 3);
    int[] second = Rig.tokens(13, 40, 4);
    try (Rig rig = new Rig(naive.model, Rig.Parts.USUAL);
        SequenceState a = rig.pool.sequence();
        SequenceState b = rig.pool.sequence()) {
      // Beginnings of different lengths first, so that the runs stand at different positions.
      Matrix none =
          rig.transformer.forward(List.of(new Run(a, first, 0, 9, 0), new Run(b, second, 0, 2, 0)));
      assertThat(none.rows()).isZero();
      float[] together =
          Rig.floats(
              rig.transformer.forward(
                  List.of(new Run(a, first, 9, 20, 2), new Run(b, second, 2, 13, 1))));
      float[] of1 = naive.logits(first);
      float[] of2 = naive.logits(second);
      assertThat(Rig.error(Arrays.copyOfRange(of1, 18 * 40, 20 * 40), Arrays.copyOf(together, 80)))
          .isLessThan(ROUNDING);
      assertThat(
              Rig.error(
                  Arrays.copyOfRange(of2, 12 * 40, 13 * 40), Arrays.copyOfRange(together, 80, 120)))
          .isLessThan(ROUNDING);
    }
  }

  @ParameterizedTest
  @EnumSource
  void transformedHeadsGiveTheSame(NaiveModels model) {
    NaiveModel naive = model.make();
    int[] tokens = Rig.tokens(40, 40, 8);
    float[] expected = naive.logits(tokens);
    for (KvTransform transform : KvTransform.values()) {
      for (int workers : List.of(1, 3)) {
        try (Rig rig = new Rig(naive.model, Rig.Parts.USUAL.with(transform).workers(workers))) {
          for (int step : List.of(40, 1, 7)) {
            assertThat(Rig.error(expected, rig.logits(tokens, step)))
                .as("%s, %s, %d at a time", model, transform, step)
                .isLessThan(ROUNDING);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void tokensOnDiskCountLikeThoseInMemory(NaiveModels model) {
    NaiveModel naive = model.make();
    int[] tokens = Rig.tokens(40, 40, 10);
    float[] expected = naive.logits(tokens);
    for (KvTransform transform : KvTransform.values()) {
      int workers = transform == KvTransform.NONE ? 1 : 3;
      Rig.Parts parts = Rig.Parts.USUAL.with(transform).resident(3).workers(workers);
      try (Rig rig = new Rig(naive.model, parts)) {
        for (int step : List.of(1, 7)) {
          assertThat(Rig.error(expected, rig.logits(tokens, step)))
              .as("%s, %s, %d at a time", model, transform, step)
              .isLessThan(ROUNDING);
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void keysByTheirDirectionsGiveTheSame(NaiveModels model) {
    NaiveModel naive = model.make();
    int[] tokens = Rig.tokens(40, 40, 10);
    float[] expected = naive.logits(tokens);
    for (int times : List.of(1, 3)) {
      KvTransform transform = times == 1 ? KvTransform.ROTATED : KvTransform.REORDERED;
      Rig.Parts parts = Rig.Parts.USUAL.with(transform).sketch(times).workers(times);
      try (Rig rig = new Rig(naive.model, parts)) {
        for (int step : List.of(40, 1, 7)) {
          assertThat(Rig.error(expected, rig.logits(tokens, step)))
              .as("%s, %d directions a channel, %d at a time", model, times, step)
              .isLessThan(ROUNDING);
        }
      }
    }
  }

  @Test
  void largeChannelsCostLessWhenRotated() {
    FixtureModel model = withChannels(9, 32, channel -> channel < 2 ? 6 : 1);
    float[] exact = withoutLoss(model);
    for (Format format : List.of(Formats.Q4_0, Formats.Q8_0)) {
      double error = error(exact, model, format, KvTransform.NONE);
      assertThat(error(exact, model, format, KvTransform.ROTATED))
          .as("%s: %s", format, error)
          .isLessThan(error / 2);
    }
  }

  /** Log-normal sizes, in heads of several blocks. */
  @ParameterizedTest
  @ValueSource(longs = {10, 11, 12})
  void channelsOfAllSizesCostLessWhenReordered(long seed) {
    Random random = new Random(seed);
    double[] sizes =
        DoubleStream.generate(() -> Math.exp(random.nextGaussian())).limit(64).toArray();
    FixtureModel model = withChannels(seed, 128, channel -> (float) sizes[channel / 2]);
    float[] exact = withoutLoss(model);
    for (Format format : List.of(Formats.BFP4, Formats.Q4_0)) {
      double plain = error(exact, model, format, KvTransform.NONE);
      double reordered = error(exact, model, format, KvTransform.REORDERED);
      assertThat(reordered).as("%s: %s", format, plain).isLessThan(plain / 2);
      assertThat(reordered).isLessThan(error(exact, model, format, KvTransform.ROTATED) / 2);
    }
  }

  /** The logits of a cache that loses nothing. */
  private static float[] withoutLoss(FixtureModel model) {
    try (Rig rig = new Rig(model, Rig.Parts.USUAL)) {
      return rig.logits(MEASURED, 60);
    }
  }

  private static double error(
      float[] exact, FixtureModel model, Format format, KvTransform transform) {
    try (Rig rig = new Rig(model, Rig.Parts.USUAL.with(format).with(transform))) {
      return Rig.error(exact, rig.logits(MEASURED, 60));
    }
  }

  /**
   * A model of which a head's channels have these sizes, in keys and in values; the function stays
   * what it is, as what multiplies them is as much smaller.
   */
  private static FixtureModel withChannels(long seed, int headSize, IntToFloat size) {
    FixtureModel model =
        FixtureModel.llama(seed)
            .key("attention.key_length", (long) headSize)
            .key("attention.value_length", (long) headSize);
    for (int l = 0; l < 3; l++) {
      String p = "blk." + l + ".";
      model
          .weights(p + "attn_q.weight", 32, 4L * headSize)
          .weights(p + "attn_k.weight", 32, 2L * headSize)
          .weights(p + "attn_v.weight", 32, 2L * headSize)
          .weights(p + "attn_output.weight", 4L * headSize, 32);
      multiply(model, p + "attn_q.weight", i -> 1 / size.of(i / 32 % headSize));
      multiply(model, p + "attn_k.weight", i -> size.of(i / 32 % headSize));
      multiply(model, p + "attn_v.weight", i -> size.of(i / 32 % headSize));
      multiply(model, p + "attn_output.weight", i -> 1 / size.of(i % headSize));
    }
    return model;
  }

  private interface IntToFloat {
    float of(int i);
  }

  private static void multiply(FixtureModel model, String name, IntToFloat factor) {
    float[] values = model.numbers.get(name).clone();
    for (int i = 0; i < values.length; i++) {
      values[i] *= factor.of(i);
    }
    List<Long> shape = model.infos.get(name).shape();
    model.tensor(name, Formats.F32, values, shape.getFirst(), shape.getLast());
  }

  @Test
  void aForkContinuesOnItsOwn() {
    NaiveModel naive = NaiveModels.GEMMA2.make();
    int[] prompt = Rig.tokens(10, 40, 5);
    try (Rig rig = new Rig(naive.model, Rig.Parts.USUAL);
        SequenceState cache = rig.pool.sequence()) {
      rig.transformer.forward(List.of(Run.last(cache, prompt)));
      try (SequenceState fork = cache.fork()) {
        Matrix logits =
            rig.transformer.forward(List.of(Run.last(cache, 1, 2), Run.last(fork, 3, 4, 5)));
        float[] both = Rig.floats(logits);
        for (int[] ending : new int[][] {{1, 2}, {3, 4, 5}}) {
          int[] whole = Arrays.copyOf(prompt, 10 + ending.length);
          System.arraycopy(ending, 0, whole, 10, ending.length);
          float[] expected = naive.logits(whole);
          float[] last = Arrays.copyOfRange(expected, expected.length - 40, expected.length);
          int at = ending.length == 2 ? 0 : 40;
          assertThat(Rig.error(last, Arrays.copyOfRange(both, at, at + 40))).isLessThan(ROUNDING);
        }
      }
    }
  }

  @Test
  void aStepThatFailsLeavesTheCacheAsItWas() {
    NaiveModel naive = NaiveModels.LLAMA.make();
    int[] tokens = Rig.tokens(70, 40, 6);
    try (Rig rig = new Rig(naive.model, Rig.Parts.USUAL);
        SequenceState cache = rig.pool.sequence()) {
      rig.transformer.forward(List.of(new Run(cache, tokens, 0, 60, 0)));
      try (Lease rest = rig.budget.account("others").lease(rig.budget.free())) {
        assertThat(rest.bytes()).isPositive();
        assertThatThrownBy(
                () -> rig.transformer.forward(List.of(new Run(cache, tokens, 60, 70, 10))))
            .isInstanceOf(BudgetExceededException.class);
      }
      assertThat(cache.length()).isEqualTo(60);
      float[] end =
          Rig.floats(rig.transformer.forward(List.of(new Run(cache, tokens, 60, 70, 10))));
      float[] expected = naive.logits(tokens);
      assertThat(Rig.error(Arrays.copyOfRange(expected, 60 * 40, 70 * 40), end))
          .isLessThan(ROUNDING);
    }
  }

  @Test
  void refusesStepsThatItHasNoRoomForAndTokensThatDoNotExist() {
    try (Rig rig = new Rig(NaiveModels.LLAMA.make().model, Rig.Parts.USUAL);
        SequenceState cache = rig.pool.sequence()) {
      assertThatThrownBy(() -> rig.transformer.forward(List.of(Run.last(cache, new int[65]))))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("65 tokens");
      assertThatThrownBy(() -> rig.transformer.forward(List.of()))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("0 tokens");
      for (int token : new int[] {-1, 40}) {
        assertThatThrownBy(() -> rig.transformer.forward(List.of(Run.last(cache, 1, token))))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessageContaining("Token " + token + " is none of the vocabulary's 40");
      }
      assertThat(cache.length()).isZero();
    }
  }

  @Test
  void quantisedCachesAreClose() {
    NaiveModel naive = NaiveModels.LLAMA.make();
    FixtureModel model = FixtureModel.llama(9).key("attention.head_count_kv", 1L);
    model.key("attention.head_count", 1L);
    for (int l = 0; l < 3; l++) {
      model.weights("blk." + l + ".attn_k.weight", 32, 32);
      model.weights("blk." + l + ".attn_v.weight", 32, 32);
    }
    NaiveModel wide = new NaiveModel(model);
    wide.layers = naive.layers;
    wide.heads = 1;
    wide.kvHeads = 1;
    wide.headSize = 32;
    wide.adjacentPairs = true;
    wide.attentionScale = 1 / Math.sqrt(32);
    int[] tokens = Rig.tokens(40, 40, 7);
    float[] expected = wide.logits(tokens);
    try (Rig rig = new Rig(model, Rig.Parts.USUAL.with(Formats.Q8_0))) {
      assertThat(Rig.error(expected, rig.logits(tokens, 9))).isBetween(1e-9, 1e-3);
    }
    try (Rig rig = new Rig(model, Rig.Parts.USUAL.with(Formats.Q4_0))) {
      assertThat(Rig.error(expected, rig.logits(tokens, 9))).isBetween(1e-6, 5e-2);
    }
  }

  @ParameterizedTest
  @EnumSource
  void tellsTheStoryThatItWasTrainedToTell(KernelProvider provider) throws IOException {
    String expected = Files.readString(TestData.path("models/stories260K.expected.txt"));
    try (ModelFile file = ModelFile.open(TestData.path("models/stories260K.gguf"));
        Rig rig = new Rig(file, Rig.Parts.USUAL.with(provider));
        SequenceState cache = rig.pool.sequence()) {
      Tokenizer tokenizer = Tokenizer.of(file);
      int[] tokens = new int[201];
      tokens[0] = tokenizer.bos();
      for (int i = 0; i < 200; i++) {
        float[] logits =
            Rig.floats(rig.transformer.forward(List.of(new Run(cache, tokens, i, i + 1, 1))));
        int best = 0;
        for (int v = 1; v < logits.length; v++) {
          best = logits[v] > logits[best] ? v : best;
        }
        tokens[i + 1] = best;
      }
      String told = tokenizer.decode(Arrays.copyOfRange(tokens, 1, 201), false);
      assertThat(told.stripLeading()).isEqualTo(expected);
    }
  }
}

package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.Generation;
import dev.knapsack.GenerationRequest;
import dev.knapsack.Knapsack;
import dev.knapsack.Options;
import dev.knapsack.TestData;
import dev.knapsack.cache.SequenceState;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.generation.Sampling;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.arch.Families;
import dev.knapsack.tensor.Formats;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Token mixers that are known from papers alone, and what {@link RecurrentLayersTest} asks too. */
class MixersTest {
  private static final int[] TOKENS = Rig.tokens(50, 300, 2);

  @TempDir Path folder;

  @ParameterizedTest
  @EnumSource
  void areWhatTheirPapersDefine(NaiveMixers mixer) {
    NaiveModel naive = mixer.make();
    float[] expected = naive.logits(TOKENS);
    try (Rig rig = new Rig(naive.model, Rig.Parts.USUAL)) {
      for (int step : List.of(1, 7, TOKENS.length)) {
        assertThat(Rig.error(expected, rig.logits(TOKENS, step)))
            .as("%d at a time", step)
            .isLessThan(1e-12);
      }
    }
  }

  @Test
  void ternaryMatricesMultiplyAsTheyArePacked() {
    NaiveModel naive = NaiveMixers.matMulFree(Formats.TQ2_0, 256);
    int[] few = Arrays.copyOf(TOKENS, 5);
    try (Rig rig = new Rig(naive.model, Rig.Parts.USUAL)) {
      assertThat(Rig.error(naive.logits(few), rig.logits(few, 5))).isLessThan(1e-11);
    }
  }

  @ParameterizedTest
  @EnumSource
  void forksAndCheckpointsGoOnAsIfAllWereReadAgain(NaiveMixers mixer) {
    int[] other = TOKENS.clone();
    Arrays.fill(other, 20, 50, 9);
    try (Rig rig = new Rig(mixer.make().model, Rig.Parts.USUAL);
        SequenceState state = rig.pool.sequence()) {
      float[] straight = rig.logits(TOKENS, 50);
      float[] changed = rig.logits(other, 50);
      int from = 20 * rig.spec.vocabulary();
      float[] rest = Arrays.copyOfRange(straight, from, straight.length);
      state.prompt(20);
      rig.logits(state, TOKENS, 20, 7, run -> run);
      try (SequenceState fork = state.fork()) {
        assertThat(rig.logits(fork, other, 50, 7, run -> run))
            .isEqualTo(Arrays.copyOfRange(changed, from, changed.length));
        assertThat(rig.logits(state, TOKENS, 50, 3, run -> run)).isEqualTo(rest);
        assertThat(fork.back(20)).isEqualTo(20);
        assertThat(rig.logits(fork, TOKENS, 50, 30, run -> run)).isEqualTo(rest);
      }
    }
  }

  static Stream<PublishedShape> shapes() {
    Map<String, Integer> scan =
        Map.of(
            "ssm.conv_kernel", 4,
            "ssm.inner_size", 128,
            "ssm.state_size", 8,
            "ssm.time_step_rank", 4);
    return Stream.of(
        PublishedShape.dense("mom", "mom", 512, 64, 3, 2, 2, 32, 96)
            .with(Map.of("ssm.conv_kernel", 4, "memory_count", 4, "memory_used_count", 2)),
        PublishedShape.dense("bmojo", "bmojo", 512, 64, 3, 4, 2, 16, 96)
            .with(scan)
            .with(
                Map.of(
                    "attention.sliding_window", 16,
                    "eidetic_length", 8,
                    "innovation.conv_kernel", 3)),
        PublishedShape.dense("matmul-free", "matmul-free", 512, 64, 3, 0, 0, 0, 96));
  }

  @ParameterizedTest
  @MethodSource("shapes")
  void filesAreOpenedAndAnswerAlikeWhateverWasKeptOfTheirBeginning(PublishedShape shape) {
    Path path = folder.resolve("model.gguf");
    Budget budget = Budget.of("256MiB");
    new SyntheticModel(shape, Formats.Q8_0).write(path, 5, budget.account("synth"), Progress.NONE);
    Host host = new Host(budget, Host.Options.usual().withCache(TestData.cache()));
    String beginning = "Hello, the world is in the water and on the sand. ".repeat(6);
    String alone = answers(path, host, beginning + "What then?").getFirst();
    List<String> both = answers(path, host, beginning + "And now?", beginning + "What then?");
    assertThat(both.getLast()).isEqualTo(alone).isNotEqualTo(both.getFirst()).hasSizeGreaterThan(9);
    assertThat(budget.used()).isZero();
  }

  private static List<String> answers(Path path, Host host, String... texts) {
    try (Knapsack knapsack = Knapsack.open(path, host, Options.usual().withWorkers(1))) {
      return Stream.of(texts)
          .map(text -> {
            GenerationRequest request =
                GenerationRequest.ofText(text).withSampling(Sampling.GREEDY).withMaxTokens(20);
            try (Generation answer = knapsack.generate(request)) {
              return answer.text();
            }
          })
          .toList();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "MOM, memory_used_count, 5, between 1 and the number of memories 4",
    "MOM, memory_count, 0, between",
    "MOM, memory_count, 3, blk.0.memory_router.weight",
    "MOM, attention.key_length, 4194304, too many",
    "BMOJO, attention.sliding_window, 0, between",
    "BMOJO, eidetic_length, 8000000, too many",
    "BMOJO, eidetic_length, -1, between",
    "BMOJO, innovation.conv_kernel, 3, blk.0.innovation.weight",
    "MATMUL_FREE, feed_forward_length, 512, blk.0.ffn_gate.weight",
  })
  void refusesImpossibleNumbers(NaiveMixers mixer, String key, long value, String message) {
    FixtureModel model = mixer.make().model;
    assertThat(Families.spec(model).layers()).hasSize(2);
    assertThatThrownBy(() -> Families.spec(model.key(key, value)))
        .isInstanceOf(ModelFileException.class)
        .hasMessageStartingWith("fixture.gguf: ")
        .hasMessageContaining(message);
  }
}

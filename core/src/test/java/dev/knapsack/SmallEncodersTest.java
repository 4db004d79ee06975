package dev.knapsack;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.knapsack.EmbeddingRequest.LongTexts;
import dev.knapsack.error.ContextExceededException;
import dev.knapsack.error.WaitInterruptedException;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Embedder and reranker on the small encoders that the other modules' tests use, too. */
class SmallEncodersTest {
  private static Embedder open(Budget budget) {
    return Embedder.open(SmallEncoders.ENCODER, new Host(budget), Options.usual().withWorkers(1));
  }

  /** The resources are what is written here; with {@code -Dfixtures=write} they become it. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void areWhatIsWrittenHere(boolean scores, @TempDir Path folder) throws Exception {
    Path there = scores ? SmallEncoders.RERANKER : SmallEncoders.ENCODER;
    if ("write".equals(System.getProperty("fixtures"))) {
      Files.createDirectories(there.getParent());
      SmallEncoders.write(there, scores);
    }
    Path written = folder.resolve("model.gguf");
    SmallEncoders.write(written, scores);
    assertThat(written).hasSameBinaryContentAs(there);
  }

  @Test
  void tokensAreComputedAsTheyAre() {
    Budget budget = Budget.of("64MiB");
    try (Embedder embedder = open(budget)) {
      int[] tokens = embedder.tokenizer().encode("a cat", true, false);
      Embedding text = embedder.embed("a cat");
      List<Embedding> given =
          embedder.embed(
              EmbeddingRequest.ofTokens(List.of(tokens, new int[] {7, 8}))
                  .withTask(Task.QUERY)
                  .withPrefix("x"));
      assertThat(given.getFirst().vector()).isEqualTo(text.vector());
      assertThat(given.getFirst().tokens()).isEqualTo(text.tokens());
      assertThat(given.getLast().tokens()).isEqualTo(2);
      int[] many = IntStream.range(0, 70).map(i -> 5 + i % 20).toArray();
      EmbeddingRequest request = EmbeddingRequest.ofTokens(List.of(many));
      assertThat(embedder.embed(request).getFirst().cut()).isTrue();
      assertThatThrownBy(() -> embedder.embed(request.withLongTexts(LongTexts.REFUSE)))
          .isInstanceOf(ContextExceededException.class)
          .hasMessageContaining("70 tokens")
          .hasMessageContaining("64");
      for (int[] wrong : new int[][] {{}, {-1}, {embedder.spec().vocabulary()}}) {
        assertThatThrownBy(() -> embedder.embed(EmbeddingRequest.ofTokens(List.of(wrong))))
            .isInstanceOf(IllegalArgumentException.class);
      }
    }
    assertThat(budget.used()).isZero();
  }

  @Test
  void wordsOfATaskStandBeforeTexts() {
    try (Embedder embedder = open(Budget.of("64MiB"))) {
      assertThat(
              embedder.embed(EmbeddingRequest.of("cat").withTask(Task.QUERY)).getFirst().vector())
          .isEqualTo(embedder.embed("query: cat").vector());
    }
  }

  /** Whoever is interrupted leaves, and what was asked for is computed no more. */
  @Test
  void interruptedCallersLeaveNothingBehind() throws Exception {
    try (Embedder embedder = open(Budget.of("64MiB"))) {
      float[] vector = embedder.embed("a cat").vector();
      List<String> texts = Collections.nCopies(10_000, "the fox and the hill ".repeat(3));
      Throwable[] thrown = new Throwable[1];
      Thread caller =
          Thread.ofVirtual()
              .start(() -> {
                Thread.currentThread().interrupt();
                try {
                  embedder.embed(texts);
                } catch (WaitInterruptedException e) {
                  thrown[0] = e;
                }
              });
      caller.join();
      assertThat(thrown[0]).isInstanceOf(WaitInterruptedException.class);
      assertThat(embedder.embed("a cat").vector()).isEqualTo(vector);
    }
  }

  /** The same with what a thread's program has for resources. */
  private static <T> T with(ClassLoader resources, Supplier<T> work) {
    Thread thread = Thread.currentThread();
    ClassLoader before = thread.getContextClassLoader();
    thread.setContextClassLoader(resources);
    try {
      return work.get();
    } finally {
      thread.setContextClassLoader(before);
    }
  }

  @Test
  void resourcesOfAProgramAreOpened() throws Exception {
    URL[] folder = {SmallEncoders.ENCODER.getParent().toUri().toURL()};
    try (URLClassLoader resources = new URLClassLoader(folder, null);
        Embedder embedder = open(Budget.of("64MiB"));
        Embedder same =
            with(
                resources,
                () -> Knapsack.embedder("classpath:small-encoder.gguf", Budget.of("64MiB")));
        Reranker reranker =
            with(
                resources,
                () -> Knapsack.reranker("classpath:small-reranker.gguf", Budget.of("64MiB")))) {
      assertThat(same.embed("a cat").vector()).isEqualTo(embedder.embed("a cat").vector());
      for (Reranker.Score score : reranker.rank("cat", List.of("a cat", "the hill", ""))) {
        assertThat(score.probability())
            .isCloseTo(1 / (1 + Math.exp(-score.score())), within(1e-12))
            .isBetween(0.0, 1.0);
      }
    }
  }
}

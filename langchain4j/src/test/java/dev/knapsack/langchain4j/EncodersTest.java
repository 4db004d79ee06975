package dev.knapsack.langchain4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.EmbeddingRequest.LongTexts;
import dev.knapsack.Options;
import dev.knapsack.Reranker;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.langchain4j.data.segment.TextSegment;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.exception.ModelNotFoundException;
import dev.langchain4j.exception.NonRetriableException;
import dev.langchain4j.exception.UnsupportedFeatureException;
import dev.langchain4j.model.embedding.request.EmbeddingInputType;
import dev.langchain4j.model.embedding.request.EmbeddingRequest;
import dev.langchain4j.model.embedding.request.EmbeddingRequestParameters;
import dev.langchain4j.model.output.Response;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Embedding and scoring models: what is theirs beyond LangChain4j's kit. */
class EncodersTest {
  private static final Path RERANKER =
      EmbeddingModelKitTest.MODEL.resolveSibling("small-reranker.gguf");

  private static final Options ONE = Options.usual().withWorkers(1);

  @Test
  void modelsShareAHostAndAreClosedByWhoHasOpenedThem() {
    Budget budget = Budget.of("64MiB");
    Host host = new Host(budget);
    try (Reranker reranker = Reranker.open(RERANKER, host, ONE)) {
      long used = budget.used();
      try (KnapsackEmbeddingModel model =
              KnapsackEmbeddingModel.builder()
                  .modelPath(EmbeddingModelKitTest.MODEL)
                  .host(host)
                  .options(ONE.withShare(new Host.Share("vectors", 0, 1)))
                  .build();
          KnapsackScoringModel scoring =
              KnapsackScoringModel.builder().reranker(reranker).build()) {
        assertThat(budget.used()).isGreaterThan(used);
        assertThat(model.dimension()).isEqualTo(32);
        assertThat(scoring.reranker()).isSameAs(reranker);
      }
      assertThat(budget.used()).isEqualTo(used);
      assertThat(reranker.rank("a", List.of("b"))).hasSize(1);
    }
    assertThat(budget.used()).isZero();
  }

  @Test
  void resourcesOfTheProgramAreOpened() throws Exception {
    URL[] folder = {RERANKER.getParent().toUri().toURL()};
    try (URLClassLoader resources = new URLClassLoader(folder, null);
        KnapsackEmbeddingModel model =
            KnapsackEmbeddingModel.builder()
                .model("classpath:small-encoder.gguf")
                .resources(resources)
                .memory("64MiB")
                .options(ONE)
                .build();
        KnapsackEmbeddingModel same = EmbeddingModelKitTest.builder().build()) {
      assertThat(model.embed("a cat").content().vector())
          .isEqualTo(same.embed("a cat").content().vector());
    }
  }

  @Test
  void textsAreReadAsTheBuilderAndTheRequestSay() {
    EmbeddingRequestParameters queries =
        EmbeddingRequestParameters.builder()
            .inputType(EmbeddingInputType.QUERY)
            .dimensions(8)
            .build();
    String text = "a".repeat(90);
    try (KnapsackEmbeddingModel model = EmbeddingModelKitTest.builder().build();
        KnapsackEmbeddingModel strict =
            KnapsackEmbeddingModel.builder()
                .embedder(model.embedder())
                .defaultRequestParameters(queries)
                .longTexts(LongTexts.REFUSE)
                .build()) {
      assertThat(strict.dimension()).isEqualTo(8);
      assertThat(strict.embed("cat").content().vector())
          .isEqualTo(
              model
                  .embed(EmbeddingRequest.builder().input("query: cat").dimensions(8).build())
                  .embeddings()
                  .getFirst()
                  .vector());
      assertThat(model.embed(text).tokenUsage().inputTokenCount()).isEqualTo(64);
      assertThatThrownBy(() -> strict.embed(text))
          .isInstanceOf(InvalidRequestException.class)
          .hasMessageContaining("64");
      assertThatThrownBy(
              () -> model.embed(EmbeddingRequest.builder().input("a").dimensions(33).build()))
          .isInstanceOf(InvalidRequestException.class)
          .hasMessageContaining("32");
      assertThatThrownBy(
              () -> model.embed(EmbeddingRequest.builder().input("a").modelName("other").build()))
          .isInstanceOf(UnsupportedFeatureException.class)
          .hasMessageContaining("small-e5-encoder");
    }
  }

  @Test
  void segmentsHaveTheirScoresInTheirOrder() {
    List<String> texts = List.of("a cat", "the hill", "a fox on the hill");
    try (KnapsackScoringModel model =
            KnapsackScoringModel.builder()
                .modelPath(RERANKER)
                .memory("64MiB")
                .options(ONE)
                .build();
        KnapsackScoringModel raw =
            KnapsackScoringModel.builder().reranker(model.reranker()).rawScores(true).build()) {
      List<TextSegment> segments = texts.stream().map(TextSegment::from).toList();
      Response<List<Double>> scores = model.scoreAll(segments, "hill?");
      List<Double> own = raw.scoreAll(segments, "hill?").content();
      List<Reranker.Score> ranked = model.reranker().rank("hill?", texts);
      assertThat(scores.content()).hasSize(3);
      for (Reranker.Score score : ranked) {
        assertThat(scores.content().get(score.index())).isEqualTo(score.probability());
        assertThat(own.get(score.index())).isEqualTo(score.score());
      }
      assertThat(scores.tokenUsage().inputTokenCount())
          .isEqualTo(ranked.stream().mapToInt(Reranker.Score::tokens).sum());
      assertThat(model.score("the hill", "hill?").content()).isEqualTo(scores.content().get(1));
    }
  }

  @Test
  void whatCannotBeOpenedIsSaidInLangChain4jsWords() {
    assertThatThrownBy(
            () -> KnapsackEmbeddingModel.builder().modelPath(RERANKER).memory("64MiB").build())
        .isInstanceOf(ModelNotFoundException.class)
        .hasMessageContaining("reranker");
    assertThatThrownBy(() -> EmbeddingModelKitTest.builder().memory("64KiB").build())
        .isInstanceOf(NonRetriableException.class);
    assertThatThrownBy(() -> KnapsackScoringModel.builder().modelPath(RERANKER).build())
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("budget");
    assertThatThrownBy(() -> KnapsackScoringModel.builder().memory("64MiB").build())
        .isInstanceOf(IllegalStateException.class);
  }
}

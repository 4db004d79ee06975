package dev.knapsack.langchain4j;

import dev.knapsack.EmbeddingRequest.LongTexts;
import dev.knapsack.Options;
import dev.langchain4j.model.embedding.EmbeddingModel;
import dev.langchain4j.model.embedding.common.AbstractEmbeddingModelIT;
import dev.langchain4j.model.embedding.listener.EmbeddingModelListener;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;

/** LangChain4j's own kit for embedding models. */
class EmbeddingModelKitTest extends AbstractEmbeddingModelIT {
  static final Path MODEL =
      Path.of(
          System.getProperty("knapsack.root"),
          "core/src/test/resources/dev/knapsack/small-encoder.gguf");

  private static KnapsackEmbeddingModel model;

  @BeforeAll
  static void open() {
    model = builder().build();
  }

  @AfterAll
  static void close() {
    model.close();
  }

  static KnapsackEmbeddingModel.Builder builder() {
    return KnapsackEmbeddingModel.builder()
        .modelPath(MODEL)
        .memory("64MiB")
        .options(Options.usual().withWorkers(1));
  }

  /** JUnit closes what it gives to a test, which leaves one alone that somebody else has opened. */
  @Override
  protected List<EmbeddingModel> models() {
    return List.of(KnapsackEmbeddingModel.builder().embedder(model.embedder()).build());
  }

  @Override
  protected EmbeddingModel modelWith(EmbeddingModelListener listener) {
    return KnapsackEmbeddingModel.builder()
        .embedder(model.embedder())
        .listeners(List.of(listener))
        .build();
  }

  /** A model that has been closed. */
  @Override
  protected EmbeddingModel failingModelWith(EmbeddingModelListener listener) {
    KnapsackEmbeddingModel failing =
        builder().longTexts(LongTexts.REFUSE).listeners(List.of(listener)).build();
    failing.close();
    return failing;
  }

  @Override
  protected boolean supportsInputTypeParameter() {
    return true;
  }

  @Override
  protected boolean supportsDimensionsParameter() {
    return true;
  }

  @Override
  protected boolean supportsImageInput() {
    return false;
  }

  @Override
  protected boolean supportsInterleavedInput() {
    return false;
  }

  @Override
  protected int dimensionsParameter() {
    return 16;
  }

  @Override
  protected boolean assertModelName() {
    return true;
  }

  @Override
  protected boolean assertTokenUsage() {
    return true;
  }
}

package dev.knapsack.springai;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.Embedder;
import dev.knapsack.Knapsack;
import dev.knapsack.Task;
import dev.knapsack.TestData;
import dev.knapsack.file.GgufWriter;
import dev.knapsack.file.MetadataBuilder;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.memory.Budget;
import io.micrometer.observation.tck.TestObservationRegistry;
import io.micrometer.observation.tck.TestObservationRegistryAssert;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.ai.document.Document;
import org.springframework.ai.embedding.EmbeddingModel;
import org.springframework.ai.embedding.EmbeddingOptions;
import org.springframework.ai.embedding.EmbeddingRequest;
import org.springframework.ai.embedding.EmbeddingResponse;
import org.springframework.ai.vectorstore.SearchRequest;
import org.springframework.ai.vectorstore.SimpleVectorStore;

/** Vectors through Spring AI, by a real model. */
class KnapsackEmbeddingModelTest {
  private static Path file;
  private static Embedder embedder;
  private static KnapsackEmbeddingModel model;

  @BeforeAll
  static void open() {
    file = TestData.path("models/minilm/all-MiniLM-L6-v2-q8_0.gguf");
    embedder = Knapsack.embedder(file.toString(), Budget.of("256MiB"));
    model = KnapsackEmbeddingModel.builder(embedder).build();
  }

  @AfterAll
  static void close() {
    if (embedder != null) {
      embedder.close();
    }
  }

  @Test
  void vectorsAreThoseOfTheEmbedder() {
    List<String> texts = List.of("A cat on the sill.", "a ".repeat(2000));
    EmbeddingResponse response = model.embedForResponse(texts);
    assertThat(response.getResults()).extracting(e -> e.getIndex()).containsExactly(0, 1);
    for (int i = 0; i < 2; i++) {
      assertThat(response.getResults().get(i).getOutput())
          .isEqualTo(embedder.embed(texts.get(i)).vector());
    }
    assertThat(response.getMetadata().getModel()).isEqualTo(embedder.name());
    assertThat(response.getMetadata().getUsage().getPromptTokens())
        .isEqualTo(
            embedder.embed(texts).stream().mapToInt(vector -> vector.tokens()).sum());
    assertThat(response.getMetadata().<Long>get(KnapsackEmbeddingModel.CUT)).isEqualTo(1);
    assertThat(model.embed(new Document(texts.getFirst())))
        .isEqualTo(model.embed(texts.getFirst()))
        .hasSize(model.dimensions());
  }

  @Test
  void dimensionsAreAskedFor() {
    EmbeddingOptions few = EmbeddingOptions.builder().dimensions(8).build();
    assertThat(
            model.call(new EmbeddingRequest(List.of("a"), few)).getResult().getOutput())
        .hasSize(8);
    EmbeddingModel small =
        KnapsackEmbeddingModel.builder(embedder)
            .options(KnapsackEmbeddingOptions.NONE.withDimensions(16))
            .build();
    assertThat(small.dimensions()).isEqualTo(16);
    assertThat(small.embed("a")).hasSize(16);
    EmbeddingOptions other = EmbeddingOptions.builder().model("ada").build();
    assertThatThrownBy(() -> model.call(new EmbeddingRequest(List.of("a"), other)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("ada");
  }

  /** The same model under a name by which models are told what a text is for. */
  private static Path named(String name, Path target) {
    try (ModelFile model = ModelFile.open(file);
        Arena arena = Arena.ofConfined();
        GgufWriter writer =
            GgufWriter.create(
                target,
                new MetadataBuilder(model.metadata()).string("general.name", name).build(target),
                model.tensors().values())) {
      for (TensorInfo tensor : model.tensors().values()) {
        MemorySegment bytes = arena.allocate(tensor.bytes());
        model.read(tensor, 0, bytes);
        writer.write(tensor, bytes);
      }
      writer.finish();
    }
    return target;
  }

  @Test
  void documentsAndQuestionsAreToldApart(@TempDir Path folder) {
    Path e5 = named("e5-small", folder.resolve("e5.gguf"));
    try (Embedder asymmetric = Knapsack.embedder(e5.toString(), Budget.of("256MiB"))) {
      EmbeddingModel retrieving =
          KnapsackEmbeddingModel.builder(asymmetric).retrieval(true).build();
      float[] question = asymmetric.embed("query: bread").vector();
      float[] passage = asymmetric.embed("passage: bread").vector();
      Document document = new Document("bread");
      assertThat(retrieving.embed("bread")).isEqualTo(question);
      assertThat(retrieving.embed(document)).isEqualTo(passage);
      assertThat(retrieving.embed(List.of(document), null, List::of)).containsExactly(passage);
      KnapsackEmbeddingOptions query = KnapsackEmbeddingOptions.NONE.withTask(Task.QUERY);
      assertThat(retrieving.embed(List.of(document), query, List::of)).containsExactly(question);
      assertThat(KnapsackEmbeddingModel.builder(asymmetric).build().embed("bread"))
          .isEqualTo(asymmetric.embed("bread").vector());
    }
  }

  @Test
  void aStoreFindsWhatIsMeant() {
    SimpleVectorStore store = SimpleVectorStore.builder(model).build();
    store.add(
        List.of(
            new Document("The harbour is closed in winter."),
            new Document("Bread is baked with flour, water and yeast."),
            new Document("A guitar has six strings.")));
    assertThat(
            store
                .similaritySearch(SearchRequest.builder().query("How do I bake?").topK(1).build())
                .getFirst()
                .getText())
        .startsWith("Bread");
  }

  @Test
  void requestsAreObserved() {
    TestObservationRegistry registry = TestObservationRegistry.create();
    KnapsackEmbeddingModel.builder(embedder)
        .observationRegistry(registry)
        .build()
        .embed("A cat on the sill.");
    TestObservationRegistryAssert.assertThat(registry)
        .hasObservationWithNameEqualTo("gen_ai.client.operation")
        .that()
        .hasLowCardinalityKeyValue("gen_ai.operation.name", "embedding")
        .hasLowCardinalityKeyValue("gen_ai.response.model", embedder.name())
        .hasHighCardinalityKeyValueWithKey("gen_ai.usage.input_tokens")
        .hasBeenStopped();
  }
}

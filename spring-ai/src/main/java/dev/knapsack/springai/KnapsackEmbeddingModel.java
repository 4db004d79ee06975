package dev.knapsack.springai;

import dev.knapsack.Embedder;
import dev.knapsack.Embedding;
import dev.knapsack.Task;
import io.micrometer.observation.ObservationRegistry;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.document.Document;
import org.springframework.ai.embedding.BatchingStrategy;
import org.springframework.ai.embedding.EmbeddingModel;
import org.springframework.ai.embedding.EmbeddingOptions;
import org.springframework.ai.embedding.EmbeddingRequest;
import org.springframework.ai.embedding.EmbeddingResponse;
import org.springframework.ai.embedding.EmbeddingResponseMetadata;
import org.springframework.ai.embedding.observation.DefaultEmbeddingModelObservationConvention;
import org.springframework.ai.embedding.observation.EmbeddingModelObservationContext;
import org.springframework.ai.embedding.observation.EmbeddingModelObservationConvention;
import org.springframework.ai.embedding.observation.EmbeddingModelObservationDocumentation;

/**
 * Spring AI's embedding model over a model in this process, which whoever opened it closes.
 *
 * <p>A request's options are put over the model's. A text that is too long is cut, and the
 * response's metadata say how many were ({@value #CUT}). Safe for use by many threads, whose texts
 * are computed together.
 */
public final class KnapsackEmbeddingModel implements EmbeddingModel {
  /** The key, in a response's metadata, of the number of texts whose end was left out. */
  public static final String CUT = "cut";

  private static final EmbeddingModelObservationConvention USUAL_CONVENTION =
      new DefaultEmbeddingModelObservationConvention();

  private final Embedder embedder;
  private final KnapsackEmbeddingOptions options;
  private final boolean retrieval;
  private final ObservationRegistry observations;
  private final @Nullable EmbeddingModelObservationConvention convention;

  private KnapsackEmbeddingModel(Builder builder) {
    this.embedder = builder.embedder;
    this.options =
        builder.options.over(new KnapsackEmbeddingOptions(embedder.name(), null, null));
    this.retrieval = builder.retrieval;
    this.observations = builder.observations;
    this.convention = builder.convention;
  }

  public static Builder builder(Embedder embedder) {
    return new Builder(embedder);
  }

  /**
   * The vectors of a request's texts, in their order.
   *
   * @throws IllegalArgumentException if another model is named, or the model was trained with no
   *     words for the task, or has fewer dimensions than asked for
   */
  @Override
  public EmbeddingResponse call(EmbeddingRequest request) {
    KnapsackEmbeddingOptions wanted =
        KnapsackEmbeddingOptions.of(request.getOptions()).over(options);
    EmbeddingRequest asked = new EmbeddingRequest(request.getInstructions(), wanted);
    EmbeddingModelObservationContext context =
        EmbeddingModelObservationContext.builder()
            .embeddingRequest(asked)
            .provider(KnapsackChatModel.PROVIDER)
            .build();
    return Objects.requireNonNull(
        EmbeddingModelObservationDocumentation.EMBEDDING_MODEL_OPERATION
            .observation(convention, USUAL_CONVENTION, () -> context, observations)
            .observe(() -> {
              EmbeddingResponse response = response(asked.getInstructions(), wanted);
              context.setResponse(response);
              return response;
            }));
  }

  private EmbeddingResponse response(List<String> texts, KnapsackEmbeddingOptions wanted) {
    if (!embedder.name().equals(wanted.model())) {
      throw new IllegalArgumentException(
          "The options name the model '%s', and the one that is open here is '%s'. Name none."
              .formatted(wanted.model(), embedder.name()));
    }
    dev.knapsack.EmbeddingRequest request = dev.knapsack.EmbeddingRequest.of(texts);
    if (wanted.dimensions() != null) {
      request = request.withDimensions(wanted.dimensions());
    }
    if (wanted.task() != null) {
      request = request.withTask(wanted.task());
    }
    List<Embedding> vectors = embedder.embed(request);
    List<org.springframework.ai.embedding.Embedding> results = new ArrayList<>();
    for (Embedding vector : vectors) {
      results.add(
          new org.springframework.ai.embedding.Embedding(vector.vector(), results.size()));
    }
    int tokens = vectors.stream().mapToInt(Embedding::tokens).sum();
    long cut = vectors.stream().filter(Embedding::cut).count();
    return new EmbeddingResponse(
        results,
        new EmbeddingResponseMetadata(
            embedder.name(), new DefaultUsage(tokens, 0), Map.of(CUT, cut)));
  }

  @Override
  public float[] embed(String text) {
    return embed(text, task(Task.QUERY));
  }

  @Override
  public float[] embed(Document document) {
    return embed(
        Objects.requireNonNullElse(getEmbeddingContent(document), ""), task(Task.DOCUMENT));
  }

  @Override
  public List<float[]> embed(
      List<Document> documents, @Nullable EmbeddingOptions given, BatchingStrategy batching) {
    return EmbeddingModel.super.embed(
        documents,
        KnapsackEmbeddingOptions.of(given)
            .over(KnapsackEmbeddingOptions.NONE.withTask(task(Task.DOCUMENT))),
        batching);
  }

  private float[] embed(String text, @Nullable Task task) {
    return call(
            new EmbeddingRequest(
                List.of(text), KnapsackEmbeddingOptions.NONE.withTask(task)))
        .getResult()
        .getOutput();
  }

  private @Nullable Task task(Task use) {
    return retrieval ? use : null;
  }

  @Override
  public int dimensions() {
    return options.dimensions() == null ? embedder.dimensions() : options.dimensions();
  }

  /** The model itself. */
  public Embedder embedder() {
    return embedder;
  }

  /** Collects what a {@link KnapsackEmbeddingModel} is made of. */
  public static final class Builder {
    private final Embedder embedder;
    private KnapsackEmbeddingOptions options = KnapsackEmbeddingOptions.NONE;
    private boolean retrieval;
    private ObservationRegistry observations = ObservationRegistry.NOOP;
    private @Nullable EmbeddingModelObservationConvention convention;

    private Builder(Embedder embedder) {
      this.embedder = embedder;
    }

    /** The options of requests that do not say otherwise. */
    public Builder options(KnapsackEmbeddingOptions value) {
      options = value;
      return this;
    }

    /**
     * Reads documents as such and single texts as questions, with the words that the model was
     * trained with for each, as vector stores use it; false by default.
     */
    public Builder retrieval(boolean value) {
      retrieval = value;
      return this;
    }

    public Builder observationRegistry(ObservationRegistry value) {
      observations = value;
      return this;
    }

    public Builder observationConvention(EmbeddingModelObservationConvention value) {
      convention = value;
      return this;
    }

    public KnapsackEmbeddingModel build() {
      return new KnapsackEmbeddingModel(this);
    }
  }
}

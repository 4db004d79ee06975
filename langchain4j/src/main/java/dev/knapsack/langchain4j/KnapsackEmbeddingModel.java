package dev.knapsack.langchain4j;

import dev.knapsack.Embedder;
import dev.knapsack.EmbeddingRequest.LongTexts;
import dev.knapsack.Options;
import dev.knapsack.Task;
import dev.knapsack.host.Host;
import dev.langchain4j.data.embedding.Embedding;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.exception.UnsupportedFeatureException;
import dev.langchain4j.model.embedding.EmbeddingModel;
import dev.langchain4j.model.embedding.listener.EmbeddingModelListener;
import dev.langchain4j.model.embedding.request.EmbeddingInput;
import dev.langchain4j.model.embedding.request.EmbeddingInputType;
import dev.langchain4j.model.embedding.request.EmbeddingParameter;
import dev.langchain4j.model.embedding.request.EmbeddingRequest;
import dev.langchain4j.model.embedding.request.EmbeddingRequestParameters;
import dev.langchain4j.model.embedding.response.EmbeddingResponse;
import dev.langchain4j.model.embedding.response.EmbeddingResponseMetadata;
import dev.langchain4j.model.output.TokenUsage;
import java.util.List;
import java.util.Set;

/**
 * LangChain4j's embedding model over a model in this process.
 *
 * <pre>{@code
 * try (KnapsackEmbeddingModel model =
 *     KnapsackEmbeddingModel.builder().modelPath(Path.of("all-MiniLM-L6-v2.gguf")).memory("160MiB").build()) {
 *   float[] vector = model.embed("A cat on the sill.").content().vector();
 * }
 * }</pre>
 *
 * <p>Vectors have length 1, and a text's is the same whatever is computed beside it. An input type
 * puts the words before a text that the model was trained with for queries or documents; {@code
 * UnsupportedFeatureException} where those are not known. What is too long is cut, or refused with
 * {@code InvalidRequestException}, as the builder says. A thread that is interrupted stops waiting.
 * Safe for use by many threads.
 */
public final class KnapsackEmbeddingModel implements EmbeddingModel, AutoCloseable {
  private final Embedder embedder;
  private final boolean owned;
  private final LongTexts longTexts;
  private final EmbeddingRequestParameters defaults;
  private final List<EmbeddingModelListener> listeners;

  private KnapsackEmbeddingModel(EncoderBuilder.Held<Embedder> held, Builder builder) {
    this.embedder = held.model();
    this.owned = held.owned();
    this.longTexts = builder.longTexts;
    this.listeners = builder.listeners;
    this.defaults =
        EmbeddingRequestParameters.builder()
            .modelName(embedder.plan().model())
            .overrideWith(builder.parameters)
            .build();
  }

  public static Builder builder() {
    return new Builder();
  }

  @Override
  public EmbeddingResponse doEmbed(EmbeddingRequest request) {
    String model = request.modelName();
    if (model != null && !model.equals(modelName())) {
      throw new UnsupportedFeatureException(
          "The model here is %s; %s was asked for.".formatted(modelName(), model));
    }
    try {
      List<dev.knapsack.Embedding> vectors = embedder.embed(wished(request));
      int tokens = vectors.stream().mapToInt(dev.knapsack.Embedding::tokens).sum();
      return EmbeddingResponse.builder()
          .embeddings(vectors.stream().map(v -> Embedding.from(v.vector())).toList())
          .metadata(
              EmbeddingResponseMetadata.builder()
                  .modelName(modelName())
                  .tokenUsage(new TokenUsage(tokens, 0, tokens))
                  .build())
          .build();
    } catch (IllegalArgumentException e) {
      throw new UnsupportedFeatureException(String.valueOf(e.getMessage())); // no words for a task
    } catch (RuntimeException e) {
      throw Failures.answering(e);
    }
  }

  private dev.knapsack.EmbeddingRequest wished(EmbeddingRequest request) {
    dev.knapsack.EmbeddingRequest wished =
        dev.knapsack.EmbeddingRequest.of(
                request.inputs().stream().map(EmbeddingInput::text).toList())
            .withLongTexts(longTexts);
    EmbeddingInputType type = request.inputType();
    if (type != null) {
      wished =
          wished.withTask(
              switch (type) {
                case QUERY -> Task.QUERY;
                case DOCUMENT -> Task.DOCUMENT;
              });
    }
    Integer dimensions = request.dimensions();
    if (dimensions == null) {
      return wished;
    }
    if (dimensions < 1 || dimensions > embedder.dimensions()) {
      throw new InvalidRequestException(
          "Vectors of %,d numbers were asked for; %s makes 1 to %,d."
              .formatted(dimensions, modelName(), embedder.dimensions()));
    }
    return wished.withDimensions(dimensions);
  }

  @Override
  public EmbeddingRequestParameters defaultRequestParameters() {
    return defaults;
  }

  @Override
  public Set<EmbeddingParameter<?>> supportedParameters() {
    return Set.of(
        EmbeddingRequestParameters.MODEL_NAME,
        EmbeddingRequestParameters.DIMENSIONS,
        EmbeddingRequestParameters.INPUT_TYPE);
  }

  @Override
  public List<EmbeddingModelListener> listeners() {
    return listeners;
  }

  /** Numbers in the vectors of requests that do not say otherwise. */
  @Override
  public int dimension() {
    Integer fewer = defaults.dimensions();
    return fewer == null ? embedder.dimensions() : fewer;
  }

  @Override
  public String modelName() {
    return embedder.plan().model();
  }

  /** The model itself. */
  public Embedder embedder() {
    return embedder;
  }

  /** Closes the model, if it was opened for this. */
  @Override
  public void close() {
    if (owned) {
      embedder.close();
    }
  }

  /** Collects what a {@link KnapsackEmbeddingModel} is made of. */
  public static final class Builder extends EncoderBuilder<Embedder, Builder> {
    private LongTexts longTexts = LongTexts.CUT;
    private List<EmbeddingModelListener> listeners = List.of();
    private EmbeddingRequestParameters parameters = EmbeddingRequestParameters.EMPTY;

    private Builder() {}

    @Override
    Builder self() {
      return this;
    }

    @Override
    Embedder open(String place, ClassLoader known, Host in, Options how) {
      return Embedder.open(place, known, in, how);
    }

    /** A model that is open; who opened it closes it, and others may use it beside this. */
    public Builder embedder(Embedder value) {
      return opened(value);
    }

    /** The fate of texts that are longer than the model reads; their ends are cut by default. */
    public Builder longTexts(LongTexts value) {
      longTexts = value;
      return this;
    }

    public Builder listeners(List<EmbeddingModelListener> value) {
      listeners = List.copyOf(value);
      return this;
    }

    /** Parameters of requests that do not say otherwise. */
    public Builder defaultRequestParameters(EmbeddingRequestParameters value) {
      parameters = value;
      return this;
    }

    /**
     * The embedding model.
     *
     * @throws dev.langchain4j.exception.ModelNotFoundException if the model's file cannot be used
     * @throws dev.langchain4j.exception.NonRetriableException if it does not fit the budget
     */
    public KnapsackEmbeddingModel build() {
      return new KnapsackEmbeddingModel(held(), this);
    }
  }
}

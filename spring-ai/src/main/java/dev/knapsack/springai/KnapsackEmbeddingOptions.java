package dev.knapsack.springai;

import dev.knapsack.Task;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.embedding.EmbeddingOptions;

/**
 * The options of a request for vectors; what is null is as usual.
 *
 * @param model the name of the model that is open
 * @param dimensions numbers of a vector, as many as the model has if nothing is said
 * @param task the use that the vectors are for, of models that were trained with words for it
 */
public record KnapsackEmbeddingOptions(
    @Nullable String model, @Nullable Integer dimensions, @Nullable Task task)
    implements EmbeddingOptions {
  /** None: everything is as usual. */
  public static final KnapsackEmbeddingOptions NONE =
      new KnapsackEmbeddingOptions(null, null, null);

  /** These options, and what they leave open as others have it. */
  KnapsackEmbeddingOptions over(KnapsackEmbeddingOptions others) {
    return new KnapsackEmbeddingOptions(
        model == null ? others.model : model,
        dimensions == null ? others.dimensions : dimensions,
        task == null ? others.task : task);
  }

  /** The same options, if they are these, or else as many of these as they are. */
  static KnapsackEmbeddingOptions of(@Nullable EmbeddingOptions options) {
    return switch (options) {
      case null -> NONE;
      case KnapsackEmbeddingOptions same -> same;
      default -> new KnapsackEmbeddingOptions(options.getModel(), options.getDimensions(), null);
    };
  }

  public KnapsackEmbeddingOptions withTask(@Nullable Task value) {
    return new KnapsackEmbeddingOptions(model, dimensions, value);
  }

  public KnapsackEmbeddingOptions withDimensions(@Nullable Integer value) {
    return new KnapsackEmbeddingOptions(model, value, task);
  }

  @Override
  public @Nullable String getModel() {
    return model;
  }

  @Override
  public @Nullable Integer getDimensions() {
    return dimensions;
  }
}

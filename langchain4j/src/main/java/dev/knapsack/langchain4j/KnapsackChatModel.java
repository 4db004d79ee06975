package dev.knapsack.langchain4j;

import dev.knapsack.Generation;
import dev.knapsack.GenerationRequest;
import dev.knapsack.Knapsack;
import dev.langchain4j.model.chat.Capability;
import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.listener.ChatModelListener;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.response.ChatResponse;
import java.util.List;
import java.util.Set;

/**
 * LangChain4j's chat model over a model in this process.
 *
 * <pre>{@code
 * try (KnapsackChatModel model =
 *     KnapsackChatModel.builder().modelPath(Path.of("model.gguf")).memory("2GiB").build()) {
 *   String answer = model.chat("What fits in two gigabytes?");
 * }
 * }</pre>
 *
 * <p>Requests that cannot be answered fail with LangChain4j's exceptions, whose cause is
 * Knapsack's: {@code UnsupportedFeatureException} for images, other content that is no text, and
 * another model's name; {@code InvalidRequestException} for what this model and its plan cannot do;
 * {@code RateLimitException} when too many wait; {@code TimeoutException}. A thread that is
 * interrupted stops waiting and its answer is cancelled. Safe for use by many threads.
 */
public final class KnapsackChatModel implements ChatModel, AutoCloseable {
  private final OpenModel model;

  private KnapsackChatModel(OpenModel model) {
    this.model = model;
  }

  public static Builder builder() {
    return new Builder();
  }

  @Override
  public ChatResponse doChat(ChatRequest chatRequest) {
    GenerationRequest request = model.request(chatRequest);
    try (Generation answer = model.knapsack().generate(request)) {
      answer.message(); // waits for its end
      return Responses.of(answer, model.name());
    } catch (RuntimeException e) {
      throw Failures.answering(e);
    }
  }

  @Override
  public KnapsackChatRequestParameters defaultRequestParameters() {
    return model.defaults();
  }

  @Override
  public List<ChatModelListener> listeners() {
    return model.listeners();
  }

  @Override
  public Set<Capability> supportedCapabilities() {
    return OpenModel.CAPABILITIES;
  }

  /** The model itself. */
  public Knapsack knapsack() {
    return model.knapsack();
  }

  /** Closes the model, if it was opened for this. */
  @Override
  public void close() {
    model.close();
  }

  /** Collects what a {@link KnapsackChatModel} is made of. */
  public static final class Builder extends ModelBuilder<Builder> {
    private Builder() {}

    @Override
    Builder self() {
      return this;
    }

    /**
     * The chat model.
     *
     * @throws dev.langchain4j.exception.ModelNotFoundException if the model's file cannot be used
     * @throws dev.langchain4j.exception.NonRetriableException if it does not fit the budget
     * @throws dev.langchain4j.exception.UnsupportedFeatureException if the default parameters are
     *     another model's
     */
    public KnapsackChatModel build() {
      return new KnapsackChatModel(open());
    }
  }
}

package dev.knapsack.langchain4j;

import dev.knapsack.GenerationRequest;
import dev.knapsack.Knapsack;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.internal.InternalStreamingChatResponseHandlerUtils;
import dev.langchain4j.model.chat.Capability;
import dev.langchain4j.model.chat.StreamingChatModel;
import dev.langchain4j.model.chat.listener.ChatModelListener;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import java.util.List;
import java.util.Set;

/**
 * LangChain4j's streaming chat model over a model in this process.
 *
 * <p>A handler is called by one thread, which is not the caller's: with pieces of text and of
 * thinking as they come, with each call of a tool, and last with the answer or what went wrong. Who
 * cancels through the handle hears nothing more. An answer is written no faster than its handler
 * takes it. What cannot be asked for at all ({@code UnsupportedFeatureException}) is thrown to the
 * caller; everything else goes to the handler, as {@link KnapsackChatModel} would throw it.
 */
public final class KnapsackStreamingChatModel implements StreamingChatModel, AutoCloseable {
  private final OpenModel model;

  private KnapsackStreamingChatModel(OpenModel model) {
    this.model = model;
  }

  public static Builder builder() {
    return new Builder();
  }

  @Override
  public void doChat(ChatRequest chatRequest, StreamingChatResponseHandler handler) {
    GenerationRequest request;
    try {
      request = model.request(chatRequest);
    } catch (InvalidRequestException e) {
      InternalStreamingChatResponseHandlerUtils.withLoggingExceptions(() -> handler.onError(e));
      return;
    }
    Thread.ofVirtual().name("knapsack-answer").start(new StreamedAnswer(model, request, handler));
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

  /** Collects what a {@link KnapsackStreamingChatModel} is made of. */
  public static final class Builder extends ModelBuilder<Builder> {
    private Builder() {}

    @Override
    Builder self() {
      return this;
    }

    /** The chat model; throws as {@link KnapsackChatModel.Builder#build()}. */
    public KnapsackStreamingChatModel build() {
      return new KnapsackStreamingChatModel(open());
    }
  }
}

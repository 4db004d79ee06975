package dev.knapsack.langchain4j;

import dev.knapsack.Knapsack;
import dev.knapsack.Options;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.langchain4j.model.chat.listener.ChatModelListener;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The common part of the builders of chat models: a model that is open, or the path of one that is
 * opened for the chat model and closed with it; and what its requests have if they do not say.
 *
 * @param <B> the builder itself
 */
public abstract sealed class ModelBuilder<B extends ModelBuilder<B>>
    permits KnapsackChatModel.Builder, KnapsackStreamingChatModel.Builder {
  private @Nullable Knapsack knapsack;
  private @Nullable Path modelPath;
  private @Nullable Host host;
  private Options options = Options.usual();
  private List<ChatModelListener> listeners = List.of();
  private final KnapsackChatRequestParameters.Builder parameters =
      KnapsackChatRequestParameters.builder();

  ModelBuilder() {}

  abstract B self();

  /** A model that is open; who opened it closes it, and others may use it beside this. */
  public B knapsack(Knapsack value) {
    knapsack = value;
    return self();
  }

  /** A GGUF file or a directory of safetensors, which is opened, and closed with the chat model. */
  public B modelPath(Path value) {
    modelPath = value;
    return self();
  }

  /** A budget of its own, such as {@code 2GiB}, for the model that is opened. */
  public B memory(String value) {
    return host(new Host(Budget.of(value)));
  }

  /** The host whose budget and threads the model that is opened shares with others. */
  public B host(Host value) {
    host = value;
    return self();
  }

  /** Choices in opening the model; {@link Options#usual()} if nothing is said. */
  public B options(Options value) {
    options = value;
    return self();
  }

  public B listeners(List<ChatModelListener> value) {
    listeners = List.copyOf(value);
    return self();
  }

  /**
   * Parameters of requests that do not say otherwise, of LangChain4j's own kind or {@link
   * KnapsackChatRequestParameters}; of what is said several times here, the last counts.
   */
  public B defaultRequestParameters(ChatRequestParameters value) {
    parameters.overrideWith(value);
    return self();
  }

  public B temperature(Double value) {
    parameters.temperature(value);
    return self();
  }

  public B topP(Double value) {
    parameters.topP(value);
    return self();
  }

  public B topK(Integer value) {
    parameters.topK(value);
    return self();
  }

  public B seed(Long value) {
    parameters.seed(value);
    return self();
  }

  public B maxOutputTokens(Integer value) {
    parameters.maxOutputTokens(value);
    return self();
  }

  /**
   * The time that an answer may take; then it fails with LangChain4j's {@code TimeoutException}.
   */
  public B timeout(Duration value) {
    parameters.timeout(value);
    return self();
  }

  /** Says whether the model is to think before it speaks, where its template can say so. */
  public B thinking(boolean value) {
    parameters.thinking(value);
    return self();
  }

  /**
   * The model, open.
   *
   * @throws dev.langchain4j.exception.ModelNotFoundException if its file cannot be used
   * @throws dev.langchain4j.exception.NonRetriableException if it does not fit the budget
   * @throws IllegalStateException if there is none, or two
   */
  final OpenModel open() {
    if ((knapsack == null) == (modelPath == null)) {
      throw new IllegalStateException("Give either a model that is open or the path of one.");
    }
    if (knapsack != null) {
      return new OpenModel(knapsack, parameters.build(), listeners, false);
    }
    if (host == null) {
      throw new IllegalStateException(
          "The model at %s has no budget; name one with memory, or give the host that it shares."
              .formatted(modelPath));
    }
    Knapsack opened;
    try {
      opened = Knapsack.open(modelPath, host, options);
    } catch (RuntimeException e) {
      throw Failures.opening(e);
    }
    try {
      return new OpenModel(opened, parameters.build(), listeners, true);
    } catch (RuntimeException e) {
      opened.close();
      throw e;
    }
  }
}

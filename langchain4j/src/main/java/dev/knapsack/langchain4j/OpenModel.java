package dev.knapsack.langchain4j;

import dev.knapsack.GenerationRequest;
import dev.knapsack.Knapsack;
import dev.langchain4j.model.chat.Capability;
import dev.langchain4j.model.chat.listener.ChatModelListener;
import dev.langchain4j.model.chat.request.ChatRequest;
import java.util.List;
import java.util.Set;

/**
 * A model with what a chat model has beside it.
 *
 * @param owned whether it was opened for the chat model, and is closed with it
 */
record OpenModel(
    Knapsack knapsack,
    KnapsackChatRequestParameters defaults,
    List<ChatModelListener> listeners,
    boolean owned)
    implements AutoCloseable {
  static final Set<Capability> CAPABILITIES = Set.of(Capability.RESPONSE_FORMAT_JSON_SCHEMA);

  /** Defaults that name the model, if they are for it. */
  OpenModel {
    String name = knapsack.plan().model();
    defaults =
        Requests.checked(defaults, name)
            .overrideWith(KnapsackChatRequestParameters.builder().modelName(name).build());
  }

  String name() {
    return knapsack.plan().model();
  }

  GenerationRequest request(ChatRequest request) {
    return Requests.of(request, name());
  }

  @Override
  public void close() {
    if (owned) {
      knapsack.close();
    }
  }
}

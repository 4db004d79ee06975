package dev.knapsack.langchain4j;

import dev.knapsack.Knapsack;
import dev.knapsack.generation.Constraint;
import dev.knapsack.testing.ScriptedModel;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.StreamingChatModel;
import dev.langchain4j.model.chat.common.AbstractChatModelListenerIT;
import dev.langchain4j.model.chat.common.AbstractStreamingChatModelListenerIT;
import dev.langchain4j.model.chat.listener.ChatModelListener;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.io.TempDir;

/** LangChain4j's own kits for listeners, by a model that says what they ask for. */
class ListenerKitTest {
  @TempDir static Path folder;
  private static Knapsack knapsack;

  @BeforeAll
  static void open() {
    knapsack = Script.open(folder);
  }

  @AfterAll
  static void close() {
    knapsack.close();
  }

  /** Parameters of requests that are answered. */
  private static KnapsackChatRequestParameters usual() {
    return KnapsackChatRequestParameters.builder()
        .temperature(0.7)
        .topP(1.0)
        .maxOutputTokens(7)
        .build();
  }

  /** Parameters of requests that are refused. */
  private static KnapsackChatRequestParameters failing() {
    return KnapsackChatRequestParameters.builder()
        .constraint(new Constraint.Grammar("root ::= ("))
        .build();
  }

  @Nested
  class OfChatModels extends AbstractChatModelListenerIT {
    private ChatModel model(ChatModelListener listener, KnapsackChatRequestParameters parameters) {
      return KnapsackChatModel.builder()
          .knapsack(knapsack)
          .listeners(List.of(listener))
          .defaultRequestParameters(parameters)
          .build();
    }

    @Override
    protected ChatModel createModel(ChatModelListener listener) {
      return model(listener, usual());
    }

    @Override
    protected ChatModel createFailingModel(ChatModelListener listener) {
      return model(listener, failing());
    }

    @Override
    protected String modelName() {
      return ScriptedModel.NAME;
    }

    @Override
    protected Class<? extends Exception> expectedExceptionClass() {
      return InvalidRequestException.class;
    }
  }

  @Nested
  class OfStreamingChatModels extends AbstractStreamingChatModelListenerIT {
    private StreamingChatModel model(
        ChatModelListener listener, KnapsackChatRequestParameters parameters) {
      return KnapsackStreamingChatModel.builder()
          .knapsack(knapsack)
          .listeners(List.of(listener))
          .defaultRequestParameters(parameters)
          .build();
    }

    @Override
    protected StreamingChatModel createModel(ChatModelListener listener) {
      return model(listener, usual());
    }

    @Override
    protected StreamingChatModel createFailingModel(ChatModelListener listener) {
      return model(listener, failing());
    }

    @Override
    protected String modelName() {
      return ScriptedModel.NAME;
    }

    @Override
    protected Class<? extends Exception> expectedExceptionClass() {
      return InvalidRequestException.class;
    }
  }
}

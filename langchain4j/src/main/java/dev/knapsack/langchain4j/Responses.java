package dev.knapsack.langchain4j;

import dev.knapsack.Generation;
import dev.knapsack.generation.Usage;
import dev.knapsack.message.Message;
import dev.knapsack.message.Part;
import dev.langchain4j.agent.tool.ToolExecutionRequest;
import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.exception.NonRetriableException;
import dev.langchain4j.exception.TimeoutException;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.output.FinishReason;
import java.util.List;
import java.util.UUID;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Writes answers as LangChain4j has them. */
final class Responses {
  private Responses() {}

  /**
   * An answer that has ended.
   *
   * @param model its model's name
   * @throws TimeoutException if it took longer than it may
   * @throws NonRetriableException if somebody cancelled it
   */
  static ChatResponse of(Generation answer, String model) {
    Message message = answer.messageSoFar();
    Usage usage = answer.usage();
    return ChatResponse.builder()
        .aiMessage(message(message))
        .metadata(
            KnapsackChatResponseMetadata.builder(usage, answer.seed())
                .id(UUID.randomUUID().toString())
                .modelName(model)
                .tokenUsage(
                    new KnapsackTokenUsage(
                        usage.promptTokens(), usage.tokens(), usage.cachedTokens()))
                .finishReason(reason(answer, !message.calls().isEmpty()))
                .build())
        .build();
  }

  private static FinishReason reason(Generation answer, boolean called) {
    return switch (answer.finishReason().orElseThrow()) {
      case END_TOKEN, STOP_STRING -> called ? FinishReason.TOOL_EXECUTION : FinishReason.STOP;
      case MAX_TOKENS, CONTEXT_FULL -> FinishReason.LENGTH;
      case DEADLINE ->
          throw new TimeoutException(
              "The answer took longer than its timeout; after %,d tokens it was ended. Allow it more time, or fewer tokens."
                  .formatted(answer.usage().tokens()));
      case CANCELLED, FAILED -> throw new NonRetriableException("The answer was cancelled.");
    };
  }

  private static AiMessage message(Message message) {
    String thinking =
        message.parts().stream()
            .filter(Part.Reasoning.class::isInstance)
            .map(part -> ((Part.Reasoning) part).text())
            .collect(Collectors.joining("\n"));
    return AiMessage.builder()
        .text(orNull(message.text()))
        .thinking(orNull(thinking))
        .toolExecutionRequests(calls(message))
        .build();
  }

  private static List<ToolExecutionRequest> calls(Message message) {
    return message.calls().stream().map(Responses::call).toList();
  }

  static ToolExecutionRequest call(Part.ToolCall call) {
    return ToolExecutionRequest.builder()
        .id(call.id())
        .name(call.name())
        .arguments(call.arguments())
        .build();
  }

  private static @Nullable String orNull(String text) {
    return text.isEmpty() ? null : text;
  }
}

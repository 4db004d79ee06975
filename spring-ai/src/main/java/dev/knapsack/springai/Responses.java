package dev.knapsack.springai;

import dev.knapsack.Generation;
import dev.knapsack.generation.Event;
import dev.knapsack.generation.Usage;
import dev.knapsack.message.Message;
import dev.knapsack.message.Part;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.metadata.ChatGenerationMetadata;
import org.springframework.ai.chat.metadata.ChatResponseMetadata;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.chat.model.ChatResponse;

/** One answer as Spring AI has it: pieces while it is written, and the whole. */
final class Responses {
  /** The property of a message that has what the model thought, as Spring AI's OpenAI model has. */
  static final String REASONING = "reasoningContent";

  /** The property of an answer that has the seed that its tokens were drawn with. */
  static final String SEED = "seed";

  private final Generation answer;
  private final String model;
  private final String id = UUID.randomUUID().toString();

  /** All that was thought so far: who puts pieces together keeps the last value of a property. */
  private final StringBuilder reasoning = new StringBuilder();

  Responses(Generation answer, String model) {
    this.answer = answer;
    this.model = model;
  }

  /** The answer, which has ended. */
  ChatResponse whole() {
    Message message = answer.messageSoFar();
    String thought =
        message.parts().stream()
            .filter(Part.Reasoning.class::isInstance)
            .map(part -> ((Part.Reasoning) part).text())
            .collect(Collectors.joining("\n"));
    return last(message.text(), thought, message.calls());
  }

  /** What an event adds to the answer; null if nothing. */
  @Nullable ChatResponse piece(Event event) {
    return switch (event) {
      case Event.Text(String text) -> piece(text, List.of());
      case Event.Reasoning(String text) -> {
        reasoning.append(text);
        yield piece("", List.of());
      }
      case Event.Call(int _, Part.ToolCall call) -> piece("", List.of(call));
      case Event.End _ -> last("", reasoning.toString(), List.of());
      case Event.Failure failure -> throw failure.thrown();
      case Event.CallBegins _, Event.Arguments _, Event.Token _, Usage _ -> null;
    };
  }

  private ChatResponse piece(String text, List<Part.ToolCall> calls) {
    return response(
        text,
        reasoning.toString(),
        calls,
        ChatGenerationMetadata.NULL,
        ChatResponseMetadata.builder().id(id).model(model).build());
  }

  private ChatResponse last(String text, String thought, List<Part.ToolCall> calls) {
    Usage usage = answer.usage();
    return response(
        text,
        thought,
        calls,
        ChatGenerationMetadata.builder().finishReason(reason()).build(),
        ChatResponseMetadata.builder()
            .id(id)
            .model(model)
            .usage(
                new DefaultUsage(
                    usage.promptTokens(),
                    usage.tokens(),
                    usage.promptTokens() + usage.tokens(),
                    usage,
                    (long) usage.cachedTokens(),
                    null))
            .keyValue(SEED, answer.seed())
            .build());
  }

  private static ChatResponse response(
      String text,
      String thought,
      List<Part.ToolCall> calls,
      ChatGenerationMetadata metadata,
      ChatResponseMetadata about) {
    AssistantMessage message =
        AssistantMessage.builder()
            .content(text)
            .properties(thought.isEmpty() ? Map.of() : Map.of(REASONING, thought))
            .toolCalls(calls.stream().map(Responses::call).toList())
            .build();
    return new ChatResponse(
        List.of(new org.springframework.ai.chat.model.Generation(message, metadata)), about);
  }

  private static AssistantMessage.ToolCall call(Part.ToolCall call) {
    return new AssistantMessage.ToolCall(call.id(), "function", call.name(), call.arguments());
  }

  private String reason() {
    return switch (answer.finishReason().orElseThrow()) {
      case END_TOKEN, STOP_STRING ->
          answer.messageSoFar().calls().isEmpty() ? "STOP" : "TOOL_CALLS";
      case MAX_TOKENS, CONTEXT_FULL -> "LENGTH";
      case DEADLINE -> "DEADLINE";
      case CANCELLED, FAILED -> "CANCELLED";
    };
  }
}

package dev.knapsack.springai;

import dev.knapsack.error.UnsupportedMediaException;
import dev.knapsack.message.Message;
import dev.knapsack.message.Part;
import dev.knapsack.message.Role;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.SystemMessage;
import org.springframework.ai.chat.messages.ToolResponseMessage;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.content.Media;

/** Reads Spring AI's messages. */
final class Conversations {
  private Conversations() {}

  /**
   * The same messages; several results in one of Spring AI's are a message each.
   *
   * @throws UnsupportedMediaException if one has something that is no text
   * @throws IllegalArgumentException if one is of a type that is not known
   */
  static List<Message> messages(List<org.springframework.ai.chat.messages.Message> messages) {
    return messages.stream().flatMap(Conversations::message).toList();
  }

  private static Stream<Message> message(org.springframework.ai.chat.messages.Message message) {
    return switch (message) {
      case SystemMessage system -> Stream.of(Message.system(orEmpty(system.getText())));
      case UserMessage user -> {
        check(user.getMedia());
        yield Stream.of(Message.user(orEmpty(user.getText())));
      }
      case AssistantMessage answer -> Stream.of(answer(answer));
      case ToolResponseMessage results ->
          results.getResponses().stream()
              .map(result ->
                  new Message(
                      Role.TOOL, List.of(new Part.ToolResult(result.id(), result.responseData()))));
      default ->
          throw new IllegalArgumentException(
              "A message of the class %s is not known; give it as a UserMessage."
                  .formatted(message.getClass().getName()));
    };
  }

  private static Message answer(AssistantMessage answer) {
    check(answer.getMedia());
    List<Part> parts = new ArrayList<>();
    if (answer.getMetadata().get(Responses.REASONING) instanceof String reasoning) {
      parts.add(new Part.Reasoning(reasoning));
    }
    if (answer.getText() != null && !answer.getText().isEmpty()) {
      parts.add(new Part.Text(answer.getText()));
    }
    for (AssistantMessage.ToolCall call : answer.getToolCalls()) {
      parts.add(
          new Part.ToolCall(
              call.id(), call.name(), call.arguments().isBlank() ? "{}" : call.arguments()));
    }
    return new Message(Role.ASSISTANT, parts);
  }

  private static void check(List<Media> media) {
    if (!media.isEmpty()) {
      throw new UnsupportedMediaException(media.getFirst().getMimeType().toString());
    }
  }

  private static String orEmpty(@Nullable String text) {
    return text == null ? "" : text;
  }
}

package dev.knapsack.langchain4j;

import dev.knapsack.message.Message;
import dev.knapsack.message.Part;
import dev.knapsack.message.Role;
import dev.langchain4j.agent.tool.ToolExecutionRequest;
import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.data.message.ChatMessage;
import dev.langchain4j.data.message.Content;
import dev.langchain4j.data.message.SystemMessage;
import dev.langchain4j.data.message.TextContent;
import dev.langchain4j.data.message.ToolExecutionResultMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.exception.UnsupportedFeatureException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Reads LangChain4j's messages; names of users are not told to a model. */
final class Conversations {
  private Conversations() {}

  static List<Message> messages(List<ChatMessage> messages) {
    return messages.stream().map(Conversations::message).toList();
  }

  /**
   * One message.
   *
   * @throws UnsupportedFeatureException if it has content that is no text
   */
  static Message message(ChatMessage message) {
    return switch (message) {
      case SystemMessage system -> Message.system(system.text());
      case UserMessage user ->
          new Message(
              Role.USER,
              user.contents().stream().<Part>map(content -> new Part.Text(text(content))).toList());
      case AiMessage answer -> answer(answer);
      case ToolExecutionResultMessage result ->
          new Message(
              Role.TOOL,
              List.of(
                  new Part.ToolResult(
                      orEmpty(result.id()),
                      result.contents().stream()
                          .map(Conversations::text)
                          .collect(Collectors.joining("\n")))));
      default ->
          throw new UnsupportedFeatureException(
              "A message of the type %s is not supported; give it as a UserMessage."
                  .formatted(message.type()));
    };
  }

  private static Message answer(AiMessage answer) {
    if (!answer.images().isEmpty()) {
      throw unsupported("image");
    }
    List<Part> parts = new ArrayList<>();
    if (answer.thinking() != null) {
      parts.add(new Part.Reasoning(answer.thinking()));
    }
    if (answer.text() != null) {
      parts.add(new Part.Text(answer.text()));
    }
    for (ToolExecutionRequest call : answer.toolExecutionRequests()) {
      String arguments = orEmpty(call.arguments());
      parts.add(
          new Part.ToolCall(
              orEmpty(call.id()), call.name(), arguments.isBlank() ? "{}" : arguments));
    }
    return new Message(Role.ASSISTANT, parts);
  }

  private static String text(Content content) {
    if (content instanceof TextContent text) {
      return text.text();
    }
    throw unsupported(content.type().name().toLowerCase(Locale.ROOT));
  }

  private static UnsupportedFeatureException unsupported(String what) {
    return new UnsupportedFeatureException(
        "A message has content of the type %s, which is not supported: models here read text alone. Leave it out."
            .formatted(what));
  }

  private static String orEmpty(@Nullable String text) {
    return text == null ? "" : text;
  }
}

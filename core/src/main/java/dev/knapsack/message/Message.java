package dev.knapsack.message;

import java.util.List;
import java.util.stream.Collectors;

/**
 * One message of a conversation.
 *
 * @param parts what is said, in its order
 */
public record Message(Role role, List<Part> parts) {
  public Message {
    parts = List.copyOf(parts);
  }

  private static Message text(Role role, String text) {
    return new Message(role, List.of(new Part.Text(text)));
  }

  public static Message system(String text) {
    return text(Role.SYSTEM, text);
  }

  public static Message user(String text) {
    return text(Role.USER, text);
  }

  public static Message assistant(String text) {
    return text(Role.ASSISTANT, text);
  }

  /** The result of a call. */
  public static Message result(Part.ToolCall call, String text) {
    return new Message(Role.TOOL, List.of(new Part.ToolResult(call.id(), text)));
  }

  /** All text that is said, without reasoning, calls and results. */
  public String text() {
    return parts.stream()
        .filter(Part.Text.class::isInstance)
        .map(part -> ((Part.Text) part).text())
        .collect(Collectors.joining());
  }

  /** The calls, in their order. */
  public List<Part.ToolCall> calls() {
    return parts.stream()
        .filter(Part.ToolCall.class::isInstance)
        .map(Part.ToolCall.class::cast)
        .toList();
  }
}

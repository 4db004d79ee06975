package dev.knapsack.serve.openai;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import dev.knapsack.message.Message;
import dev.knapsack.message.Part;
import dev.knapsack.message.Role;
import dev.knapsack.serve.ToolFields;
import dev.knapsack.serve.http.Fields;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** Reads messages as clients of OpenAI's API write them. */
final class MessagesReader {
  private static final Set<String> ROLES =
      Set.of("system", "developer", "user", "assistant", "tool", "function");

  private MessagesReader() {}

  /** The messages of a body, at least one. */
  static List<Message> messages(Fields body) {
    List<Message> messages =
        body.objects("messages").stream().map(MessagesReader::message).toList();
    if (messages.isEmpty()) {
      throw body.refusal("messages", "must be a list of one message or more");
    }
    return messages;
  }

  private static Message message(Fields message) {
    String word = message.oneOf("role", message.needed("role"), ROLES);
    return switch (word) {
      case "assistant" -> new Message(Role.ASSISTANT, said(message));
      case "tool", "function" ->
          new Message(
              Role.TOOL,
              List.of(
                  new Part.ToolResult(message.text("tool_call_id", ""), text(message, "content"))));
      default -> new Message(Role.of(word), content(message, "content"));
    };
  }

  /**
   * The parts that a model said: its reasoning, which two keys are in use for, its text, its calls.
   */
  private static List<Part> said(Fields message) {
    List<Part> parts = new ArrayList<>();
    message
        .text("reasoning_content")
        .or(() ->
            message.get("reasoning") instanceof JsonObject
                ? Optional.empty()
                : message.text("reasoning"))
        .filter(text -> !text.isEmpty())
        .ifPresent(text -> parts.add(new Part.Reasoning(text)));
    parts.addAll(content(message, "content"));
    for (Fields call : message.objects("tool_calls")) {
      Fields function =
          call.object("function")
              .orElseThrow(() -> call.refusal("function", "is missing; it must be an object"));
      parts.add(ToolFields.call(call.text("id", ""), function, "arguments"));
    }
    return parts;
  }

  /** The text of a content, whose parts must be texts. */
  static String text(Fields message, String name) {
    StringBuilder text = new StringBuilder();
    content(message, name).forEach(part -> text.append(((Part.Text) part).text()));
    return text.toString();
  }

  /**
   * Content: a text, or parts, whose texts are taken; nothing where it is missing.
   *
   * @throws dev.knapsack.serve.http.Refusal if a part is a picture, a sound or a file
   */
  static List<Part> content(Fields message, String name) {
    JsonElement value = message.get(name);
    if (value == null) {
      return List.of();
    }
    if (value.isJsonPrimitive()) {
      String text = message.needed(name);
      return text.isEmpty() ? List.of() : List.of(new Part.Text(text));
    }
    List<Part> parts = new ArrayList<>();
    for (Fields part : message.objects(name)) {
      String type = part.needed("type");
      switch (type) {
        case "text", "input_text", "output_text" -> parts.add(new Part.Text(part.needed("text")));
        case "refusal" -> parts.add(new Part.Text(part.needed("refusal")));
        default ->
            throw part.refusal(
                "type",
                "is '%s'; the models here read text only, so give parts of the type 'text'"
                    .formatted(type));
      }
    }
    return parts;
  }
}

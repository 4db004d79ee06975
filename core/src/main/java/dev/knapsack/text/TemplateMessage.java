package dev.knapsack.text;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One message of a conversation.
 *
 * @param role who speaks: {@code system}, {@code user}, {@code assistant}, {@code tool}
 * @param content what is said: text, or a list of parts where the template takes those; null where
 *     the message only calls tools
 * @param more other fields as a template reads them, such as {@code tool_calls} (a list of maps),
 *     {@code tool_call_id}, {@code name}, {@code reasoning_content}
 */
public record TemplateMessage(
    String role, @Nullable Object content, Map<String, ? extends @Nullable Object> more) {
  public TemplateMessage {
    more = Collections.unmodifiableMap(new LinkedHashMap<String, @Nullable Object>(more));
  }

  public static TemplateMessage system(String content) {
    return new TemplateMessage("system", content, Map.of());
  }

  public static TemplateMessage user(String content) {
    return new TemplateMessage("user", content, Map.of());
  }

  public static TemplateMessage assistant(String content) {
    return new TemplateMessage("assistant", content, Map.of());
  }

  /** Templates write roles within tokens ({@code <|user|>}): a word can be no more than that. */
  private static boolean isWord(String role) {
    return role.chars()
        .allMatch(c -> c < 0x80 && (Character.isLetterOrDigit(c) || c == '_' || c == '-'));
  }

  Map<String, @Nullable Object> fields() {
    Map<String, @Nullable Object> fields = new LinkedHashMap<>();
    fields.put("role", isWord(role) ? MarkedText.control(role) : role);
    fields.put("content", content);
    fields.putAll(more);
    return fields;
  }
}

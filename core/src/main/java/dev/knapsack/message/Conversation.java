package dev.knapsack.message;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A conversation that a model is to answer: messages, the tools that it may call, and what else its
 * template asks for.
 *
 * @param variables of the template, such as {@code enable_thinking} or {@code reasoning_effort}
 */
public record Conversation(
    List<Message> messages, List<Tool> tools, Map<String, Object> variables) {
  public Conversation {
    messages = List.copyOf(messages);
    tools = List.copyOf(tools);
    variables = Collections.unmodifiableMap(new LinkedHashMap<>(variables));
  }

  public static Conversation of(Message... messages) {
    return of(List.of(messages));
  }

  public static Conversation of(List<Message> messages) {
    return new Conversation(messages, List.of(), Map.of());
  }

  public Conversation withMessages(List<Message> value) {
    return new Conversation(value, tools, variables);
  }

  /** This conversation with one message more. */
  public Conversation withMessage(Message next) {
    List<Message> all = new ArrayList<>(messages);
    all.add(next);
    return withMessages(all);
  }

  public Conversation withTools(List<Tool> value) {
    return new Conversation(messages, value, variables);
  }

  public Conversation withVariable(String name, Object value) {
    Map<String, Object> all = new LinkedHashMap<>(variables);
    all.put(name, value);
    return new Conversation(messages, tools, all);
  }
}

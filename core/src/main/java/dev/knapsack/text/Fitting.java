package dev.knapsack.text;

import dev.knapsack.error.TemplateException;
import dev.knapsack.text.ChatTemplate.Input;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * Gives a conversation the form that a template writes as it is meant, where clients have one form
 * and templates expect several: contents that are null, text or a list of parts, arguments and
 * identifiers of calls ({@link ToolCalls}), instructions where a template has no place for them.
 *
 * <p>What a template expects is found by trying: it writes a few words in one form and in another,
 * and what it refuses, loses or writes as a Python value it does not take. What it takes is left as
 * it is.
 */
final class Fitting {
  private static final String NONE_TAKEN =
      "The model's chat template takes no system message; its text goes before the user's message.";
  private static final String FIRST_TAKEN =
      "The model's chat template takes a system message at the beginning alone; the text of a later"
          + " one goes before the user's next message.";

  private static final String NO_TOOLS =
      "The model's chat template takes no tools; those that are given are left out.";

  /** A text that no template writes by itself. */
  static final String NEEDLE = "Qzjxneedle";

  private final ChatTemplate template;
  private final Input given;
  private final List<String> notes = new ArrayList<>();

  private Fitting(ChatTemplate template, Input given) {
    this.template = template;
    this.given = given;
  }

  static ChatTemplate.Fitted of(ChatTemplate template, Input given) {
    Fitting fitting = new Fitting(template, given);
    List<TemplateMessage> messages = new ToolCalls(fitting).fitted(given.messages());
    messages = fitting.contents(messages);
    messages = fitting.instructions(messages);
    if (given.tools() != null && !fitting.takesTools()) {
      fitting.notes.add(NO_TOOLS);
    }
    return new ChatTemplate.Fitted(given.with(messages), List.copyOf(fitting.notes));
  }

  /** The text that the template makes of messages; null if it refuses them. */
  @Nullable String written(List<TemplateMessage> messages) {
    return written(given.with(messages));
  }

  private @Nullable String written(Input input) {
    try {
      return template.render(input).text();
    } catch (TemplateException _) {
      return null;
    }
  }

  // Contents

  private List<TemplateMessage> contents(List<TemplateMessage> messages) {
    boolean parts = messages.stream().anyMatch(m -> m.content() instanceof List);
    boolean texts = takesText();
    boolean lists = (parts || !texts) && takesParts();
    List<TemplateMessage> fitted = new ArrayList<>();
    for (TemplateMessage message : messages) {
      Object content = message.content();
      Map<String, @Nullable Object> more = new LinkedHashMap<>(message.more());
      if (!ToolCalls.in(message)) {
        more.remove(ToolCalls.CALLS); // null and an empty list are calls to some templates
        content = content == null ? "" : content;
      }
      if (content instanceof List<?> list && texts && !lists) {
        content = joined(list);
      } else if (content instanceof String text && lists && !texts) {
        content = List.of(part(text));
      }
      fitted.add(new TemplateMessage(message.role(), content, more));
    }
    return fitted;
  }

  private boolean takesText() {
    String written = written(List.of(TemplateMessage.user(NEEDLE)));
    return written != null && written.contains(NEEDLE);
  }

  /** Says whether the text of a part is written, and not the part as a Python value. */
  private boolean takesParts() {
    String written = written(List.of(new TemplateMessage("user", List.of(part(NEEDLE)), Map.of())));
    if (written == null) {
      return false;
    }
    int at = written.indexOf(NEEDLE);
    return at >= 0 && (at == 0 || "'\"".indexOf(written.charAt(at - 1)) < 0);
  }

  /** Says whether anything changes with the tools; true where that cannot be found out. */
  private boolean takesTools() {
    List<TemplateMessage> messages = List.of(TemplateMessage.user(NEEDLE));
    String with = written(messages);
    return with == null || !with.equals(written(given.with(messages).withoutTools()));
  }

  static Map<String, Object> part(String text) {
    Map<String, Object> part = new LinkedHashMap<>();
    part.put("type", "text");
    part.put("text", text);
    return part;
  }

  /** The texts of parts on lines of their own, as other engines write them. */
  private static String joined(List<?> parts) {
    List<String> texts = new ArrayList<>();
    for (Object part : parts) {
      if (part instanceof Map<?, ?> map && map.get("text") instanceof String text) {
        texts.add(text);
      } else if (part instanceof String text) {
        texts.add(text);
      } else {
        Object kind = part instanceof Map<?, ?> map ? map.get("type") : part;
        throw new IllegalArgumentException(
            "A message has a part of type '%s'; the model's chat template takes text alone"
                .formatted(kind));
      }
    }
    return String.join("\n", texts);
  }

  // Instructions

  private static boolean instructs(TemplateMessage message) {
    return message.role().equals("system") || message.role().equals("developer");
  }

  /** Puts instructions that the template refuses or leaves out before the user's next message. */
  private List<TemplateMessage> instructions(List<TemplateMessage> messages) {
    if (messages.stream().noneMatch(Fitting::instructs) || keeps(messages, m -> m)) {
      return messages;
    }
    if (keeps(messages, Fitting::renamed)) {
      return renamed(messages);
    }
    for (boolean first : new boolean[] {false, true}) {
      if (keeps(messages, m -> folded(m, first))) {
        notes.add(first ? NONE_TAKEN : FIRST_TAKEN);
        return folded(messages, first);
      }
    }
    return messages;
  }

  /** Says whether all instructions are written once the messages are changed so. */
  private boolean keeps(
      List<TemplateMessage> messages, UnaryOperator<List<TemplateMessage>> change) {
    List<TemplateMessage> marked = new ArrayList<>();
    List<String> needles = new ArrayList<>();
    for (TemplateMessage message : messages) {
      if (instructs(message)) {
        String needle = NEEDLE + needles.size() + ".";
        needles.add(needle);
        Object content = message.content() instanceof List ? List.of(part(needle)) : needle;
        marked.add(new TemplateMessage(message.role(), content, message.more()));
      } else {
        marked.add(message);
      }
    }
    String written = written(change.apply(marked));
    return written != null && needles.stream().allMatch(written::contains);
  }

  private static List<TemplateMessage> renamed(List<TemplateMessage> messages) {
    return messages.stream()
        .map(m -> instructs(m) ? new TemplateMessage("system", m.content(), m.more()) : m)
        .toList();
  }

  /**
   * Messages without instructions of their own.
   *
   * @param first the message at the beginning too
   */
  private static List<TemplateMessage> folded(List<TemplateMessage> messages, boolean first) {
    List<TemplateMessage> folded = new ArrayList<>();
    List<Object> waiting = new ArrayList<>();
    for (TemplateMessage message : messages) {
      if (instructs(message) && (first || !folded.isEmpty() || !waiting.isEmpty())) {
        if (message.content() != null && !message.content().equals("")) {
          waiting.add(message.content());
        }
      } else if (message.role().equals("user") && !waiting.isEmpty()) {
        waiting.add(message.content() == null ? "" : message.content());
        folded.add(new TemplateMessage("user", together(waiting), message.more()));
        waiting.clear();
      } else {
        folded.add(message);
      }
    }
    if (!waiting.isEmpty()) {
      folded.add(new TemplateMessage("user", together(waiting), Map.of()));
    }
    return folded;
  }

  /** Contents as one: a text of paragraphs, or a list of parts where one is. */
  private static Object together(List<Object> contents) {
    if (contents.stream().noneMatch(List.class::isInstance)) {
      return String.join("\n\n", contents.stream().map(String::valueOf).toList());
    }
    List<Object> parts = new ArrayList<>();
    for (Object content : contents) {
      if (!parts.isEmpty()) {
        parts.add(part("\n\n"));
      }
      if (content instanceof List<?> list) {
        parts.addAll(list);
      } else {
        parts.add(part(String.valueOf(content)));
      }
    }
    return parts;
  }
}

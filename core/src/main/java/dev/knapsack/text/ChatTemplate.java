package dev.knapsack.text;

import dev.knapsack.error.TemplateException;
import dev.knapsack.file.TemplateSource;
import dev.knapsack.message.Conversation;
import dev.knapsack.text.template.Template;
import java.time.Clock;
import java.time.ZoneId;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Writes a conversation as the text that a model was trained to continue, by the Jinja template
 * that the model's file carries.
 *
 * <p>Templates see the variables {@code messages}, {@code tools}, {@code bos_token}, {@code
 * eos_token}, {@code add_generation_prompt} and whatever the conversation adds, and the functions
 * that the hub gives them ({@code raise_exception}, {@code strftime_now}). A template may be
 * hostile: it is bounded in size, steps and depth, and refused at the first bound it reaches.
 *
 * <p>Immutable; safe for use by many threads.
 */
public final class ChatTemplate {
  private static final String CHAT_ML =
      """
      {%- for message in messages %}
      {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
      {%- endfor %}
      {%- if add_generation_prompt %}
      {{- '<|im_start|>assistant\\n' }}
      {%- endif %}
      """;

  private final String source;
  private final Template template;
  private final Clock clock;

  /** The template's place, for messages; empty where there is no file. */
  private final String place;

  private ChatTemplate(String source, Clock clock, String place) {
    this.source = source;
    this.clock = clock;
    this.place = place;
    template = parse(source, place);
  }

  private static Template parse(String source, String place) {
    try {
      return Template.parse(source);
    } catch (TemplateException e) {
      throw place.isEmpty() ? e : e.of(place);
    }
  }

  /**
   * A template that tells the time of this machine when it asks.
   *
   * @throws TemplateException if the source is no template, or beyond a limit
   */
  public static ChatTemplate of(String source) {
    return of(source, Clock.system(ZoneId.systemDefault()));
  }

  /** A template that tells this clock's time when it asks. */
  public static ChatTemplate of(String source, Clock clock) {
    return new ChatTemplate(source, clock, "");
  }

  /** A template of a model's files. */
  static ChatTemplate of(TemplateSource source) {
    if (source.text() == null) {
      throw new TemplateException(source.problem()).of(source.place());
    }
    return new ChatTemplate(source.text(), Clock.system(ZoneId.systemDefault()), source.place());
  }

  /**
   * The template for a model whose file has none: ChatML, where every message stands between {@code
   * <|im_start|>role} and {@code <|im_end|>}. It is the most common format, and models that were
   * not trained on it still read it as plain text.
   */
  public static ChatTemplate chatMl() {
    return of(CHAT_ML);
  }

  /** The template's source. */
  public String source() {
    return source;
  }

  /**
   * The text of a conversation. What the template writes is control in it, with the texts of the
   * tokens that the conversation gives; what the conversation says is input: messages, tools, more
   * variables, and what the template makes of them. A role that is a word is control, for it says
   * whose turn it is.
   *
   * @throws TemplateException if the template refuses the conversation (then the message is the
   *     template's own), an expression fails, or a limit is reached
   */
  public MarkedText render(Input conversation) {
    Map<String, @Nullable Object> variables = new LinkedHashMap<>();
    variables.put(
        "messages", conversation.messages().stream().map(TemplateMessage::fields).toList());
    variables.put("tools", conversation.tools());
    variables.put("documents", null);
    variables.put("bos_token", MarkedText.control(conversation.bosToken()));
    variables.put("eos_token", MarkedText.control(conversation.eosToken()));
    variables.put("add_generation_prompt", conversation.addGenerationPrompt());
    variables.putAll(conversation.variables());
    try {
      return template.render(variables, clock);
    } catch (TemplateException e) {
      throw place.isEmpty() ? e : e.of(place);
    }
  }

  /**
   * A conversation in the form that this template writes as it is meant: null contents, lists of
   * parts, arguments of calls, identifiers and system messages as it expects them. What it takes as
   * it is stays so.
   *
   * @throws IllegalArgumentException if a message has a part that is no text, and the template
   *     takes text alone
   */
  public Fitted fit(Input conversation) {
    return Fitting.of(this, conversation);
  }

  /**
   * A conversation as a template takes it.
   *
   * @param notes what the user should know of the changes, in sentences
   */
  public record Fitted(Input conversation, List<String> notes) {}

  /**
   * The variables that a template is given.
   *
   * @param tools descriptions of the tools that the model may call, as the OpenAI API has them;
   *     null when there are none
   * @param bosToken the text of the beginning-of-sequence token, empty if the model has none
   * @param eosToken the text of the end-of-sequence token, empty if the model has none
   * @param addGenerationPrompt end with the opening of the assistant's answer
   * @param variables more variables, such as {@code enable_thinking}
   */
  public record Input(
      List<TemplateMessage> messages,
      @Nullable List<Map<String, Object>> tools,
      String bosToken,
      String eosToken,
      boolean addGenerationPrompt,
      Map<String, ? extends @Nullable Object> variables) {
    public Input {
      messages = List.copyOf(messages);
    }

    Input with(List<TemplateMessage> messages) {
      return new Input(messages, tools, bosToken, eosToken, addGenerationPrompt, variables);
    }

    Input withoutTools() {
      return new Input(messages, null, bosToken, eosToken, addGenerationPrompt, variables);
    }

    /** A conversation that the assistant is to continue. */
    public static Input of(Conversation conversation, String bosToken, String eosToken) {
      return new Input(
          conversation.messages().stream().flatMap(m -> Given.messages(m).stream()).toList(),
          conversation.tools().isEmpty()
              ? null
              : conversation.tools().stream().map(Given::tool).toList(),
          bosToken,
          eosToken,
          true,
          conversation.variables());
    }
  }
}

package dev.knapsack.text;

import dev.knapsack.error.TemplateException;
import dev.knapsack.file.TemplateSource;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The chat templates of a model by their names. One that cannot be used is an error for who asks
 * for it, and for nobody else.
 *
 * <p>Source: {@code get_chat_template} of transformers: where tools are given, {@code tool_use} is
 * taken if there is one, otherwise {@code default}.
 *
 * <p>Immutable; safe for use by many threads.
 */
public final class ChatTemplates {
  private static final String TOOL_USE = "tool_use";

  /** A template, or what is wrong with it. */
  private record Named(
      String name, @Nullable ChatTemplate template, @Nullable TemplateException problem) {
    static Named of(TemplateSource source) {
      try {
        return new Named(source.name(), ChatTemplate.of(source), null);
      } catch (TemplateException e) {
        return new Named(source.name(), null, e);
      }
    }

    ChatTemplate get() {
      if (problem != null) {
        throw problem.of("");
      }
      return Objects.requireNonNull(template);
    }
  }

  private final List<Named> all;

  private ChatTemplates(List<Named> all) {
    this.all = all;
  }

  /** The templates of a model, as its file has them; an empty text is none. */
  public static ChatTemplates of(List<TemplateSource> sources) {
    return new ChatTemplates(
        sources.stream().filter(s -> !"".equals(s.text())).map(Named::of).toList());
  }

  /** Says whether the model has none. */
  public boolean isEmpty() {
    return all.isEmpty();
  }

  /** The names of all, in the order of the file. */
  public List<String> names() {
    return all.stream().map(Named::name).toList();
  }

  /**
   * A template by its name.
   *
   * @throws TemplateException if it is no template: says where it stands, and what is wrong
   */
  public Optional<ChatTemplate> named(String name) {
    return find(name).map(Named::get);
  }

  /**
   * The template for a conversation: the default, or the one for tools if there are any; the first
   * where none is the default, and ChatML where there is none at all.
   *
   * @throws TemplateException if it is no template: says where it stands, and what is wrong
   */
  public ChatTemplate usual(boolean tools) {
    return (tools ? find(TOOL_USE) : Optional.<Named>empty())
        .or(() -> find(TemplateSource.DEFAULT))
        .or(() -> all.stream().findFirst())
        .map(Named::get)
        .orElseGet(ChatTemplate::chatMl);
  }

  private Optional<Named> find(String name) {
    return all.stream().filter(one -> one.name.equals(name)).findFirst();
  }
}

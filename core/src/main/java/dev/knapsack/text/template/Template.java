package dev.knapsack.text.template;

import dev.knapsack.error.TemplateException;
import dev.knapsack.text.MarkedText;
import java.time.Clock;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A parsed template in the part of Jinja that chat templates use, with the semantics of the
 * reference implementation under {@code trim_blocks} and {@code lstrip_blocks}.
 *
 * <p>Statements: if, for (with filter, else, recursive, break, continue), set (with a body), macro,
 * call, filter, with, raw, generation. There is no include, import or inheritance: a chat template
 * is one file. Values are never changed in place (as in the reference's immutable sandbox), except
 * the attributes of a namespace; so no value can contain itself.
 *
 * <p>A template may come from anyone: its source and its rendering are bounded in size, steps and
 * depth, and it can reach nothing but the variables given. Immutable; safe for use by many threads.
 */
public final class Template {
  private final String source;
  private final List<Statement> statements;
  private final Limits limits;

  private Template(String source, List<Statement> statements, Limits limits) {
    this.source = source;
    this.statements = statements;
    this.limits = limits;
  }

  /**
   * Parses a template.
   *
   * @throws TemplateException if the source is no template, or beyond a limit
   */
  public static Template parse(String source) {
    return parse(source, Limits.DEFAULT);
  }

  static Template parse(String source, Limits limits) {
    try {
      return new Template(source, Parser.statements(source, limits), limits);
    } catch (TemplateException e) {
      throw e.in(Lexer.plainLines(source), -1);
    }
  }

  /**
   * The text of the template with these variables. Characters are control where the template has
   * written them, and input where they came from a variable, or may depend on one: so are all
   * digits.
   *
   * @param variables strings, numbers, booleans, null, and lists and maps of these; strings that
   *     are {@link MarkedText} keep their marks, all others are input
   * @param clock what {@code strftime_now} reads
   * @throws TemplateException if the template refuses, an expression fails, or a limit is reached
   */
  public MarkedText render(Map<String, ? extends @Nullable Object> variables, Clock clock) {
    Scope scope = Globals.scope(clock);
    Input input = new Input();
    variables.forEach((name, value) -> scope.set(name, input.value(value)));
    Renderer renderer = new Renderer(new Meter(limits, input.size()));
    try {
      return renderer.capture(statements, new Scope(scope));
    } catch (TemplateException e) {
      throw e.in(Lexer.plainLines(source), renderer.at());
    }
  }
}

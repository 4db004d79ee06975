package dev.knapsack.text.template;

import dev.knapsack.text.MarkedText;
import dev.knapsack.text.template.Expression.Call;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A statement of a template, and the offset in the source at which it starts. */
sealed interface Statement {
  int at();

  /** Text between the tags. */
  record Text(MarkedText text, int at) implements Statement {}

  /** {@code {{ value }}}. */
  record Output(Expression value, int at) implements Statement {}

  record If(List<Branch> branches, List<Statement> otherwise, int at) implements Statement {}

  record Branch(Expression condition, List<Statement> body) {}

  record For(
      Target target,
      Expression iterable,
      @Nullable Expression filter,
      List<Statement> body,
      List<Statement> otherwise,
      boolean recursive,
      int at)
      implements Statement {}

  record Break(int at) implements Statement {}

  record Continue(int at) implements Statement {}

  record Assign(Target target, Expression value, int at) implements Statement {}

  /**
   * {@code set x | filter} with a body, {@code filter} with a body (no target): the body's text,
   * under the name {@link #BODY}, goes through the filters.
   */
  record Capture(@Nullable Target target, Expression filtered, List<Statement> body, int at)
      implements Statement {
    /** The name of captured text: one that no template can write. */
    static final String BODY = "captured body";
  }

  record MacroDefinition(String name, List<Parameter> parameters, List<Statement> body, int at)
      implements Statement {}

  record Parameter(String name, @Nullable Expression defaultValue) {}

  /** {@code call(parameters) macro(...)} with a body, which the macro calls as {@code caller}. */
  record CallBlock(Call call, List<Parameter> parameters, List<Statement> body, int at)
      implements Statement {}

  /** {@code with a = 1}: names for the body alone. */
  record With(List<Assign> assignments, List<Statement> body, int at) implements Statement {}

  /** The target of an assignment. */
  sealed interface Target {}

  record NameTarget(String name) implements Target {}

  /** {@code namespace.attribute}. */
  record AttributeTarget(String namespace, String attribute) implements Target {}

  record TupleTarget(List<Target> targets) implements Target {}
}

package dev.knapsack.text.template;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** An expression of a template. */
sealed interface Expression {
  /** A constant: string, number, true, false, none. */
  record Literal(Object value) implements Expression {}

  record Name(String name) implements Expression {}

  record ListLiteral(List<Expression> elements) implements Expression {}

  record TupleLiteral(List<Expression> elements) implements Expression {}

  record DictLiteral(List<Entry> entries) implements Expression {}

  record Entry(Expression key, Expression value) {}

  /** {@code target.name}: an attribute or method, else the item of that name. */
  record Attribute(Expression target, String name) implements Expression {}

  /** {@code target[index]}: the item, else the attribute of that name. */
  record Item(Expression target, Expression index) implements Expression {}

  /** {@code target[start:stop:step]}, each part optional. */
  record Slice(
      Expression target,
      @Nullable Expression start,
      @Nullable Expression stop,
      @Nullable Expression step)
      implements Expression {}

  record Call(Expression callee, ArgumentList arguments) implements Expression {}

  /** {@code target | name(arguments)}. */
  record Filter(Expression target, String name, ArgumentList arguments) implements Expression {}

  /** {@code target is name(arguments)}. */
  record Test(Expression target, String name, ArgumentList arguments) implements Expression {}

  record Not(Expression operand) implements Expression {}

  record Negative(Expression operand) implements Expression {}

  record Positive(Expression operand) implements Expression {}

  record And(Expression left, Expression right) implements Expression {}

  record Or(Expression left, Expression right) implements Expression {}

  /** Arithmetic: {@code + - * / // % **}. */
  record Binary(String operator, Expression left, Expression right) implements Expression {}

  /** {@code a ~ b ~ c}: the parts as strings, joined. */
  record Concat(List<Expression> parts) implements Expression {}

  /** {@code a < b <= c}: each operand is evaluated at most once. */
  record Compare(Expression first, List<Comparison> rest) implements Expression {}

  record Comparison(String operator, Expression operand) {}

  /** {@code then if condition else otherwise}. */
  record Conditional(Expression then, Expression condition, @Nullable Expression otherwise)
      implements Expression {}

  /** The arguments between the parentheses of a call. */
  record ArgumentList(
      List<Expression> positional,
      List<Keyword> named,
      @Nullable Expression morePositional,
      @Nullable Expression moreNamed) {
    static final ArgumentList NONE = new ArgumentList(List.of(), List.of(), null, null);

    boolean isEmpty() {
      return positional.isEmpty() && named.isEmpty() && morePositional == null && moreNamed == null;
    }
  }

  record Keyword(String name, Expression value) {}
}

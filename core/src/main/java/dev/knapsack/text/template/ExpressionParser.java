package dev.knapsack.text.template;

import dev.knapsack.error.TemplateException;
import dev.knapsack.text.MarkedText;
import dev.knapsack.text.template.Expression.ArgumentList;
import dev.knapsack.text.template.Expression.Attribute;
import dev.knapsack.text.template.Expression.Call;
import dev.knapsack.text.template.Expression.Comparison;
import dev.knapsack.text.template.Expression.Concat;
import dev.knapsack.text.template.Expression.Entry;
import dev.knapsack.text.template.Expression.Filter;
import dev.knapsack.text.template.Expression.Item;
import dev.knapsack.text.template.Expression.Keyword;
import dev.knapsack.text.template.Expression.Literal;
import dev.knapsack.text.template.Expression.Name;
import dev.knapsack.text.template.Expression.Slice;
import dev.knapsack.text.template.Expression.Test;
import dev.knapsack.text.template.Token.Kind;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Reads expressions by recursive descent; what binds loosest comes first. */
final class ExpressionParser {
  private static final Set<String> COMPARISONS = Set.of("==", "!=", "<", "<=", ">", ">=");

  /** Names that end a test without an argument: {@code x is string and ...}. */
  private static final Set<String> AFTER_TEST = Set.of("else", "or", "and", "if", "in", "not");

  private final List<Token> tokens;
  private final Limits limits;
  private int position;
  private int nesting;

  ExpressionParser(List<Token> tokens, Limits limits) {
    this.tokens = tokens;
    this.limits = limits;
  }

  Token peek() {
    return tokens.get(position);
  }

  Token next() {
    Token token = tokens.get(position);
    if (position < tokens.size() - 1) {
      position++;
    }
    return token;
  }

  boolean skip(String operator) {
    return advanceIf(peek().is(operator));
  }

  boolean skipName(String name) {
    return advanceIf(peek().isName(name));
  }

  private boolean advanceIf(boolean condition) {
    if (condition) {
      next();
    }
    return condition;
  }

  void expect(String operator) {
    if (!skip(operator)) {
      throw expected("'" + operator + "'");
    }
  }

  String expectName() {
    if (peek().kind() != Kind.NAME) {
      throw expected("a name");
    }
    return next().text();
  }

  TemplateException expected(String what) {
    return new TemplateException("expected " + what + ", found " + peek(), peek().at());
  }

  /** Runs down one level of nesting of the source, whose number is limited. */
  void enter() {
    if (++nesting > limits.nesting()) {
      throw new TemplateException(
          "the template nests blocks and brackets deeper than the limit of " + limits.nesting(),
          peek().at());
    }
  }

  void leave() {
    nesting--;
  }

  /** An expression, or several with commas between: a tuple. */
  Expression tuple() {
    Expression first = expression();
    return peek().is(",") ? tupleFrom(first) : first;
  }

  private Expression tupleFrom(Expression first) {
    List<Expression> elements = new ArrayList<>(List.of(first));
    while (skip(",") && startsExpression()) {
      elements.add(expression());
    }
    return new Expression.TupleLiteral(elements);
  }

  private boolean startsExpression() {
    Token token = peek();
    return switch (token.kind()) {
      case STRING, INTEGER, FLOAT -> true;
      case NAME -> !token.text().equals("in") && !token.text().equals("recursive");
      case OPERATOR -> "([{-+".contains(token.text());
      default -> false;
    };
  }

  Expression expression() {
    enter();
    Expression result = or();
    while (skipName("if")) {
      Expression condition = or();
      Expression otherwise = skipName("else") ? expression() : null;
      result = new Expression.Conditional(result, condition, otherwise);
    }
    leave();
    return result;
  }

  /** An expression without {@code if}: what a {@code for} goes over, before its own {@code if}. */
  Expression withoutCondition() {
    Expression first = or();
    return peek().is(",") ? tupleFrom(first) : first;
  }

  private Expression or() {
    Expression left = and();
    while (skipName("or")) {
      left = new Expression.Or(left, and());
    }
    return left;
  }

  private Expression and() {
    Expression left = not();
    while (skipName("and")) {
      left = new Expression.And(left, not());
    }
    return left;
  }

  private Expression not() {
    int count = 0;
    while (skipName("not")) {
      count++;
    }
    Expression operand = comparison();
    return switch (count % 2) {
      case 1 -> new Expression.Not(operand);
      default -> count == 0 ? operand : new Expression.Not(new Expression.Not(operand));
    };
  }

  private Expression comparison() {
    Expression first = sum();
    List<Comparison> rest = new ArrayList<>();
    while (true) {
      Token token = peek();
      if (token.kind() == Kind.OPERATOR && COMPARISONS.contains(token.text())) {
        next();
        rest.add(new Comparison(token.text(), sum()));
      } else if (skipName("in")) {
        rest.add(new Comparison("in", sum()));
      } else if (token.isName("not") && tokens.get(position + 1).isName("in")) {
        next();
        next();
        rest.add(new Comparison("not in", sum()));
      } else {
        return rest.isEmpty() ? first : new Expression.Compare(first, rest);
      }
    }
  }

  private Expression sum() {
    Expression left = concat();
    while (peek().is("+") || peek().is("-")) {
      left = new Expression.Binary(next().text(), left, concat());
    }
    return left;
  }

  private Expression concat() {
    Expression first = product();
    if (!peek().is("~")) {
      return first;
    }
    List<Expression> parts = new ArrayList<>(List.of(first));
    while (skip("~")) {
      parts.add(product());
    }
    return new Concat(parts);
  }

  private Expression product() {
    Expression left = power();
    while (peek().is("*") || peek().is("/") || peek().is("//") || peek().is("%")) {
      left = new Expression.Binary(next().text(), left, power());
    }
    return left;
  }

  private Expression power() {
    Expression left = unary(true);
    while (skip("**")) {
      left = new Expression.Binary("**", left, unary(true));
    }
    return left;
  }

  private Expression unary(boolean withFilters) {
    Expression result;
    if (peek().is("-") || peek().is("+")) {
      boolean negative = next().text().equals("-");
      enter();
      Expression operand = unary(false);
      leave();
      result = negative ? new Expression.Negative(operand) : new Expression.Positive(operand);
    } else {
      result = primary();
    }
    result = postfix(result);
    return withFilters ? filters(result) : result;
  }

  private Expression primary() {
    Token token = next();
    return switch (token.kind()) {
      case NAME ->
          switch (token.text()) {
            case "true", "True" -> new Literal(true);
            case "false", "False" -> new Literal(false);
            case "none", "None" -> new Literal(None.NONE);
            default -> new Name(token.text());
          };
      case STRING -> {
        String text = token.text();
        if (peek().kind() == Kind.STRING) {
          StringBuilder joined = new StringBuilder(text);
          while (peek().kind() == Kind.STRING) {
            joined.append(next().text());
          }
          text = joined.toString();
        }
        yield new Literal(MarkedText.control(text));
      }
      case INTEGER -> new Literal(Long.parseLong(token.text()));
      case FLOAT -> new Literal(Double.parseDouble(token.text()));
      case OPERATOR ->
          switch (token.text()) {
            case "(" -> parenthesised();
            case "[" -> new Expression.ListLiteral(elements("]"));
            case "{" -> dict();
            default -> throw unexpected(token);
          };
      default -> throw unexpected(token);
    };
  }

  private static TemplateException unexpected(Token token) {
    return new TemplateException("expected an expression, found " + token, token.at());
  }

  private Expression parenthesised() {
    if (skip(")")) {
      return new Expression.TupleLiteral(List.of());
    }
    Expression result = tuple();
    expect(")");
    return result;
  }

  private List<Expression> elements(String end) {
    List<Expression> elements = new ArrayList<>();
    while (!skip(end)) {
      if (!elements.isEmpty()) {
        expect(",");
        if (skip(end)) {
          break;
        }
      }
      elements.add(expression());
    }
    return elements;
  }

  private Expression dict() {
    List<Entry> entries = new ArrayList<>();
    while (!skip("}")) {
      if (!entries.isEmpty()) {
        expect(",");
        if (skip("}")) {
          break;
        }
      }
      Expression key = expression();
      expect(":");
      entries.add(new Entry(key, expression()));
    }
    return new Expression.DictLiteral(entries);
  }

  private Expression postfix(Expression target) {
    Expression result = target;
    while (true) {
      if (skip(".")) {
        Token token = next();
        result =
            switch (token.kind()) {
              case NAME -> new Attribute(result, token.text());
              case INTEGER -> new Item(result, new Literal(Long.parseLong(token.text())));
              default ->
                  throw new TemplateException(
                      "expected a name or number after '.', found " + token, token.at());
            };
      } else if (skip("[")) {
        result = subscript(result);
      } else if (peek().is("(")) {
        result = new Call(result, arguments());
      } else {
        return result;
      }
    }
  }

  private Expression subscript(Expression target) {
    Expression start = peek().is(":") ? null : tuple();
    if (start != null && skip("]")) {
      return new Item(target, start);
    }
    expect(":");
    Expression stop = peek().is(":") || peek().is("]") ? null : expression();
    Expression step = skip(":") && !peek().is("]") ? expression() : null;
    expect("]");
    return new Slice(target, start, stop, step);
  }

  /** The filters, tests and calls that follow an expression. */
  private Expression filters(Expression target) {
    Expression result = target;
    while (true) {
      if (skip("|")) {
        result = filter(result);
      } else if (skipName("is")) {
        result = test(result);
      } else if (peek().is("(")) {
        result = new Call(result, arguments());
      } else {
        return result;
      }
    }
  }

  /** A filter whose {@code |} has been read. */
  Expression filter(Expression target) {
    String name = dottedName();
    return new Filter(target, name, peek().is("(") ? arguments() : ArgumentList.NONE);
  }

  private Expression test(Expression target) {
    boolean negated = skipName("not");
    String name = dottedName();
    ArgumentList arguments = ArgumentList.NONE;
    Token token = peek();
    if (token.is("(")) {
      arguments = arguments();
    } else if (startsTestArgument(token)) {
      if (token.isName("is")) {
        throw new TemplateException("tests cannot follow one another with 'is'", token.at());
      }
      arguments = new ArgumentList(List.of(postfix(primary())), List.of(), null, null);
    }
    Expression result = new Test(target, name, arguments);
    return negated ? new Expression.Not(result) : result;
  }

  private static boolean startsTestArgument(Token token) {
    return switch (token.kind()) {
      case NAME -> !AFTER_TEST.contains(token.text());
      case STRING, INTEGER, FLOAT -> true;
      case OPERATOR -> token.is("[") || token.is("{");
      default -> false;
    };
  }

  private String dottedName() {
    String name = expectName();
    if (!peek().is(".")) {
      return name;
    }
    StringBuilder dotted = new StringBuilder(name);
    while (skip(".")) {
      dotted.append('.').append(expectName());
    }
    return dotted.toString();
  }

  ArgumentList arguments() {
    expect("(");
    List<Expression> positional = new ArrayList<>();
    List<Keyword> named = new ArrayList<>();
    @Nullable Expression morePositional = null;
    @Nullable Expression moreNamed = null;
    boolean first = true;
    while (!skip(")")) {
      if (!first) {
        expect(",");
        if (skip(")")) {
          break;
        }
      }
      first = false;
      if (skip("**")) {
        moreNamed = expression();
      } else if (skip("*")) {
        morePositional = expression();
      } else if (peek().kind() == Kind.NAME && tokens.get(position + 1).is("=")) {
        String name = next().text();
        next();
        named.add(new Keyword(name, expression()));
      } else if (named.isEmpty()) {
        positional.add(expression());
      } else {
        throw new TemplateException(
            "an argument without a name cannot follow one with a name", peek().at());
      }
    }
    return new ArgumentList(positional, named, morePositional, moreNamed);
  }
}

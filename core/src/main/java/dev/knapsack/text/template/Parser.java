package dev.knapsack.text.template;

import dev.knapsack.error.TemplateException;
import dev.knapsack.text.MarkedText;
import dev.knapsack.text.template.Expression.Call;
import dev.knapsack.text.template.Expression.Name;
import dev.knapsack.text.template.Statement.Assign;
import dev.knapsack.text.template.Statement.AttributeTarget;
import dev.knapsack.text.template.Statement.Branch;
import dev.knapsack.text.template.Statement.Capture;
import dev.knapsack.text.template.Statement.NameTarget;
import dev.knapsack.text.template.Statement.Parameter;
import dev.knapsack.text.template.Statement.Target;
import dev.knapsack.text.template.Statement.TupleTarget;
import dev.knapsack.text.template.Token.Kind;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** Reads the statements of a template; {@link ExpressionParser} reads what stands in them. */
final class Parser {
  private static final Set<String> RESERVED =
      Set.of(
          "true", "false", "none", "True", "False", "None", "and", "or", "not", "in", "is", "if");

  private final ExpressionParser in;
  private int loops;

  private Parser(ExpressionParser in) {
    this.in = in;
  }

  static List<Statement> statements(String source, Limits limits) {
    Parser parser = new Parser(new ExpressionParser(Lexer.tokens(source, limits), limits));
    return parser.body("the template", Set.of());
  }

  /** The statements up to one of the tags named, which is left to be read, with its name next. */
  private List<Statement> body(String of, Set<String> endTags) {
    in.enter();
    List<Statement> body = new ArrayList<>();
    while (true) {
      Token token = in.next();
      switch (token.kind()) {
        case TEXT -> body.add(new Statement.Text(MarkedText.control(token.text()), token.at()));
        case VARIABLE_BEGIN -> {
          body.add(new Statement.Output(in.tuple(), token.at()));
          end(Kind.VARIABLE_END);
        }
        case BLOCK_BEGIN -> {
          if (in.peek().kind() == Kind.NAME && endTags.contains(in.peek().text())) {
            in.leave();
            return body;
          }
          statement(body, token.at());
        }
        case END -> {
          if (!endTags.isEmpty()) {
            throw new TemplateException(
                of + " has no end: expected one of " + endTags.stream().sorted().toList(),
                token.at());
          }
          in.leave();
          return body;
        }
        default -> throw new TemplateException("unexpected " + token, token.at());
      }
    }
  }

  private List<Statement> bodyUntil(String tag, String endTag) {
    end(Kind.BLOCK_END);
    List<Statement> body = body("'" + tag + "'", Set.of(endTag));
    in.next();
    if (in.peek().kind() == Kind.NAME) {
      in.next(); // endmacro and endblock may repeat the name
    }
    end(Kind.BLOCK_END);
    return body;
  }

  private void end(Kind kind) {
    if (in.peek().kind() != kind) {
      throw in.expected(kind.toString());
    }
    in.next();
  }

  private void statement(List<Statement> body, int at) {
    Token tag = in.next();
    if (tag.kind() != Kind.NAME) {
      throw new TemplateException("expected the name of a statement, found " + tag, tag.at());
    }
    switch (tag.text()) {
      case "if" -> body.add(ifStatement(at));
      case "for" -> body.add(forStatement(at));
      case "set" -> body.add(set(at));
      case "macro" -> {
        String name = in.expectName();
        List<Parameter> parameters = parameters();
        body.add(new Statement.MacroDefinition(name, parameters, outsideLoops("macro"), at));
      }
      case "call" -> {
        List<Parameter> parameters = in.peek().is("(") ? parameters() : List.of();
        if (!(in.expression() instanceof Call call)) {
          throw new TemplateException("'call' needs the call of a macro", at);
        }
        body.add(new Statement.CallBlock(call, parameters, outsideLoops("call"), at));
      }
      case "filter" -> {
        Expression filtered = in.filter(new Name(Capture.BODY));
        filtered = moreFilters(filtered);
        body.add(new Capture(null, filtered, bodyUntil("filter", "endfilter"), at));
      }
      case "with" -> body.add(with(at));
      case "break", "continue" -> {
        if (loops == 0) {
          throw new TemplateException("'" + tag.text() + "' outside a loop", at);
        }
        end(Kind.BLOCK_END);
        body.add(tag.text().equals("break") ? new Statement.Break(at) : new Statement.Continue(at));
      }
      // Marks what a model is trained on; it says nothing about the text.
      case "generation" -> body.addAll(bodyUntil("generation", "endgeneration"));
      default ->
          throw new TemplateException(
              "unknown statement '"
                  + tag.text()
                  + "'; supported are if, for, set, macro, call, filter, with, break, continue,"
                  + " generation, raw",
              tag.at());
    }
  }

  private List<Statement> outsideLoops(String tag) {
    int outer = loops;
    loops = 0;
    List<Statement> body = bodyUntil(tag, "end" + tag);
    loops = outer;
    return body;
  }

  private Statement ifStatement(int at) {
    List<Branch> branches = new ArrayList<>();
    List<Statement> otherwise = List.of();
    String tag = "elif";
    while (!tag.equals("endif")) {
      boolean last = tag.equals("else");
      Expression condition = last ? null : in.tuple();
      end(Kind.BLOCK_END);
      List<Statement> body = body("'if'", last ? Set.of("endif") : Set.of("elif", "else", "endif"));
      if (condition == null) {
        otherwise = body;
      } else {
        branches.add(new Branch(condition, body));
      }
      tag = in.next().text();
    }
    end(Kind.BLOCK_END);
    return new Statement.If(branches, otherwise, at);
  }

  private Statement forStatement(int at) {
    Target target = targets();
    if (!in.skipName("in")) {
      throw in.expected("'in'");
    }
    Expression iterable = in.withoutCondition();
    Expression filter = in.skipName("if") ? in.expression() : null;
    boolean recursive = in.skipName("recursive");
    end(Kind.BLOCK_END);
    loops++;
    List<Statement> body = body("'for'", Set.of("else", "endfor"));
    loops--;
    List<Statement> otherwise = List.of();
    if (in.next().text().equals("else")) {
      end(Kind.BLOCK_END);
      otherwise = body("'for'", Set.of("endfor"));
      in.next();
    }
    end(Kind.BLOCK_END);
    return new Statement.For(target, iterable, filter, body, otherwise, recursive, at);
  }

  private Statement set(int at) {
    Target target = targets();
    if (in.skip("=")) {
      Expression value = in.tuple();
      end(Kind.BLOCK_END);
      return new Assign(target, value, at);
    }
    Expression filtered = moreFilters(new Name(Capture.BODY));
    return new Capture(target, filtered, bodyUntil("set", "endset"), at);
  }

  private Expression moreFilters(Expression first) {
    Expression filtered = first;
    while (in.skip("|")) {
      filtered = in.filter(filtered);
    }
    return filtered;
  }

  private Statement with(int at) {
    List<Assign> assignments = new ArrayList<>();
    while (in.peek().kind() != Kind.BLOCK_END) {
      if (!assignments.isEmpty()) {
        in.expect(",");
      }
      Target target = target();
      in.expect("=");
      assignments.add(new Assign(target, in.expression(), at));
    }
    return new Statement.With(assignments, bodyUntil("with", "endwith"), at);
  }

  private List<Parameter> parameters() {
    List<Parameter> parameters = new ArrayList<>();
    in.expect("(");
    while (!in.skip(")")) {
      if (!parameters.isEmpty()) {
        in.expect(",");
        if (in.skip(")")) {
          break;
        }
      }
      String name = in.expectName();
      parameters.add(new Parameter(name, in.skip("=") ? in.expression() : null));
    }
    return parameters;
  }

  private Target targets() {
    Target first = target();
    if (!in.peek().is(",")) {
      return first;
    }
    List<Target> targets = new ArrayList<>(List.of(first));
    while (in.skip(",")) {
      boolean another = in.peek().kind() == Kind.NAME || in.peek().is("(");
      if (!another || in.peek().isName("in")) {
        break;
      }
      targets.add(target());
    }
    return new TupleTarget(targets);
  }

  private Target target() {
    if (in.skip("(")) {
      in.enter();
      Target inner = targets();
      in.leave();
      in.expect(")");
      return inner;
    }
    int at = in.peek().at();
    String name = in.expectName();
    if (RESERVED.contains(name)) {
      throw new TemplateException("cannot assign to '" + name + "'", at);
    }
    return in.skip(".") ? new AttributeTarget(name, in.expectName()) : new NameTarget(name);
  }
}

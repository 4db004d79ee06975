package dev.knapsack.text.template;

import dev.knapsack.error.TemplateException;
import dev.knapsack.text.MarkedText;
import dev.knapsack.text.template.Statement.Assign;
import dev.knapsack.text.template.Statement.AttributeTarget;
import dev.knapsack.text.template.Statement.Branch;
import dev.knapsack.text.template.Statement.Capture;
import dev.knapsack.text.template.Statement.NameTarget;
import dev.knapsack.text.template.Statement.Target;
import dev.knapsack.text.template.Statement.TupleTarget;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Carries out the statements of a template and collects the text that they write. */
final class Renderer {
  /** The way to go on after a statement. */
  private enum Flow {
    NEXT,
    BREAK,
    CONTINUE
  }

  private final Meter meter;
  private final Evaluator evaluator;
  private int at;

  Renderer(Meter meter) {
    this.meter = meter;
    evaluator = new Evaluator(meter);
  }

  Evaluator evaluator() {
    return evaluator;
  }

  /** The place in the source of the statement last begun. */
  int at() {
    return at;
  }

  /** The text that statements write. */
  MarkedText capture(List<Statement> body, Scope scope) {
    Meter.Text out = meter.text();
    run(body, scope, out);
    return out.build();
  }

  private Flow run(List<Statement> body, Scope scope, Meter.Text out) {
    meter.enter();
    Flow flow = Flow.NEXT;
    for (Statement statement : body) {
      flow = run(statement, scope, out);
      if (flow != Flow.NEXT) {
        break;
      }
    }
    meter.leave();
    return flow;
  }

  private Flow run(Statement statement, Scope scope, Meter.Text out) {
    meter.step(1);
    at = statement.at();
    switch (statement) {
      case Statement.Text text -> out.add(text.text());
      case Statement.Output output ->
          out.add(Representation.of(evaluator.evaluate(output.value(), scope), meter));
      case Statement.If branching -> {
        return run(chosen(branching, scope), scope, out);
      }
      case Statement.For loop -> loop(loop, iterable(loop, scope), scope, out, 0);
      case Statement.Break _ -> {
        return Flow.BREAK;
      }
      case Statement.Continue _ -> {
        return Flow.CONTINUE;
      }
      case Assign assign ->
          assign(assign.target(), evaluator.evaluate(assign.value(), scope), scope);
      case Capture capture -> {
        Scope inner = new Scope(scope);
        inner.set(Capture.BODY, capture(capture.body(), new Scope(scope)));
        Object value = evaluator.evaluate(capture.filtered(), inner);
        if (capture.target() == null) {
          out.add(Representation.of(value, meter));
        } else {
          assign(capture.target(), value, scope);
        }
      }
      case Statement.MacroDefinition macro ->
          scope.set(
              macro.name(), new Macro(macro.name(), macro.parameters(), macro.body(), scope, this));
      case Statement.CallBlock block -> {
        Object callee = evaluator.evaluate(block.call().callee(), scope);
        Arguments arguments = evaluator.arguments(block.call().arguments(), scope);
        Map<String, Object> named = new LinkedHashMap<>(arguments.named());
        named.put("caller", new Macro("caller", block.parameters(), block.body(), scope, this));
        Object value = evaluator.call(callee, new Arguments(arguments.positional(), named));
        out.add(Representation.of(value, meter));
      }
      case Statement.With with -> {
        Scope inner = new Scope(scope);
        for (Assign assign : with.assignments()) {
          assign(assign.target(), evaluator.evaluate(assign.value(), scope), inner);
        }
        return run(with.body(), inner, out);
      }
    }
    return Flow.NEXT;
  }

  private List<Statement> chosen(Statement.If branching, Scope scope) {
    for (Branch branch : branching.branches()) {
      if (Values.isTrue(evaluator.evaluate(branch.condition(), scope))) {
        return branch.body();
      }
    }
    return branching.otherwise();
  }

  private Object iterable(Statement.For loop, Scope scope) {
    return evaluator.evaluate(loop.iterable(), scope);
  }

  private void loop(Statement.For loop, Object iterable, Scope scope, Meter.Text out, int depth) {
    List<Object> items = items(loop, iterable, scope);
    if (items.isEmpty()) {
      run(loop.otherwise(), new Scope(scope), out);
      return;
    }
    Callable recursion =
        loop.recursive()
            ? (arguments, _) -> {
              Meter.Text inner = meter.text();
              loop(loop, arguments.get(0, "iterable"), scope, inner, depth + 1);
              return inner.build();
            }
            : null;
    Loop state = new Loop(items, depth, recursion);
    for (int i = 0; i < items.size(); i++) {
      meter.step(1);
      state.advanceTo(i);
      Scope inner = new Scope(scope);
      inner.set("loop", state);
      assign(loop.target(), items.get(i), inner);
      if (run(loop.body(), inner, out) == Flow.BREAK) {
        break;
      }
    }
  }

  private List<Object> items(Statement.For loop, Object iterable, Scope scope) {
    List<Object> items = Values.elements(iterable, meter);
    if (loop.filter() == null) {
      return items;
    }
    List<Object> kept = meter.list(items.size());
    for (Object item : items) {
      Scope inner = new Scope(scope);
      assign(loop.target(), item, inner);
      if (Values.isTrue(evaluator.evaluate(loop.filter(), inner))) {
        kept.add(item);
      }
    }
    return kept;
  }

  private void assign(Target target, Object value, Scope scope) {
    switch (target) {
      case NameTarget name -> scope.set(name.name(), value);
      case AttributeTarget attribute -> {
        if (!(scope.get(attribute.namespace()) instanceof Namespace namespace)) {
          throw new TemplateException("cannot assign attribute on non-namespace object");
        }
        meter.elements(4);
        namespace.attributes.put(attribute.attribute(), value);
      }
      case TupleTarget tuple -> {
        List<Object> parts = Values.elements(value, meter);
        int wanted = tuple.targets().size();
        if (parts.size() != wanted) {
          throw new TemplateException(
              parts.size() > wanted
                  ? "too many values to unpack (expected " + wanted + ")"
                  : "not enough values to unpack (expected "
                      + wanted
                      + ", got "
                      + parts.size()
                      + ")");
        }
        for (int i = 0; i < wanted; i++) {
          assign(tuple.targets().get(i), parts.get(i), scope);
        }
      }
    }
  }
}

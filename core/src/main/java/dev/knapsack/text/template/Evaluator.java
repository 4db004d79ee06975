package dev.knapsack.text.template;

import dev.knapsack.text.template.Expression.ArgumentList;
import dev.knapsack.text.template.Expression.Comparison;
import dev.knapsack.text.template.Expression.Entry;
import dev.knapsack.text.template.Expression.Keyword;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Gives expressions their values. */
final class Evaluator {
  private final Meter meter;
  private final Filters filters;

  Evaluator(Meter meter) {
    this.meter = meter;
    filters = new Filters(meter);
  }

  Object evaluate(Expression expression, Scope scope) {
    meter.step(1);
    meter.enter();
    Object value =
        switch (expression) {
          case Expression.Literal literal -> literal.value();
          case Expression.Name name -> scope.get(name.name());
          case Expression.ListLiteral list -> all(list.elements(), scope);
          case Expression.TupleLiteral tuple -> new Tuple(all(tuple.elements(), scope));
          case Expression.DictLiteral dict -> dict(dict, scope);
          case Expression.Attribute attribute ->
              Attributes.attribute(evaluate(attribute.target(), scope), attribute.name(), meter);
          case Expression.Item item ->
              Attributes.item(evaluate(item.target(), scope), evaluate(item.index(), scope), meter);
          case Expression.Slice slice ->
              Attributes.slice(
                  evaluate(slice.target(), scope),
                  optional(slice.start(), scope),
                  optional(slice.stop(), scope),
                  optional(slice.step(), scope),
                  meter);
          case Expression.Call call -> call(call, scope);
          case Expression.Filter filter ->
              filters.apply(
                  filter.name(),
                  evaluate(filter.target(), scope),
                  arguments(filter.arguments(), scope));
          case Expression.Test test ->
              Tests.holds(
                  test.name(),
                  evaluate(test.target(), scope),
                  arguments(test.arguments(), scope),
                  meter);
          case Expression.Not not -> !Values.isTrue(evaluate(not.operand(), scope));
          case Expression.Negative negative ->
              Arithmetic.negative(evaluate(negative.operand(), scope));
          case Expression.Positive positive ->
              Arithmetic.positive(evaluate(positive.operand(), scope));
          case Expression.And and -> {
            Object left = evaluate(and.left(), scope);
            yield Values.isTrue(left) ? evaluate(and.right(), scope) : left;
          }
          case Expression.Or or -> {
            Object left = evaluate(or.left(), scope);
            yield Values.isTrue(left) ? left : evaluate(or.right(), scope);
          }
          case Expression.Binary binary ->
              Arithmetic.apply(
                  binary.operator(),
                  evaluate(binary.left(), scope),
                  evaluate(binary.right(), scope),
                  meter);
          case Expression.Concat concat -> {
            Meter.Text text = meter.text();
            for (Expression part : concat.parts()) {
              text.add(Representation.of(evaluate(part, scope), meter));
            }
            yield text.build();
          }
          case Expression.Compare compare -> compare(compare, scope);
          case Expression.Conditional conditional ->
              Values.isTrue(evaluate(conditional.condition(), scope))
                  ? evaluate(conditional.then(), scope)
                  : conditional.otherwise() != null
                      ? evaluate(conditional.otherwise(), scope)
                      : new Undefined(
                          "the inline if-expression evaluated to false and no else section was"
                              + " defined.");
        };
    meter.leave();
    return value;
  }

  private Object optional(@Nullable Expression expression, Scope scope) {
    return expression == null ? None.NONE : evaluate(expression, scope);
  }

  private List<Object> all(List<Expression> expressions, Scope scope) {
    List<Object> values = meter.list(expressions.size());
    for (Expression expression : expressions) {
      values.add(evaluate(expression, scope));
    }
    return values;
  }

  private Map<Object, Object> dict(Expression.DictLiteral dict, Scope scope) {
    meter.elements(1 + 4L * dict.entries().size());
    Map<Object, Object> values = new LinkedHashMap<>();
    for (Entry entry : dict.entries()) {
      values.put(Values.key(evaluate(entry.key(), scope), meter), evaluate(entry.value(), scope));
    }
    return values;
  }

  private boolean compare(Expression.Compare compare, Scope scope) {
    Object left = evaluate(compare.first(), scope);
    for (Comparison comparison : compare.rest()) {
      Object right = evaluate(comparison.operand(), scope);
      if (!holds(comparison.operator(), left, right)) {
        return false;
      }
      left = right;
    }
    return true;
  }

  private boolean holds(String operator, Object left, Object right) {
    return switch (operator) {
      case "==" -> Values.equal(left, right, meter);
      case "!=" -> !Values.equal(left, right, meter);
      case "in" -> Values.contains(right, left, meter);
      case "not in" -> !Values.contains(right, left, meter);
      case "<" -> Values.compare(left, right, operator, meter) < 0;
      case "<=" -> Values.compare(left, right, operator, meter) <= 0;
      case ">" -> Values.compare(left, right, operator, meter) > 0;
      default -> Values.compare(left, right, operator, meter) >= 0;
    };
  }

  Object call(Expression.Call call, Scope scope) {
    Object callee = evaluate(call.callee(), scope);
    return call(callee, arguments(call.arguments(), scope));
  }

  Object call(Object callee, Arguments arguments) {
    if (!(callee instanceof Callable callable)) {
      throw Values.refused(callee, "'" + Values.typeName(callee) + "' object is not callable");
    }
    return callable.call(arguments, meter);
  }

  Arguments arguments(ArgumentList list, Scope scope) {
    if (list.isEmpty()) {
      return Arguments.NONE;
    }
    List<Object> positional = new ArrayList<>(list.positional().size());
    for (Expression argument : list.positional()) {
      positional.add(evaluate(argument, scope));
    }
    Map<String, Object> named = LinkedHashMap.newLinkedHashMap(list.named().size());
    for (Keyword keyword : list.named()) {
      named.put(keyword.name(), evaluate(keyword.value(), scope));
    }
    if (list.morePositional() != null) {
      List<Object> more = Values.elements(evaluate(list.morePositional(), scope), meter);
      meter.elements(more.size());
      positional.addAll(more);
    }
    if (list.moreNamed() != null) {
      Map<Object, Object> more = Values.requireMap(evaluate(list.moreNamed(), scope));
      meter.elements(4L * more.size());
      more.forEach((name, value) -> named.put(Values.requireString(name), value));
    }
    return new Arguments(positional, named);
  }
}

package dev.knapsack.text.template;

import dev.knapsack.text.MarkedText;
import dev.knapsack.text.template.Statement.Parameter;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A macro and the scope it was defined in; a call gives the text that its body writes.
 *
 * <p>Arguments beyond the parameters are in {@code varargs} and {@code kwargs}; a macro that names
 * neither ignores them, where the reference refuses.
 */
record Macro(
    String name, List<Parameter> parameters, List<Statement> body, Scope scope, Renderer renderer)
    implements Callable {

  @Override
  public Object call(Arguments arguments, Meter meter) {
    Scope inner = new Scope(scope);
    Map<String, Object> named = new LinkedHashMap<>(arguments.named());
    List<Object> positional = arguments.positional();
    inner.set("caller", new Undefined("No caller defined"));
    Object caller = named.remove("caller");
    if (caller != null) {
      inner.set("caller", caller);
    }
    for (int i = 0; i < parameters.size(); i++) {
      Parameter parameter = parameters.get(i);
      Object value = i < positional.size() ? positional.get(i) : named.remove(parameter.name());
      if (value == null) {
        value =
            parameter.defaultValue() == null
                ? new Undefined("parameter '" + parameter.name() + "' was not provided")
                : renderer.evaluator().evaluate(parameter.defaultValue(), inner);
      }
      inner.set(parameter.name(), value);
    }
    int extra = Math.max(0, positional.size() - parameters.size());
    inner.set(
        "varargs",
        new Tuple(List.copyOf(positional.subList(positional.size() - extra, positional.size()))));
    Map<Object, Object> more = new LinkedHashMap<>();
    named.forEach((name, value) -> more.put(MarkedText.control(name), value));
    inner.set("kwargs", more);
    return renderer.capture(body, inner);
  }
}

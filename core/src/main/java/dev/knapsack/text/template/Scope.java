package dev.knapsack.text.template;

import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Names and their values; a name that is not here is looked for in the enclosing scope. */
final class Scope {
  private final @Nullable Scope enclosing;
  private final Map<String, Object> values = new HashMap<>();

  Scope(@Nullable Scope enclosing) {
    this.enclosing = enclosing;
  }

  void set(String name, Object value) {
    values.put(name, value);
  }

  Object get(String name) {
    for (Scope scope = this; scope != null; scope = scope.enclosing) {
      Object value = scope.values.get(name);
      if (value != null) {
        return value;
      }
    }
    return Undefined.name(name);
  }
}

package dev.knapsack.text.template;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** The value of {@code cycler(...)}: gives its items one after the other, again and again. */
final class Cycler {
  private final List<Object> items;
  private int position;

  Cycler(List<Object> items) {
    this.items = items;
  }

  @Nullable Object attribute(String name) {
    return switch (name) {
      case "current" -> items.get(position);
      case "next" ->
          (Callable)
              (arguments, _) -> {
                arguments.only(name);
                Object next = items.get(position);
                position = (position + 1) % items.size();
                return next;
              };
      case "reset" ->
          (Callable)
              (arguments, _) -> {
                arguments.only(name);
                position = 0;
                return None.NONE;
              };
      default -> null;
    };
  }
}

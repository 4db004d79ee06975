package dev.knapsack.text.template;

import dev.knapsack.error.TemplateException;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The variable {@code loop} within a {@code for}; calling it runs a recursive loop on its items.
 */
final class Loop implements Callable {
  private final List<Object> items;
  private final int depth;
  private final @Nullable Callable recursion;
  private @Nullable Object changed;
  private int index;

  Loop(List<Object> items, int depth, @Nullable Callable recursion) {
    this.items = items;
    this.depth = depth;
    this.recursion = recursion;
  }

  void advanceTo(int index) {
    this.index = index;
  }

  int length() {
    return items.size();
  }

  Object attribute(String name) {
    return switch (name) {
      case "index" -> index + 1L;
      case "index0" -> (long) index;
      case "revindex" -> (long) (items.size() - index);
      case "revindex0" -> items.size() - index - 1L;
      case "first" -> index == 0;
      case "last" -> index == items.size() - 1;
      case "length" -> (long) items.size();
      case "depth" -> depth + 1L;
      case "depth0" -> (long) depth;
      case "previtem" ->
          index > 0 ? items.get(index - 1) : new Undefined("there is no previous item");
      case "nextitem" ->
          index + 1 < items.size() ? items.get(index + 1) : new Undefined("there is no next item");
      case "cycle" -> (Callable) this::cycle;
      case "changed" -> (Callable) this::changed;
      default -> Undefined.attribute(this, name);
    };
  }

  @Override
  public String toString() {
    return "<LoopContext " + (index + 1) + "/" + items.size() + ">";
  }

  private Object cycle(Arguments arguments, Meter meter) {
    List<Object> values = arguments.positional();
    if (values.isEmpty()) {
      throw new TemplateException("no items for cycling given");
    }
    return values.get(index % values.size());
  }

  private Object changed(Arguments arguments, Meter meter) {
    Object now = arguments.positional();
    boolean same = changed != null && Values.equal(changed, now, meter);
    changed = now;
    return !same;
  }

  @Override
  public Object call(Arguments arguments, Meter meter) {
    if (recursion == null) {
      throw new TemplateException("The loop must have the 'recursive' marker to be called");
    }
    return recursion.call(arguments, meter);
  }
}

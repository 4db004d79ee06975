package dev.knapsack.text.template;

import java.util.AbstractList;
import java.util.List;
import java.util.RandomAccess;

/** A list that was written with parentheses or made by {@code items}: it prints so. */
final class Tuple extends AbstractList<Object> implements RandomAccess {
  private final List<Object> elements;
  private final List<String> names;

  Tuple(List<Object> elements) {
    this(elements, List.of());
  }

  private Tuple(List<Object> elements, List<String> names) {
    this.elements = elements;
    this.names = names;
  }

  static Tuple of(Object first, Object second) {
    return new Tuple(List.of(first, second));
  }

  /** The tuple that {@code groupby} makes of elements with equal keys. */
  static Tuple group(Object key, List<Object> members) {
    return new Tuple(List.of(key, members), List.of("grouper", "list"));
  }

  /** The names of the elements, if they have any. */
  List<String> names() {
    return names;
  }

  @Override
  public Object get(int index) {
    return elements.get(index);
  }

  @Override
  public int size() {
    return elements.size();
  }
}

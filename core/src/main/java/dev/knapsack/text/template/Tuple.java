package dev.knapsack.text.template;

import java.util.AbstractList;
import java.util.List;
import java.util.RandomAccess;

/** A list that was written with parentheses or made by {@code items}: it prints so. */
final class Tuple extends AbstractList<Object> implements RandomAccess {
  private final List<Object> elements;

  Tuple(List<Object> elements) {
    this.elements = elements;
  }

  static Tuple of(Object first, Object second) {
    return new Tuple(List.of(first, second));
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

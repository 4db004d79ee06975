package dev.knapsack.text.template;

import java.util.Iterator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A sequence that is made while it is taken, and can be taken once: what {@code map}, {@code
 * select} and their like return.
 */
final class Generator {
  /** Makes one element after the other. */
  interface Source {
    /** The next element, or null at the end. */
    @Nullable Object next();
  }

  private final String type;
  private final Source source;

  private Generator(String type, Source source) {
    this.type = type;
    this.source = source;
  }

  static Generator of(Source source) {
    return new Generator("generator", source);
  }

  /** The elements of a list from its end. */
  static Generator reversed(String type, List<Object> elements) {
    Iterator<Object> from = elements.reversed().iterator();
    return new Generator(type, () -> from.hasNext() ? from.next() : null);
  }

  String type() {
    return type;
  }

  @Nullable Object next(Meter meter) {
    meter.step(1);
    meter.enter(); // one generator may take from another, and that from a third
    Object next = source.next();
    meter.leave();
    return next;
  }

  List<Object> rest(Meter meter) {
    List<Object> rest = meter.list(0);
    for (Object next = next(meter); next != null; next = next(meter)) {
      meter.elements(1);
      rest.add(next);
    }
    return rest;
  }
}

package dev.knapsack.text.template;

import java.util.AbstractList;
import java.util.Objects;
import java.util.RandomAccess;

/** The value of {@code range}: whole numbers at equal distances, which are not kept. */
final class Range extends AbstractList<Object> implements RandomAccess {
  private final long start;
  private final long stop;
  private final long step;
  private final int size;

  Range(long start, long stop, long step, int size) {
    this.start = start;
    this.stop = stop;
    this.step = step;
    this.size = size;
  }

  Range slice(long from, long to, long by) {
    long count = by > 0 ? Math.ceilDiv(to - from, by) : Math.ceilDiv(from - to, -by);
    return new Range(start + from * step, start + to * step, step * by, (int) Math.max(0, count));
  }

  @Override
  public Object get(int index) {
    return start + Objects.checkIndex(index, size) * step;
  }

  @Override
  public int size() {
    return size;
  }

  @Override
  public String toString() {
    return step == 1
        ? "range(%d, %d)".formatted(start, stop)
        : "range(%d, %d, %d)".formatted(start, stop, step);
  }
}

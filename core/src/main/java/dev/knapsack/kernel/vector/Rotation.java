package dev.knapsack.kernel.vector;

import dev.knapsack.kernel.Rope;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/**
 * Rotates the heads of one row by its position: each number is {@code x · cos + partner · ±sin},
 * and the factors are the same for all heads.
 */
final class Rotation {
  private final boolean adjacent;
  private final int dimensions;

  /** The factors of a number, and of its partner. */
  private final float[] own;

  private final float[] partners;

  Rotation(Rope rope, int position) {
    this.adjacent = rope.pairs() == Rope.Pairs.ADJACENT;
    this.dimensions = rope.dimensions();
    this.own = new float[dimensions];
    this.partners = new float[dimensions];
    int half = dimensions / 2;
    for (int i = 0; i < half; i++) {
      double angle = position * rope.frequencies()[i];
      float cos = (float) (Math.cos(angle) * rope.magnitude());
      float sin = (float) (Math.sin(angle) * rope.magnitude());
      int first = adjacent ? 2 * i : i;
      int second = adjacent ? first + 1 : first + half;
      own[first] = cos;
      own[second] = cos;
      partners[first] = -sin;
      partners[second] = sin;
    }
  }

  /** Rotates the head that begins at {@code at}. */
  void apply(MemorySegment x, long at) {
    if (adjacent) {
      neighbours(x, at);
    } else {
      halves(x, at);
    }
  }

  private void neighbours(MemorySegment x, long at) {
    int whole = Lanes.whole(dimensions);
    for (int i = 0; i < whole; i += Lanes.LENGTH) {
      FloatVector v = Lanes.load(x, at + 4L * i);
      FloatVector rotated = v.mul(Lanes.load(own, i));
      Lanes.store(Lanes.swapped(v).fma(Lanes.load(partners, i), rotated), x, at + 4L * i);
    }
    for (int i = whole; i < dimensions; i += 2) {
      pair(x, at, i, i + 1);
    }
  }

  private void halves(MemorySegment x, long at) {
    int half = dimensions / 2;
    int whole = Lanes.whole(half);
    for (int i = 0; i < whole; i += Lanes.LENGTH) {
      int j = half + i;
      FloatVector a = Lanes.load(x, at + 4L * i);
      FloatVector b = Lanes.load(x, at + 4L * j);
      FloatVector first = b.fma(Lanes.load(partners, i), a.mul(Lanes.load(own, i)));
      FloatVector second = a.fma(Lanes.load(partners, j), b.mul(Lanes.load(own, j)));
      Lanes.store(first, x, at + 4L * i);
      Lanes.store(second, x, at + 4L * j);
    }
    for (int i = whole; i < half; i++) {
      pair(x, at, i, half + i);
    }
  }

  private void pair(MemorySegment x, long at, int i, int j) {
    float a = Lanes.get(x, at + 4L * i);
    float b = Lanes.get(x, at + 4L * j);
    Lanes.put(x, at + 4L * i, Math.fma(b, partners[i], a * own[i]));
    Lanes.put(x, at + 4L * j, Math.fma(a, partners[j], b * own[j]));
  }
}

package dev.knapsack.kernel.vector;

import static dev.knapsack.kernel.ChunkedAttention.DECAY;
import static dev.knapsack.kernel.ChunkedAttention.MAX;
import static dev.knapsack.kernel.ChunkedAttention.QUERIES;
import static dev.knapsack.kernel.ChunkedAttention.SUM;

import dev.knapsack.kernel.ChunkedAttention;
import dev.knapsack.kernel.Scratch;
import dev.knapsack.tensor.Format;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/** The inner loops of {@link ChunkedAttention}, a vector of numbers at a time. */
final class AttentionSteps implements ChunkedAttention.Steps {
  private final RowKernels rows;

  AttentionSteps(RowKernels rows) {
    this.rows = rows;
  }

  @Override
  public void decode(
      Format format, MemorySegment page, long offset, Scratch scratch, int at, int count) {
    float[] memory = scratch.floats();
    rows.of(format).unpack(page, offset, memory, at, count);
  }

  /** A key that is loaded serves four queries. */
  @Override
  public void scores(Scratch scratch, int queries, int live, int keys, int size, int count) {
    float[] memory = scratch.floats();
    for (int t = 0; t < count; t++) {
      int key = keys + t * size;
      int to = t * QUERIES;
      if (live == QUERIES) {
        four(memory, queries, key, size, to);
      } else {
        for (int i = 0; i < QUERIES; i++) {
          memory[to + i] = i < live ? one(memory, queries + i * size, key, size) : 0;
        }
      }
    }
  }

  private static void four(float[] memory, int query, int key, int size, int to) {
    FloatVector a = Lanes.zero();
    FloatVector b = Lanes.zero();
    FloatVector c = Lanes.zero();
    FloatVector d = Lanes.zero();
    for (int i = 0; i < Lanes.whole(size); i += Lanes.LENGTH) {
      FloatVector k = Lanes.load(memory, key + i);
      int q = query + i;
      a = Lanes.load(memory, q).fma(k, a);
      b = Lanes.load(memory, q + size).fma(k, b);
      c = Lanes.load(memory, q + 2 * size).fma(k, c);
      d = Lanes.load(memory, q + 3 * size).fma(k, d);
    }
    memory[to] = Lanes.sum(a);
    memory[to + 1] = Lanes.sum(b);
    memory[to + 2] = Lanes.sum(c);
    memory[to + 3] = Lanes.sum(d);
    for (int j = 0; j < QUERIES; j++) {
      memory[to + j] = rest(memory, query + j * size, key, size, memory[to + j]);
    }
  }

  /** One query, added up in the order of {@link #four}. */
  private static float one(float[] memory, int query, int key, int size) {
    FloatVector a = Lanes.zero();
    for (int i = 0; i < Lanes.whole(size); i += Lanes.LENGTH) {
      a = Lanes.load(memory, query + i).fma(Lanes.load(memory, key + i), a);
    }
    return rest(memory, query, key, size, Lanes.sum(a));
  }

  private static float rest(float[] memory, int query, int key, int size, float sum) {
    float total = sum;
    for (int i = Lanes.whole(size); i < size; i++) {
      total = Math.fma(memory[key + i], memory[query + i], total);
    }
    return total;
  }

  @Override
  public void softCap(Scratch scratch, float cap, int count) {
    float[] scores = scratch.floats();
    FloatVector c = Lanes.broadcast(cap);
    for (int i = 0; i < count * QUERIES; i += Lanes.LENGTH) {
      Lanes.store(Functions.tanh(Lanes.load(scores, i).div(c)).mul(c), scores, i);
    }
  }

  @Override
  public void softmax(Scratch scratch, int results, int count) {
    float[] memory = scratch.floats();
    FloatVector before = Lanes.fours(memory, results + MAX);
    // All scores may be −∞, which has no difference to itself.
    FloatVector max = before.max(-Float.MAX_VALUE);
    for (int i = 0; i < count * QUERIES; i += Lanes.LENGTH) {
      max = max.max(Lanes.load(memory, i));
    }
    max = Lanes.maxOfFours(max);
    FloatVector decay = Functions.exp(before.sub(max));
    FloatVector sum = Lanes.zero();
    for (int i = 0; i < count * QUERIES; i += Lanes.LENGTH) {
      FloatVector w = Functions.exp(Lanes.load(memory, i).sub(max));
      Lanes.store(w, memory, i);
      sum = sum.add(w);
    }
    sum = Lanes.fours(memory, results + SUM).fma(decay, Lanes.sumOfFours(sum));
    Lanes.storeFour(max, memory, results + MAX);
    Lanes.storeFour(sum, memory, results + SUM);
    Lanes.storeFour(decay, memory, results + DECAY);
  }

  @Override
  public void addValues(Scratch scratch, int results, int live, int values, int size, int count) {
    float[] memory = scratch.floats();
    for (int i = 0; i < live; i++) {
      addValues(memory, i, results + i * size, memory[results + DECAY + i], values, size, count);
    }
  }

  private static void addValues(
      float[] memory, int weights, int result, float decay, int values, int size, int count) {
    int c = 0;
    for (; c <= size - 4 * Lanes.LENGTH; c += 4 * Lanes.LENGTH) {
      four(memory, weights, result + c, decay, values + c, size, count);
    }
    for (; c <= size - Lanes.LENGTH; c += Lanes.LENGTH) {
      FloatVector a = Lanes.load(memory, result + c).mul(decay);
      int v = values + c;
      for (int t = 0; t < count; t++) {
        a = Lanes.broadcast(memory[t * QUERIES + weights]).fma(Lanes.load(memory, v), a);
        v += size;
      }
      Lanes.store(a, memory, result + c);
    }
    for (; c < size; c++) {
      float a = memory[result + c] * decay;
      for (int t = 0; t < count; t++) {
        a = Math.fma(memory[t * QUERIES + weights], memory[values + t * size + c], a);
      }
      memory[result + c] = a;
    }
  }

  private static void four(
      float[] memory, int weights, int result, float decay, int values, int size, int count) {
    FloatVector a = Lanes.load(memory, result).mul(decay);
    FloatVector b = Lanes.load(memory, result + Lanes.LENGTH).mul(decay);
    FloatVector c = Lanes.load(memory, result + 2 * Lanes.LENGTH).mul(decay);
    FloatVector d = Lanes.load(memory, result + 3 * Lanes.LENGTH).mul(decay);
    int v = values;
    for (int t = 0; t < count; t++) {
      FloatVector weight = Lanes.broadcast(memory[t * QUERIES + weights]);
      a = weight.fma(Lanes.load(memory, v), a);
      b = weight.fma(Lanes.load(memory, v + Lanes.LENGTH), b);
      c = weight.fma(Lanes.load(memory, v + 2 * Lanes.LENGTH), c);
      d = weight.fma(Lanes.load(memory, v + 3 * Lanes.LENGTH), d);
      v += size;
    }
    Lanes.store(a, memory, result);
    Lanes.store(b, memory, result + Lanes.LENGTH);
    Lanes.store(c, memory, result + 2 * Lanes.LENGTH);
    Lanes.store(d, memory, result + 3 * Lanes.LENGTH);
  }
}

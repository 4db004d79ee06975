package dev.knapsack.kernel.vector;

import dev.knapsack.kernel.Attention;
import dev.knapsack.tensor.Format;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;

/** The inner loops of {@link Attention}. */
final class AttentionLoops implements Attention.Steps {
  private final RowKernels rows;

  AttentionLoops(RowKernels rows) {
    this.rows = rows;
  }

  @Override
  public void decode(
      Format format, MemorySegment page, long offset, float[] memory, int at, int count) {
    rows.of(format).unpack(page, offset, memory, at, count);
  }

  /** Four keys at a time share the query. */
  @Override
  public void scores(float[] memory, int query, int keys, int size, int count) {
    int i = 0;
    for (; i <= count - 4; i += 4) {
      four(memory, query, keys + i * size, size, i);
    }
    for (; i < count; i++) {
      memory[i] = one(memory, query, keys + i * size, size);
    }
  }

  private static void four(float[] memory, int query, int key, int size, int to) {
    FloatVector a = Lanes.zero();
    FloatVector b = Lanes.zero();
    FloatVector c = Lanes.zero();
    FloatVector d = Lanes.zero();
    for (int i = 0; i < Lanes.whole(size); i += Lanes.LENGTH) {
      FloatVector q = Lanes.load(memory, query + i);
      int k = key + i;
      a = Lanes.load(memory, k).fma(q, a);
      b = Lanes.load(memory, k + size).fma(q, b);
      c = Lanes.load(memory, k + 2 * size).fma(q, c);
      d = Lanes.load(memory, k + 3 * size).fma(q, d);
    }
    memory[to] = Lanes.sum(a);
    memory[to + 1] = Lanes.sum(b);
    memory[to + 2] = Lanes.sum(c);
    memory[to + 3] = Lanes.sum(d);
    for (int j = 0; j < 4; j++) {
      memory[to + j] = rest(memory, query, key + j * size, size, memory[to + j]);
    }
  }

  /** One key, added up in the order of {@link #four}. */
  private static float one(float[] memory, int query, int key, int size) {
    FloatVector a = Lanes.zero();
    for (int i = 0; i < Lanes.whole(size); i += Lanes.LENGTH) {
      a = Lanes.load(memory, key + i).fma(Lanes.load(memory, query + i), a);
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
  public void softCap(float[] scores, float cap) {
    FloatVector c = Lanes.broadcast(cap);
    for (int i = 0; i < Attention.CHUNK; i += Lanes.LENGTH) {
      Lanes.store(Functions.tanh(Lanes.load(scores, i).div(c)).mul(c), scores, i);
    }
  }

  @Override
  public void softmax(float[] memory, int state) {
    float before = memory[state];
    float max = before;
    for (int i = 0; i < Attention.CHUNK; i++) {
      max = Math.max(max, memory[i]);
    }
    if (max == Float.NEGATIVE_INFINITY) {
      Arrays.fill(memory, 0, Attention.CHUNK, 0);
      memory[state + 2] = 1;
      return;
    }
    float sum = weights(memory, max);
    float decay = before == max ? 1 : (float) Math.exp(before - max);
    memory[state] = max;
    memory[state + 1] = memory[state + 1] * decay + sum;
    memory[state + 2] = decay;
  }

  /** Turns scores into {@code e^(score − max)} and returns their sum. */
  private static float weights(float[] scores, float max) {
    FloatVector sum = Lanes.zero();
    for (int i = 0; i < Attention.CHUNK; i += Lanes.LENGTH) {
      FloatVector w = Functions.exp(Lanes.load(scores, i).sub(max));
      Lanes.store(w, scores, i);
      sum = sum.add(w);
    }
    return Lanes.sum(sum);
  }

  @Override
  public void addValues(float[] memory, int result, float decay, int values, int size, int count) {
    int c = 0;
    for (; c <= size - 4 * Lanes.LENGTH; c += 4 * Lanes.LENGTH) {
      four(memory, result + c, decay, values + c, size, count);
    }
    for (; c <= size - Lanes.LENGTH; c += Lanes.LENGTH) {
      FloatVector a = Lanes.load(memory, result + c).mul(decay);
      int v = values + c;
      for (int i = 0; i < count; i++) {
        a = Lanes.broadcast(memory[i]).fma(Lanes.load(memory, v), a);
        v += size;
      }
      Lanes.store(a, memory, result + c);
    }
    for (; c < size; c++) {
      float a = memory[result + c] * decay;
      for (int i = 0; i < count; i++) {
        a = Math.fma(memory[i], memory[values + i * size + c], a);
      }
      memory[result + c] = a;
    }
  }

  private static void four(
      float[] memory, int result, float decay, int values, int size, int count) {
    FloatVector a = Lanes.load(memory, result).mul(decay);
    FloatVector b = Lanes.load(memory, result + Lanes.LENGTH).mul(decay);
    FloatVector c = Lanes.load(memory, result + 2 * Lanes.LENGTH).mul(decay);
    FloatVector d = Lanes.load(memory, result + 3 * Lanes.LENGTH).mul(decay);
    int v = values;
    for (int i = 0; i < count; i++) {
      FloatVector weight = Lanes.broadcast(memory[i]);
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

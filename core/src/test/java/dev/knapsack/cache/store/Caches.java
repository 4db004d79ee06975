package dev.knapsack.cache.store;

import dev.knapsack.cache.Fingerprint;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPart;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.cache.SequenceState;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/** Caches of random numbers, for stores. */
final class Caches {
  static final int VOCABULARY = 1000;

  private Caches() {}

  static Fingerprint fingerprint(KvLayout layout) {
    return new Fingerprint(
        "1f2e", "some-model", "5a5a", Fingerprint.formats(layout), layout.policy().name(), "1");
  }

  /** Appends tokens whose numbers are told by the seed. */
  static void grow(SequenceState cache, int tokens, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    cache.reserve(tokens);
    List<LayerLayout.Heads> layers = cache.layout().heads();
    for (int l = 0; l < layers.size(); l++) {
      LayerLayout.Heads layer = layers.get(l);
      cache
          .kv()
          .append(
              l,
              0,
              rows(tokens, layer.kvHeads() * layer.keySize(), random),
              rows(tokens, layer.kvHeads() * layer.valueSize(), random),
              0,
              tokens);
    }
    for (int l = 0; l < layers.size(); l++) {
      long bytes = cache.layout().layers().get(l).stateBytes();
      if (bytes > 0) {
        cache.next(l).copyFrom(rows(1, (int) bytes / Float.BYTES, random).data());
      }
    }
    cache.commit(tokens);
    cache.settle();
  }

  private static Matrix rows(int rows, int columns, SplittableRandom random) {
    float[] numbers = new float[rows * columns];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = (float) random.nextGaussian();
    }
    return new Matrix(Formats.F32, rows, columns, MemorySegment.ofArray(numbers));
  }

  static int[] tokens(int count, long seed) {
    return new SplittableRandom(seed).ints(count, 0, VOCABULARY).toArray();
  }

  /** A token as a cache holds it, or a state as the key of one at the end. */
  record Held(int layer, int head, int position, List<Float> key, List<Float> value) {}

  /** All tokens of all heads, decoded. */
  static List<Held> held(SequenceState cache) {
    List<Held> held = new ArrayList<>();
    List<LayerLayout.Heads> layers = cache.layout().heads();
    for (int l = 0; l < layers.size(); l++) {
      if (cache.layout().layers().get(l).stateBytes() > 0) {
        float[] state = cache.state(l).toArray(ValueLayout.JAVA_FLOAT);
        held.add(new Held(l, 0, cache.length(), list(state), list(state)));
      }
      for (int h = 0; h < layers.get(l).kvHeads(); h++) {
        for (KvPart part : cache.kv().parts(l, h)) {
          int[] positions = part.positions();
          MemorySegment bytes = MemorySegment.ofArray(new byte[(int) part.form().tokenBytes()]);
          for (int i = 0; i < part.count(); i++) {
            part.read(i, 1, bytes, 0);
            float[] key = new float[part.form().keySize()];
            float[] value = new float[part.form().valueSize()];
            long values = part.form().keyFormat().bytes(key.length);
            part.form().keyFormat().decode(bytes, 0, MemorySegment.ofArray(key), 0, key.length);
            part.form()
                .valueFormat()
                .decode(bytes, values, MemorySegment.ofArray(value), 0, value.length);
            int position = positions == null ? part.start() + i : positions[i];
            held.add(new Held(l, h, position, list(key), list(value)));
          }
        }
      }
    }
    return held;
  }

  private static List<Float> list(float[] numbers) {
    List<Float> list = new ArrayList<>();
    for (float number : numbers) {
      list.add(number);
    }
    return list;
  }
}

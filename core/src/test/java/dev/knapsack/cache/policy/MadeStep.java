package dev.knapsack.cache.policy;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.cache.SeenStep;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;

/**
 * What steps show a recipe of a sequence that was made up, so that one can say beforehand what it
 * keeps. A token's value is its key.
 *
 * @param keys of each KV head
 * @param queries of each query head
 * @param attention of each query head
 * @param norms of projected values
 * @param looked is told of each row whose attention is asked for
 */
record MadeStep(
    Vectors keys,
    Vectors queries,
    Attention attention,
    SeenStep.Norms norms,
    AtomicInteger looked) {
  /** What a head has of a token. */
  interface Vectors {
    float at(int layer, int head, int token, int channel);
  }

  /** What a query row looks at. */
  interface Attention {
    float at(int layer, int query, int row, int token);
  }

  static final Vectors ZERO = (_, _, _, _) -> 0;
  static final Attention NONE = (_, _, _, _) -> 0;
  static final Attention EVEN = (_, _, row, _) -> 1f / (row + 1);

  /** Whose queries are the keys, and more the later the head stands in its group. */
  static MadeStep of(Vectors keys, Attention attention, AtomicInteger looked, int group) {
    return new MadeStep(
        keys,
        (layer, head, token, channel) ->
            keys.at(layer, head / group, token, channel) + head % group,
        attention,
        (position, kvHead) -> 1 + position % 3 + kvHead,
        looked);
  }

  /** With a token's position in all channels of its key. */
  static MadeStep of(Attention attention) {
    return of((_, _, token, _) -> token, attention, new AtomicInteger(), 1);
  }

  static int[] range(int from, int to) {
    return IntStream.range(from, to).toArray();
  }

  static int[] range(int from, int count, int by, int at) {
    return IntStream.range(from, count).map(i -> i * by + at).toArray();
  }

  static Vectors random(long seed) {
    return (layer, head, token, channel) ->
        new SplittableRandom(seed + channel + 100L * (head + 10L * (layer + 10L * token)))
            .split()
            .nextFloat(-1, 1);
  }

  static Attention randomAttention(long seed) {
    return (layer, query, row, token) ->
        new SplittableRandom(seed + query + 10L * (layer + 10L * (token + 1000L * row)))
            .split()
            .nextFloat();
  }

  /** Reads so many tokens, in steps. */
  void read(KvCache cache, int tokens, int step) {
    int end = cache.length() + tokens;
    while (cache.length() < end) {
      step(cache, Math.min(step, end - cache.length()));
    }
  }

  /** Reads so many tokens in one step. */
  void step(KvCache cache, int added) {
    int first = cache.length();
    int ahead = cache.view().lookahead(Integer.MAX_VALUE, added);
    int tokens = added + ahead;
    cache.reserve(tokens);
    cache.text().read(new int[added], 0, added);
    for (int l = 0; l < cache.layout().layers().size(); l++) {
      LayerLayout.Heads sizes = cache.layout().heads(l);
      int size = sizes.keySize();
      int columns = sizes.kvHeads() * size;
      float[] numbers = new float[tokens * columns];
      for (int i = 0; i < numbers.length; i++) {
        numbers[i] = keys.at(l, i / size % sizes.kvHeads(), first + i / columns, i % size);
      }
      Matrix rows = new Matrix(Formats.F32, tokens, columns, MemorySegment.ofArray(numbers));
      cache.append(l, 0, rows, rows, 0, tokens);
      cache.view().observe(l, seen(cache, l, tokens));
    }
    cache.commit(tokens - ahead);
    cache.encode();
    cache.compress();
  }

  private SeenStep seen(KvCache cache, int layer, int tokens) {
    int first = cache.length();
    LayerLayout.Heads sizes = cache.layout().heads(layer);
    return new SeenStep(
        first,
        tokens,
        (row, kvHead, _, out) -> {
          looked.incrementAndGet();
          assertThat(sizes.window()).as("nobody looks at what a window forgets").isZero();
          CachedHead head = cache.head(layer, kvHead);
          for (int i = 0; i < out.columns(); i++) {
            int token = i < head.count() ? head.position(i) : first + i - head.count();
            for (int g = 0; g < sizes.group(); g++) {
              int query = kvHead * sizes.group() + g;
              float weight =
                  token > first + row ? 0 : attention.at(layer, query, first + row, token);
              out.data().setAtIndex(ValueLayout.JAVA_FLOAT, (long) g * out.columns() + i, weight);
            }
          }
        },
        (position, kvHead, out) -> {
          int size = sizes.keySize();
          for (int i = 0; i < out.length; i++) {
            out[i] = queries.at(layer, kvHead * sizes.group() + i / size, position, i % size);
          }
        },
        null,
        norms);
  }

  /** Where the tokens stand that a head has. */
  static int[] positions(KvCache cache, int layer, int head) {
    CachedHead cached = cache.head(layer, head);
    return IntStream.range(0, cached.count()).map(cached::position).toArray();
  }
}

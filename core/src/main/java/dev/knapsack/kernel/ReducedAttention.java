package dev.knapsack.kernel;

import static dev.knapsack.kernel.ChunkedAttention.CHUNK;
import static dev.knapsack.kernel.ChunkedAttention.QUERIES;

import dev.knapsack.tensor.Matrix;
import java.util.Arrays;

/**
 * The work of {@link ChunkedAttention} around a span whose keys or values are reduced, so that its
 * inner loops meet fewer numbers and are what they were.
 */
final class ReducedAttention {
  private final ChunkedAttention.Steps steps;

  ReducedAttention(ChunkedAttention.Steps steps) {
    this.steps = steps;
  }

  /** Reduces queries so that they meet reduced keys as they meet whole ones. */
  void reduceQueries(QueryBlock block, KvSpan span) {
    switch (span.keys()) {
      case null -> {}
      case Reduction.Channels(int[] channels) -> gather(block, channels);
      case Reduction.Directions directions -> project(block, directions.out());
    }
  }

  private static void gather(QueryBlock block, int[] channels) {
    float[] memory = block.scratch().floats();
    int size = block.shape().keySize();
    for (int g = 0; g < ChunkedAttention.groups(block.queryCount()); g++) {
      for (int i = 0; i < QUERIES; i++) {
        int reduced = block.reducedQueries(g) + i * channels.length;
        for (int c = 0; c < channels.length; c++) {
          memory[reduced + c] = memory[block.queries(g) + i * size + channels[c]];
        }
      }
    }
  }

  /** Of a query that meets {@code outᵀ · x}, {@code out · q} meets {@code x}. */
  private void project(QueryBlock block, Matrix out) {
    Scratch scratch = block.scratch();
    float[] memory = scratch.floats();
    int size = out.columns();
    for (int from = 0; from < out.rows(); from += CHUNK) {
      int count = Math.min(CHUNK, out.rows() - from);
      long at = out.rowOffset(from);
      steps.decode(out.format(), out.data(), at, scratch, block.keys(), count * size);
      for (int g = 0; g < ChunkedAttention.groups(block.queryCount()); g++) {
        int live = block.live(g);
        steps.scores(scratch, block.queries(g), live, block.keys(), size, count);
        for (int i = 0; i < QUERIES; i++) {
          int reduced = block.reducedQueries(g) + i * out.rows() + from;
          for (int r = 0; r < count; r++) {
            memory[reduced + r] = i < live ? memory[r * QUERIES + i] : 0;
          }
        }
      }
    }
  }

  /** Results begin anew, for values of another size; the softmax goes on. */
  static void putAside(QueryBlock block) {
    float[] memory = block.scratch().floats();
    int numbers = QUERIES * block.shape().valueSize();
    for (int g = 0; g < ChunkedAttention.groups(block.queryCount()); g++) {
      int results = block.results(g);
      System.arraycopy(memory, results, memory, block.otherResults(g), numbers);
      System.arraycopy(memory, results + ChunkedAttention.MAX, memory, block.otherMax(g), QUERIES);
      Arrays.fill(memory, results, results + numbers, 0);
    }
  }

  /** Adds what values come to that are held in fewer numbers to what was put aside before. */
  void addRestored(QueryBlock block, Reduction values) {
    float[] memory = block.scratch().floats();
    int size = block.shape().valueSize();
    for (int g = 0; g < ChunkedAttention.groups(block.queryCount()); g++) {
      int results = block.results(g);
      int others = block.otherResults(g);
      for (int i = 0; i < QUERIES * size; i++) {
        float sum = memory[results + i];
        memory[results + i] = memory[others + i];
        memory[others + i] = sum;
      }
      for (int i = 0; i < QUERIES; i++) {
        float before = memory[block.otherMax(g) + i];
        float max = memory[results + ChunkedAttention.MAX + i];
        // Nothing seen yet is no difference of infinities.
        memory[results + ChunkedAttention.DECAY + i] =
            before == max ? 1 : (float) Math.exp((double) before - max);
      }
      switch (values) {
        case Reduction.Channels(int[] channels) -> spread(block, g, channels);
        case Reduction.Directions directions -> addDirections(block, g, directions.out());
      }
    }
  }

  private static void spread(QueryBlock block, int group, int[] channels) {
    float[] memory = block.scratch().floats();
    int size = block.shape().valueSize();
    for (int i = 0; i < QUERIES; i++) {
      int result = block.results(group) + i * size;
      float decay = memory[block.results(group) + ChunkedAttention.DECAY + i];
      for (int c = result; c < result + size; c++) {
        memory[c] *= decay;
      }
      int sums = block.otherResults(group) + i * channels.length;
      for (int c = 0; c < channels.length; c++) {
        memory[result + channels[c]] += memory[sums + c];
      }
    }
  }

  /** A sum of directions is added up as values are: what was held is how much of each. */
  private void addDirections(QueryBlock block, int group, Matrix out) {
    Scratch scratch = block.scratch();
    float[] memory = scratch.floats();
    int results = block.results(group);
    int size = out.columns();
    for (int from = 0; from < out.rows(); from += CHUNK) {
      int count = Math.min(CHUNK, out.rows() - from);
      for (int i = 0; i < QUERIES; i++) {
        int sums = block.otherResults(group) + i * out.rows() + from;
        for (int r = 0; r < count; r++) {
          memory[r * QUERIES + i] = memory[sums + r];
        }
      }
      long at = out.rowOffset(from);
      steps.decode(out.format(), out.data(), at, scratch, block.values(), count * size);
      steps.addValues(scratch, results, block.live(group), block.values(), size, count);
      Arrays.fill(
          memory, results + ChunkedAttention.DECAY, results + ChunkedAttention.DECAY + QUERIES, 1);
    }
  }
}

package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.LayerStep;
import dev.knapsack.cache.QueryFrame;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * Tokens that queries to come will look at matter: Expected Attention (Devoto et al., arXiv
 * 2510.00636). What comes is taken to be distributed as the prompt's queries were before RoPE, with
 * mean {@code μ} and covariance {@code Σ}, and to stand at the next {@value #FUTURE} positions,
 * whose mean rotation is {@code R}. A token's score is {@code softmax(kᵀRμ/√d + kᵀRΣRᵀk/2d)}, the
 * mean over the query heads that share the KV head, times {@code ‖v‖}. No attention is computed for
 * it.
 *
 * <p>Here {@code R} is done to keys, backwards, and in place of {@code √d} stands the scale that
 * the model's scores have. Queries of the first {@value #SINKS} tokens do not count, and these
 * tokens stay.
 */
record ExpectedAttention() implements Scorer {
  static final int SINKS = 4;
  static final int FUTURE = 512;

  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

  /** Rows that are looked at together: a few hundred KiB. */
  private static final int ROWS = 128;

  @Override
  public String name() {
    return "expected";
  }

  @Override
  public boolean looks(int layer) {
    return true;
  }

  /** How many queries there were, and of each query head their mean and their covariance. */
  @Override
  public int memory(KvLayout.Layer heads) {
    return 1 + heads.group() * headNumbers(heads.channels());
  }

  private static int headNumbers(int channels) {
    return channels + channels * (channels + 1) / 2;
  }

  @Override
  public void observe(CachedHead head, LayerStep step) {
    int from = 0;
    while (from < step.rows() && step.position(from) < SINKS) {
      from++;
    }
    for (; from < step.rows(); from += ROWS) {
      observe(head, step, from, Math.min(step.rows(), from + ROWS));
    }
  }

  private static void observe(CachedHead head, LayerStep step, int from, int to) {
    int channels = head.heads().channels();
    int group = head.heads().group();
    float[][] rows = new float[to - from][group * channels];
    for (int row = from; row < to; row++) {
      step.unrotatedQueries(row, head.kvHead(), rows[row - from]);
    }
    MemorySegment memory = head.memory();
    float before = memory.getAtIndex(FLOAT, 0);
    for (int g = 0; g < group; g++) {
      add(memory, 1 + g * headNumbers(channels), channels, before, rows, g * channels);
    }
    memory.setAtIndex(FLOAT, 0, before + rows.length);
  }

  /**
   * Adds rows to a mean and to the sums of products of differences from it (Chan, Golub and
   * LeVeque, 1979): sums of squares alone would lose what little queries differ from a large mean.
   *
   * @param at where the head's numbers begin
   * @param before rows that were added before
   * @param offset where the head's queries begin in each row, which are changed
   */
  private static void add(
      MemorySegment memory, int at, int channels, float before, float[][] rows, int offset) {
    float[] mean = new float[channels];
    for (float[] row : rows) {
      for (int c = 0; c < channels; c++) {
        mean[c] += row[offset + c] / rows.length;
      }
    }
    float all = before + rows.length;
    float weight = (float) Math.sqrt((double) before * rows.length / all);
    float[] shift = new float[channels];
    for (int c = 0; c < channels; c++) {
      for (float[] row : rows) {
        row[offset + c] -= mean[c];
      }
      float old = memory.getAtIndex(FLOAT, at + c);
      shift[c] = weight * (mean[c] - old);
      memory.setAtIndex(FLOAT, at + c, old + (mean[c] - old) * rows.length / all);
    }
    float[] sums = new float[channels];
    int products = at + channels;
    for (int c = 0; c < channels; c++) {
      int left = channels - c;
      MemorySegment.copy(memory, FLOAT, (long) products * Float.BYTES, sums, 0, left);
      for (float[] row : rows) {
        addScaled(row[offset + c], row, offset + c, sums, 0, left);
      }
      addScaled(shift[c], shift, c, sums, 0, left);
      MemorySegment.copy(sums, 0, memory, FLOAT, (long) products * Float.BYTES, left);
      products += left;
    }
  }

  /** {@code sums += factor · x}, which compilers do several numbers at a time. */
  private static void addScaled(
      float factor, float[] x, int from, float[] sums, int at, int count) {
    for (int i = 0; i < count; i++) {
      sums[at + i] += factor * x[from + i];
    }
  }

  @Override
  public void score(CachedHead head, float[] out) {
    int count = head.count();
    int channels = head.heads().channels();
    int group = head.heads().group();
    MemorySegment memory = head.memory();
    float queries = memory.getAtIndex(FLOAT, 0);
    float[][] expected = new float[group][count];
    if (queries > 0) {
      float[] numbers = memory.toArray(FLOAT);
      QueryFrame frame = head.frame();
      QueryFrame.Backwards future = frame.from(head.cache().length(), FUTURE);
      float[] cached = new float[head.keySize()];
      float[] key = new float[channels];
      float[] products = new float[channels];
      for (int i = 0; i < count; i++) {
        head.key(i, cached);
        future.turn(head.kvHead(), cached, key);
        for (int g = 0; g < group; g++) {
          int at = 1 + g * headNumbers(channels);
          expected[g][i] = exponent(key, numbers, at, queries, frame.scale(), products);
        }
      }
    }
    float[] value = new float[head.valueSize()];
    for (float[] exponents : expected) {
      softmax(head, exponents);
    }
    for (int i = 0; i < count; i++) {
      float sum = 0;
      for (float[] shares : expected) {
        sum += shares[i];
      }
      head.value(i, value);
      boolean sink = head.position(i) < SINKS;
      out[i] = sink ? Float.POSITIVE_INFINITY : sum / group * KeyNorm.norm(value);
    }
  }

  /** The logarithm of what {@code exp(q · k)} is on average, of normally distributed queries. */
  private static float exponent(
      float[] key, float[] numbers, int at, float queries, float scale, float[] products) {
    int channels = key.length;
    double linear = 0;
    Arrays.fill(products, 0);
    double diagonal = 0;
    int row = at + channels;
    for (int c = 0; c < channels; c++) {
      linear += (double) key[c] * numbers[at + c];
      diagonal += (double) key[c] * key[c] * numbers[row];
      addScaled(key[c], numbers, row, products, c, channels - c);
      row += channels - c;
    }
    double quadratic = 0;
    for (int c = 0; c < channels; c++) {
      quadratic += 2.0 * key[c] * products[c];
    }
    double variance = (quadratic - diagonal) / queries;
    return (float) (scale * linear + scale * scale * variance / 2);
  }

  /** Over all tokens but the first ones. */
  private static void softmax(CachedHead head, float[] numbers) {
    float most = Float.NEGATIVE_INFINITY;
    for (int i = 0; i < numbers.length; i++) {
      most = head.position(i) < SINKS ? most : Math.max(most, numbers[i]);
    }
    double sum = 0;
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = head.position(i) < SINKS ? 0 : (float) Math.exp(numbers[i] - most);
      sum += numbers[i];
    }
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] /= (float) Math.max(sum, Float.MIN_NORMAL);
    }
  }
}

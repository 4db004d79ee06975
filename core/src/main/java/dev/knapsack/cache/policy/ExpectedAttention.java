package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.LayerLayout;
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

  /** Keys that are scored together: 64 KiB of 64 channels. */
  private static final int TOKENS = Rows.TOGETHER;

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

  /**
   * The number of queries that there were, and of each query head their mean and their covariance.
   */
  @Override
  public int memory(LayerLayout.Heads heads) {
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
      float[][] theirs = new float[rows.length][];
      for (int row = 0; row < rows.length; row++) {
        theirs[row] = Arrays.copyOfRange(rows[row], g * channels, (g + 1) * channels);
      }
      add(memory, 1 + g * headNumbers(channels), before, theirs);
    }
    memory.setAtIndex(FLOAT, 0, before + rows.length);
  }

  /**
   * Adds rows to a mean and to the sums of products of differences from it (Chan, Golub and
   * LeVeque, 1979): sums of squares alone would lose what little queries differ from a large mean.
   *
   * @param at where the head's numbers begin
   * @param before rows that were added before
   * @param rows a query head's, which are changed
   */
  private static void add(MemorySegment memory, int at, float before, float[][] rows) {
    int channels = rows[0].length;
    float[] mean = new float[channels];
    for (float[] row : rows) {
      Rows.addScaled(1f / rows.length, row, mean);
    }
    for (float[] row : rows) {
      Rows.addScaled(-1, mean, row);
    }
    float all = before + rows.length;
    float weight = (float) Math.sqrt((double) before * rows.length / all);
    float[] shift = new float[channels];
    for (int c = 0; c < channels; c++) {
      float old = memory.getAtIndex(FLOAT, at + c);
      shift[c] = weight * (mean[c] - old);
      memory.setAtIndex(FLOAT, at + c, old + (mean[c] - old) * rows.length / all);
    }
    float[] sums = new float[channels];
    long products = (long) Float.BYTES * (at + channels);
    for (int c = 0; c < channels; c++) {
      // Products with the channels before are there already; here they are of no use.
      MemorySegment.copy(memory, FLOAT, products, sums, c, channels - c);
      for (float[] row : rows) {
        Rows.addScaled(row[c], row, sums);
      }
      Rows.addScaled(shift[c], shift, sums);
      MemorySegment.copy(sums, c, memory, FLOAT, products, channels - c);
      products += (long) Float.BYTES * (channels - c);
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
      for (int first = 0; first < count; first += TOKENS) {
        int end = Math.min(count, first + TOKENS);
        float[][] keys = turned(future, head, first, end);
        for (int g = 0; g < group; g++) {
          int at = 1 + g * headNumbers(channels);
          float[] exponents = exponents(keys, numbers, at, queries, frame.scale());
          System.arraycopy(exponents, 0, expected[g], first, end - first);
        }
      }
    }
    for (float[] exponents : expected) {
      softmax(head, exponents);
    }
    Rows.values(
        head,
        (i, value) -> {
          float sum = 0;
          for (float[] shares : expected) {
            sum += shares[i];
          }
          boolean sink = head.position(i) < SINKS;
          out[i] = sink ? Float.POSITIVE_INFINITY : sum / group * Rows.norm(value);
        });
  }

  /** The keys of some tokens by channel, turned back. */
  private static float[][] turned(QueryFrame.Backwards future, CachedHead head, int from, int to) {
    float[][] turned = new float[head.heads().channels()][to - from];
    float[] key = new float[turned.length];
    Rows.keys(
        head,
        from,
        to,
        (i, cached) -> {
          future.turn(head.kvHead(), cached, key);
          for (int c = 0; c < key.length; c++) {
            turned[c][i - from] = key[c];
          }
        });
    return turned;
  }

  /**
   * The logarithm of what {@code exp(q · k)} is on average, of normally distributed queries.
   *
   * @param keys by channel, several keys at a time
   * @param at where the query head's mean begins in {@code numbers}, and then its sums of products
   * @param queries how many there were
   */
  private static float[] exponents(
      float[][] keys, float[] numbers, int at, float queries, float scale) {
    int count = keys[0].length;
    float[] linear = new float[count];
    float[] quadratic = new float[count];
    float[] products = new float[count];
    int row = at + keys.length;
    for (int c = 0; c < keys.length; c++) {
      Rows.addScaled(numbers[at + c], keys[c], linear);
      Arrays.fill(products, 0);
      Rows.addScaled(numbers[row], keys[c], products);
      for (int d = c + 1; d < keys.length; d++) {
        // The sums of c with d stand for those of d with c, too.
        Rows.addScaled(2 * numbers[row + d - c], keys[d], products);
      }
      Rows.addProducts(keys[c], products, quadratic);
      row += keys.length - c;
    }
    float[] exponents = new float[count];
    Rows.addScaled(scale, linear, exponents);
    Rows.addScaled(scale * scale / 2 / queries, quadratic, exponents);
    return exponents;
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

package dev.knapsack.eval;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.cache.LayerStep;
import dev.knapsack.cache.StepObserver;
import dev.knapsack.cache.policy.Calibration;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Keeps everything, and adds up what attention looks at, and how heads lie ({@link HeadMoments}):
 * of one sequence at a time, each of which {@link #begin begins} as a prompt and {@link #end ends}
 * with its answer. Sums are kept in F64, in bytes a few times those of a layer's attention weights
 * of one token.
 */
final class AttentionFigures implements KvPolicy, StepObserver {
  /** The prompt's last rows by which it is decided what a layer keeps to measure its error. */
  private static final int WINDOW = 8;

  /** The part of the prompt that it keeps then, as a divisor. */
  private static final int KEPT = 8;

  /** Of one query head. */
  private static final class HeadSums {
    long rows;
    double near;
    double far;
    double entropy;
    long answers;
    double needle;

    /** Of the prompt at hand: attention to the needle, row by row of the answer. */
    final List<Double> needles = new ArrayList<>();
  }

  private final HeadSums[][] heads;
  private final HeadMoments moments;

  /** Of one KV head: squares of attention's results, and of what they lack where little is kept. */
  private static final class Errors {
    double whole;
    double lost;
  }

  private final Errors[][] errors;

  // The prompt at hand.
  private int prompt;
  private int needleFrom;
  private int needleTo;
  private boolean watching;

  private int prompts;
  private int right;

  /** Figures of a model whose cache has such layers. */
  AttentionFigures(KvLayout layout) {
    List<LayerLayout.Heads> layers = layout.heads();
    heads = new HeadSums[layers.size()][];
    errors = new Errors[heads.length][];
    for (int l = 0; l < heads.length; l++) {
      LayerLayout.Heads layer = layers.get(l);
      int kvHeads = layer.window() > 0 ? 0 : layer.kvHeads();
      heads[l] = new HeadSums[kvHeads * layer.group()];
      Arrays.setAll(heads[l], _ -> new HeadSums());
      errors[l] = new Errors[kvHeads];
      Arrays.setAll(errors[l], _ -> new Errors());
    }
    moments = new HeadMoments(layout);
  }

  /**
   * The next sequence is a prompt of so many tokens.
   *
   * @param needleFrom first token of what it asks for
   * @param needleTo the token after that; the same where the prompt does not say it
   */
  void begin(int tokens, int needleFrom, int needleTo) {
    this.prompt = tokens;
    this.needleFrom = needleFrom;
    this.needleTo = needleTo;
    watching = true;
    moments.begin();
  }

  /** The moments of queries, keys and values. */
  HeadMoments moments() {
    return moments;
  }

  /**
   * The sequence has been answered.
   *
   * @param tokens of the answer, without its end
   * @param isRight whether it was the right one
   */
  void end(int tokens, boolean isRight) {
    watching = false;
    prompts++;
    right += isRight ? 1 : 0;
    for (HeadSums[] layer : heads) {
      for (HeadSums head : layer) {
        int rows = Math.min(tokens, head.needles.size());
        if (isRight && needleTo > needleFrom && rows > 0) {
          head.answers += rows;
          head.needle += head.needles.subList(0, rows).stream().mapToDouble(d -> d).sum();
        }
        head.needles.clear();
      }
    }
  }

  /** The figures of the model of this {@linkplain dev.knapsack.model.ModelIdentity identity}. */
  Calibration calibration(String model) {
    List<Calibration.Layer> layers = new ArrayList<>();
    for (int l = 0; l < heads.length; l++) {
      List<Calibration.Head> figures = new ArrayList<>();
      double spread = 0;
      for (HeadSums head : heads[l]) {
        spread += head.entropy / Math.max(1, head.rows) / heads[l].length;
        figures.add(
            new Calibration.Head(
                share(head.near, head.rows),
                share(head.far, head.rows),
                share(head.needle, head.answers)));
      }
      double whole = Arrays.stream(errors[l]).mapToDouble(e -> e.whole).sum();
      double lost = Arrays.stream(errors[l]).mapToDouble(e -> e.lost).sum();
      double error = whole > 0 ? Math.sqrt(lost / whole) : 0;
      layers.add(new Calibration.Layer(Math.clamp(spread, 0, 1), error, figures));
    }
    return new Calibration(model, prompts, right, layers);
  }

  private static double share(double sum, long count) {
    return count == 0 ? 0 : Math.clamp(sum / count, 0, 1);
  }

  @Override
  public String name() {
    return "calibration";
  }

  @Override
  public StepObserver observer() {
    return this;
  }

  @Override
  public int weightRows(int layer) {
    return Integer.MAX_VALUE;
  }

  @Override
  public boolean wantsWeights(CachedHead head, int rows) {
    return watching;
  }

  /** One: the attention of a window. */
  @Override
  public int numbers(LayerLayout.Heads heads) {
    return 1;
  }

  /** True: the attention of a window is not kept by stores. */
  @Override
  public boolean remembers() {
    return true;
  }

  @Override
  public boolean looks(int layer) {
    return true;
  }

  @Override
  public void observe(CachedHead head, LayerStep step) {
    moments.observe(head, step);
  }

  /** Nothing goes; what a step has added is taken in. */
  @Override
  public void compress(KvCache cache) {
    moments.add(cache);
  }

  @Override
  public void observe(CachedHead head, int position, Matrix weights) {
    int tokens = position + 1;
    int group = weights.rows();
    float[] row = new float[weights.columns()];
    for (int g = 0; g < group; g++) {
      MemorySegment.copy(
          weights.data(), ValueLayout.JAVA_FLOAT, weights.rowOffset(g), row, 0, weights.columns());
      HeadSums sums = heads[head.layer()][head.kvHead() * group + g];
      add(sums, row, position);
      if (position >= prompt - 1) {
        sums.needles.add(sum(row, needleFrom, needleTo));
      }
      if (position >= prompt) {
        addError(head, row, tokens - 1);
      } else if (position >= prompt - WINDOW) {
        float[] looked = head.scores(0, tokens);
        for (int i = 0; i < tokens; i++) {
          looked[i] += row[i];
        }
      }
    }
  }

  private static double sum(float[] row, int from, int to) {
    double sum = 0;
    for (int i = from; i < to; i++) {
      sum += row[i];
    }
    return sum;
  }

  /** Adds a row that has tokens of every kind: the first, those near and others. */
  private void add(HeadSums sums, float[] row, int position) {
    int near = Math.max(1, prompt / Calibration.NEAR);
    int firstNear = position + 1 - near;
    if (firstNear <= Calibration.SINKS || position >= prompt) {
      return;
    }
    sums.rows++;
    sums.near += sum(row, firstNear, position + 1);
    sums.far += sum(row, Calibration.SINKS, firstNear);
    double entropy = 0;
    for (int i = 0; i <= position; i++) {
      entropy -= row[i] > 0 ? row[i] * Math.log(row[i]) : 0;
    }
    sums.entropy += entropy / Math.log(position + 1.0);
  }

  /**
   * Adds by how much attention's result over the tokens before a row's own differs, where the head
   * has only kept those of the prompt that its last rows looked at, and what came after it.
   */
  private void addError(CachedHead head, float[] row, int tokens) {
    boolean[] kept = kept(head, tokens);
    double all = sum(row, 0, tokens);
    double some = IntStream.range(0, tokens).filter(i -> kept[i]).mapToDouble(i -> row[i]).sum();
    float[] value = new float[head.valueSize()];
    double[] result = new double[value.length];
    double[] rest = new double[value.length];
    Errors sums = errors[head.layer()][head.kvHead()];
    for (int i = 0; i < tokens; i++) {
      head.value(i, value);
      for (int c = 0; c < value.length; c++) {
        result[c] += row[i] / all * value[c];
        rest[c] += kept[i] ? row[i] / some * value[c] : 0;
      }
    }
    for (int c = 0; c < value.length; c++) {
      sums.whole += result[c] * result[c];
      sums.lost += (result[c] - rest[c]) * (result[c] - rest[c]);
    }
  }

  private boolean[] kept(CachedHead head, int tokens) {
    float[] looked = Arrays.copyOf(head.scores(0, tokens), prompt);
    Arrays.fill(looked, 0, Math.min(prompt, Calibration.SINKS), Float.POSITIVE_INFINITY);
    Arrays.fill(looked, Math.max(0, prompt - WINDOW), prompt, Float.POSITIVE_INFINITY);
    float[] sorted = looked.clone();
    Arrays.sort(sorted);
    float least = sorted[prompt - Math.max(1, prompt / KEPT)];
    boolean[] kept = new boolean[tokens];
    for (int i = 0; i < tokens; i++) {
      kept[i] = i >= prompt || looked[i] >= least;
    }
    return kept;
  }
}

package dev.knapsack.model;

import dev.knapsack.kernel.Compute;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;

/**
 * Computes {@link EideticAttention}: a sequence's tokens one after the other, KV heads and
 * sequences by all workers.
 */
final class EideticAttentionBlock {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

  private final Blocks blocks;
  private final Compute compute;
  private final SelectiveScanBlock selectiveScan;

  EideticAttentionBlock(Blocks blocks, SelectiveScanBlock selectiveScan) {
    this.blocks = blocks;
    this.compute = blocks.compute;
    this.selectiveScan = selectiveScan;
  }

  /** A step's rows: queries, keys and values of tokens, those of the fading memory, and results. */
  private record Rows(
      Matrix query,
      Matrix key,
      Matrix value,
      Matrix fadingKey,
      Matrix fadingValue,
      Matrix innovation,
      Matrix attended) {}

  /**
   * Carries each run's state through its tokens.
   *
   * @param positions of the rows
   * @param x the normed residual stream, one row a token, run after run
   * @param delta receives what is to be added to the residual stream
   */
  void apply(
      EideticAttention.Weights weights, List<Run> runs, int[] positions, Matrix x, Matrix delta) {
    EideticAttention spec = weights.spec();
    Matrix fading = blocks.matrix(Slot.FADING, x.rows(), spec.width());
    selectiveScan.apply(weights.fading(), runs, x, fading);
    Rows rows = project(weights, positions, x, fading);
    List<Recurrence> all = Recurrence.of(runs, weights.state());
    if (weights.predictor() != null) {
      innovations(spec, weights.predictor(), all, fading, rows.innovation);
    }
    Recurrence.each(
        compute,
        all,
        spec.kvHeads(),
        (run, head, worker) -> new Head(spec, run, head, positions[run.first()], rows).attend());
    weights.output().apply(blocks, compute.input(rows.attended), delta);
  }

  private Rows project(EideticAttention.Weights weights, int[] positions, Matrix x, Matrix fading) {
    EideticAttention spec = weights.spec();
    int count = x.rows();
    Matrix query = blocks.matrix(Slot.QUERY, count, spec.columns());
    Matrix keys = blocks.matrix(Slot.KEY, 2 * count, spec.kvColumns());
    Matrix values = blocks.matrix(Slot.VALUE, 2 * count, spec.kvColumns());
    Rows rows =
        new Rows(
            query,
            keys.rows(0, count),
            values.rows(0, count),
            keys.rows(count, 2 * count),
            values.rows(count, 2 * count),
            blocks.matrix(Slot.INNOVATION, count, 1),
            blocks.matrix(Slot.ATTENDED, count, spec.columns()));
    Linear.apply(
        blocks,
        compute.input(x),
        weights.query().into(query),
        weights.key().into(rows.key),
        weights.value().into(rows.value));
    Linear.apply(
        blocks,
        compute.input(fading),
        weights.key().into(rows.fadingKey),
        weights.value().into(rows.fadingValue));
    if (spec.rope() != null) {
      for (Matrix rotated : List.of(query, rows.key, rows.fadingKey)) {
        compute.rope(rotated, spec.headSize(), spec.rope(), positions);
      }
    }
    return rows;
  }

  /** Says of each row how far it is from the one that those before it predict. */
  private void innovations(
      EideticAttention spec,
      Convolution predictor,
      List<Recurrence> all,
      Matrix fading,
      Matrix innovation) {
    Matrix predicted = blocks.matrix(Slot.CONVOLVED, fading.rows(), spec.width());
    blocks.convolutions.apply(predictor, all, fading, null, predicted);
    long carried = (long) Float.BYTES * spec.prediction();
    Recurrence.each(
        compute,
        all,
        1,
        (run, part, worker) -> {
          float[] before = new float[spec.width()];
          float[] row = new float[spec.width()];
          MemorySegment.copy(run.before(), FLOAT, carried, before, 0, before.length);
          for (int r = run.first(); r < run.first() + run.rows(); r++) {
            fading.read(r, 0, row);
            double squares = 0;
            for (int i = 0; i < row.length; i++) {
              double difference = (double) row[i] - before[i];
              squares += difference * difference;
            }
            innovation.data().set(FLOAT, innovation.rowOffset(r), (float) squares);
            predicted.read(r, 0, before);
            if (r + 1 == run.first() + run.added()) {
              MemorySegment.copy(before, 0, run.after(), FLOAT, carried, before.length);
            }
          }
        });
  }

  /**
   * A KV head of a run. Rows of x are numbered from those that are kept, over those of the window
   * before the step, to the step's; rows of y from those before the step to the step's.
   */
  private static final class Head {
    private final EideticAttention spec;
    private final Recurrence run;
    private final int number;
    private final int position;
    private final Rows rows;
    private final int size;
    private final int group;
    private final int carriedTokens;
    private final int carriedFading;

    /** The rows of x that are kept, in their order; and how many they are. */
    private final int[] kept;

    private int keptCount;

    private final float[] query;
    private final float[] row;
    private final float[] sum;
    private final float[] scores;

    Head(EideticAttention spec, Recurrence run, int number, int position, Rows rows) {
      this.spec = spec;
      this.run = run;
      this.number = number;
      this.position = position;
      this.rows = rows;
      this.size = spec.headSize();
      this.group = spec.heads() / spec.kvHeads();
      this.carriedTokens = spec.carriedTokens();
      this.carriedFading = spec.carriedFading();
      this.kept = new int[spec.kept()];
      for (int i = 0; i < kept.length; i++) {
        kept[i] = i;
      }
      this.keptCount = Math.clamp((long) position - spec.window(), 0, kept.length);
      this.query = new float[group * size];
      this.row = new float[size];
      this.sum = new float[group * size];
      this.scores = new float[group * spec.attended()];
    }

    void attend() {
      for (int r = 0; r < run.rows(); r++) {
        if (position + r >= spec.window() && kept.length > 0) {
          keep(carriedTokens + r - spec.window());
        }
        attend(r);
        if (r + 1 == run.added()) {
          carry(r);
        }
      }
    }

    /**
     * Keeps the row of x that leaves the window, in place of the least innovation if that is less.
     */
    private void keep(int token) {
      int least = keptCount;
      if (keptCount == kept.length) {
        least = 0;
        for (int i = 1; i < keptCount; i++) {
          least = innovation(kept[i]) <= innovation(kept[least]) ? i : least;
        }
        if (innovation(token) <= innovation(kept[least])) {
          return;
        }
        System.arraycopy(kept, least + 1, kept, least, --keptCount - least);
      }
      kept[keptCount++] = token;
    }

    private float innovation(int token) {
      return token < carriedTokens
          ? run.before().get(FLOAT, (long) Float.BYTES * (spec.innovations() + token))
          : rows.innovation.data().get(FLOAT, rows.innovation.rowOffset(step(token)));
    }

    /** The row of the step's matrices. */
    private int step(int token) {
      return run.first() + token - carriedTokens;
    }

    private void readToken(int token, boolean value) {
      if (token < carriedTokens) {
        readCarried(token, value);
      } else {
        (value ? rows.value : rows.key).read(step(token), (long) number * size, row);
      }
    }

    private void readFading(int faded, boolean value) {
      if (faded < carriedFading) {
        readCarried(carriedTokens + faded, value);
      } else {
        (value ? rows.fadingValue : rows.fadingKey)
            .read(run.first() + faded - carriedFading, (long) number * size, row);
      }
    }

    private void readCarried(int place, boolean value) {
      MemorySegment.copy(run.before(), FLOAT, carriedAt(place, value), row, 0, size);
    }

    private long carriedAt(int place, boolean value) {
      return (long) Float.BYTES * (spec.rows(number) + (2L * place + (value ? 1 : 0)) * size);
    }

    /** The fading memory, those that are kept, and the window, each from the oldest on. */
    private void attend(int r) {
      int here = position + r;
      int faded = Math.clamp((long) here - spec.window() + 1, 0, spec.faded());
      int firstFaded = carriedFading + r - spec.window() - faded + 1;
      int window = Math.min(here + 1, spec.window());
      int firstToken = carriedTokens + r - window + 1;
      int count = faded + keptCount + window;
      rows.query.read(run.first() + r, (long) number * query.length, query);
      for (int i = 0; i < count; i++) {
        read(i, faded, firstFaded, firstToken, false);
        for (int h = 0; h < group; h++) {
          scores[h * count + i] = dot(h) / (float) Math.sqrt(size);
        }
      }
      Arrays.fill(sum, 0);
      for (int h = 0; h < group; h++) {
        softmax(h * count, count);
      }
      for (int i = 0; i < count; i++) {
        read(i, faded, firstFaded, firstToken, true);
        for (int h = 0; h < group; h++) {
          for (int c = 0; c < size; c++) {
            sum[h * size + c] += scores[h * count + i] * row[c];
          }
        }
      }
      rows.attended.write(run.first() + r, (long) number * sum.length, sum);
    }

    private void read(int i, int faded, int firstFaded, int firstToken, boolean value) {
      if (i < faded) {
        readFading(firstFaded + i, value);
      } else if (i < faded + keptCount) {
        readToken(kept[i - faded], value);
      } else {
        readToken(firstToken + i - faded - keptCount, value);
      }
    }

    private float dot(int head) {
      float product = 0;
      for (int c = 0; c < size; c++) {
        product += query[head * size + c] * row[c];
      }
      return product;
    }

    private void softmax(int from, int count) {
      float most = Float.NEGATIVE_INFINITY;
      for (int i = from; i < from + count; i++) {
        most = Math.max(most, scores[i]);
      }
      double all = 0;
      for (int i = from; i < from + count; i++) {
        scores[i] = (float) Math.exp(scores[i] - most);
        all += scores[i];
      }
      for (int i = from; i < from + count; i++) {
        scores[i] = (float) (scores[i] / all);
      }
    }

    /** Writes what the next step is to have of this head; the first also writes innovations. */
    private void carry(int r) {
      for (int i = 0; i < carriedTokens; i++) {
        int token = i < kept.length ? kept[i] : i + r + 1;
        for (boolean value : new boolean[] {false, true}) {
          readToken(token, value);
          write(i, value);
        }
        if (number == 0 && kept.length > 0) {
          long at = (long) Float.BYTES * (spec.innovations() + i);
          run.after().set(FLOAT, at, innovation(token));
        }
      }
      for (int i = 0; i < carriedFading; i++) {
        for (boolean value : new boolean[] {false, true}) {
          readFading(i + r + 1, value);
          write(carriedTokens + i, value);
        }
      }
    }

    private void write(int place, boolean value) {
      MemorySegment.copy(row, 0, run.after(), FLOAT, carriedAt(place, value), size);
    }
  }
}

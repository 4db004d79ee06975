package dev.knapsack.model;

import dev.knapsack.kernel.Compute;
import dev.knapsack.tensor.Matrix;
import java.util.Arrays;

/** Computes {@link MemoryLayer}, and {@link MemoryMlp}, which is made of two. */
final class MemoryLookup {
  /** Nanoseconds of one core, roughly, for a number that is hashed, and for one that is added. */
  private static final double HASH = 8;

  private static final double ADD = 0.5;

  private final Blocks blocks;
  private final Compute compute;
  private final WeightSource source;

  MemoryLookup(Blocks blocks, WeightSource source) {
    this.blocks = blocks;
    this.compute = blocks.compute;
    this.source = source;
  }

  /**
   * The rows that tokens read, and their factors.
   *
   * @param rows of each token those in each table, as the tables lie one after the other
   */
  record Hashed(int tables, int[] rows, float[] factors) {}

  /** Computes {@code delta} from {@code x}, one row a token. */
  void apply(MemoryMlp.Weights weights, Matrix x, Matrix delta) {
    MemoryMlp spec = weights.spec();
    Matrix hidden = blocks.matrix(Slot.UP, x.rows(), spec.hidden());
    apply(weights.up(), hash(x, spec.bits()), hidden);
    Norm norm = weights.hiddenNorm();
    compute.layerNorm(
        hidden,
        norm.factors().data(),
        norm.bias() == null ? null : norm.bias().data(),
        blocks.epsilon(),
        hidden);
    apply(weights.down(), hash(hidden, spec.hiddenBits()), delta);
  }

  /** Hashes each token's parts: the first number's sign is the highest bit, and set from 0 on. */
  Hashed hash(Matrix x, int bits) {
    int tables = x.columns() / bits;
    Hashed hashed = new Hashed(tables, new int[x.rows() * tables], new float[x.rows() * tables]);
    compute.rows(
        x.rows(),
        x.columns() * HASH,
        (from, to) -> {
          float[] numbers = new float[x.columns()];
          for (int row = from; row < to; row++) {
            x.read(row, 0, numbers);
            for (int table = 0; table < tables; table++) {
              int code = 0;
              double product = 1;
              for (int i = table * bits; i < (table + 1) * bits; i++) {
                code = 2 * code + (numbers[i] >= 0 ? 1 : 0);
                product *= 1 + Math.exp(-2 * Math.abs(numbers[i]));
              }
              hashed.rows[row * tables + table] = (table << bits) + code;
              hashed.factors[row * tables + table] = (float) (1 / product);
            }
          }
        });
    return hashed;
  }

  /** Adds up the rows of each token, some tokens after the other. */
  void apply(MemoryLayer.Weights layer, Hashed hashed, Matrix out) {
    int tables = hashed.tables;
    int most = MemoryLayer.atOnce(out.rows());
    for (int first = 0; first < out.rows(); first += most) {
      int end = Math.min(out.rows(), first + most);
      int[] wanted = Arrays.copyOfRange(hashed.rows, first * tables, end * tables);
      Matrix rows = blocks.matrix(Slot.GATHERED, wanted.length, out.columns());
      source.gather(layer.table(), wanted, rows);
      add(rows, hashed, first, out.rows(first, end));
    }
    blocks.addBias(out, layer.bias(), 0);
  }

  private void add(Matrix rows, Hashed hashed, int first, Matrix out) {
    int tables = hashed.tables;
    compute.rows(
        out.rows(),
        tables * out.columns() * ADD,
        (from, to) -> {
          float[] row = new float[out.columns()];
          float[] sum = new float[out.columns()];
          for (int t = from; t < to; t++) {
            Arrays.fill(sum, 0);
            for (int table = 0; table < tables; table++) {
              float factor = hashed.factors[(first + t) * tables + table];
              rows.read(t * tables + table, 0, row);
              for (int i = 0; i < sum.length; i++) {
                sum[i] += factor * row[i];
              }
            }
            out.write(t, 0, sum);
          }
        });
  }
}

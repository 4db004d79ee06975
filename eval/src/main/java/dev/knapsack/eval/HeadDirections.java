package dev.knapsack.eval;

import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.model.HeadBasesFile;
import dev.knapsack.model.ModelIdentity;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.stream.IntStream;
import org.ejml.data.DMatrixRMaj;
import org.ejml.dense.row.factory.DecompositionFactory_DDRM;
import org.ejml.interfaces.decomposition.EigenDecomposition_F64;

/**
 * Finds the directions in which keys and values of each KV head take the fewest numbers, by how
 * they lay along a text.
 *
 * <p>A vector {@code x} with second moments {@code S} counts by a form {@code W}: what is lost is
 * {@code E[(x − x̂)ᵀ W (x − x̂)]}. It is least, for any number of directions, with {@code in = Uᵀ
 * W^½} and {@code out = Uᵀ W^−½}, where {@code U} are the eigenvectors of {@code W^½ S W^½} by
 * falling eigenvalues. For keys {@code W} is the second moments of the queries that meet them, so
 * that what is lost is in scores; for values what the output projection makes of them.
 */
public final class HeadDirections {
  /**
   * The least that a direction counts, as a share of what it does on average: the text had not all
   * queries.
   */
  private static final double LEAST = 1e-3;

  private static final int ROWS = 64;

  private final Path model;
  private final KvLayout layout;
  private final HeadMoments moments;

  HeadDirections(Path model, KvLayout layout, HeadMoments moments) {
    this.model = model;
    this.layout = layout;
    this.moments = moments;
  }

  /**
   * Writes them where KV recipes look for them.
   *
   * @throws dev.knapsack.error.ModelFileException if the model cannot be read or the file not be
   *     written
   */
  public void write(Path path) {
    try (ModelFile file = ModelFile.open(model)) {
      HeadBasesFile.write(
          path,
          ModelIdentity.of(file),
          layout,
          new HeadBasesFile.Source() {
            @Override
            public HeadBasesFile.Squares keys(int layer) {
              return squares(
                  layout.heads(layer).kvHeads(),
                  h -> moments.head(layer, h).keys(),
                  h -> moments.head(layer, h).queries());
            }

            @Override
            public HeadBasesFile.Squares values(int layer) {
              HeadMoments.Sum[] outputs = outputs(file, layer);
              return squares(
                  layout.heads(layer).kvHeads(),
                  h -> moments.head(layer, h).values(),
                  h -> outputs[h]);
            }
          });
    }
  }

  private interface Sums {
    HeadMoments.Sum of(int kvHead);
  }

  private static HeadBasesFile.Squares squares(int heads, Sums vectors, Sums forms) {
    int size = vectors.of(0).size;
    float[] in = new float[heads * size * size];
    float[] out = new float[in.length];
    IntStream.range(0, heads)
        .parallel()
        .forEach(h -> find(vectors.of(h), forms.of(h), in, out, h * size * size));
    return new HeadBasesFile.Squares(in, out);
  }

  /** Writes one head's directions, the first of which say most. */
  static void find(HeadMoments.Sum vectors, HeadMoments.Sum form, float[] in, float[] out, int at) {
    int size = vectors.size;
    double[] root = new double[size];
    double[][] axes = eigenvectors(size, form::get, root);
    double mean = 0;
    for (double value : root) {
      mean += Math.max(0, value) / size;
    }
    for (int i = 0; i < size; i++) {
      root[i] = mean > 0 ? Math.sqrt(Math.max(0, root[i]) + LEAST * mean) : 1;
    }
    double[][] half = new double[size][size];
    double[][] back = new double[size][size];
    for (int i = 0; i < size; i++) {
      for (int j = 0; j < size; j++) {
        for (int k = 0; k < size; k++) {
          double product = axes[k][i] * axes[k][j];
          half[i][j] += root[k] * product;
          back[i][j] += product / root[k];
        }
      }
    }
    double[][] weighted = product(product(half, matrix(vectors)), half);
    double[] importance = new double[size];
    double[][] best = eigenvectors(size, (i, j) -> weighted[i][j], importance);
    // As large as the vectors were, so that formats hold them as well.
    double energy = IntStream.range(0, size).mapToDouble(i -> vectors.get(i, i)).sum();
    double sum = IntStream.range(0, size).mapToDouble(i -> Math.max(0, importance[i])).sum();
    double scale = energy > 0 && sum > 0 ? Math.sqrt(energy / sum) : 1;
    double[][] ins = product(best, half);
    double[][] outs = product(best, back);
    for (int i = 0; i < size; i++) {
      for (int j = 0; j < size; j++) {
        in[at + i * size + j] = (float) (scale * ins[i][j]);
        out[at + i * size + j] = (float) (outs[i][j] / scale);
      }
    }
  }

  private static double[][] matrix(HeadMoments.Sum sum) {
    double[][] matrix = new double[sum.size][sum.size];
    for (int i = 0; i < sum.size; i++) {
      for (int j = 0; j < sum.size; j++) {
        matrix[i][j] = sum.get(i, j);
      }
    }
    return matrix;
  }

  private static double[][] product(double[][] a, double[][] b) {
    double[][] out = new double[a.length][b.length];
    for (int i = 0; i < a.length; i++) {
      for (int k = 0; k < b.length; k++) {
        for (int j = 0; j < b.length; j++) {
          out[i][j] += a[i][k] * b[k][j];
        }
      }
    }
    return out;
  }

  private interface Entries {
    double at(int i, int j);
  }

  /**
   * Eigenvectors of a symmetric matrix, one a row.
   *
   * @param values receives their eigenvalues, the largest first
   */
  private static double[][] eigenvectors(int size, Entries entries, double[] values) {
    DMatrixRMaj matrix = new DMatrixRMaj(size, size);
    for (int i = 0; i < size; i++) {
      for (int j = 0; j < size; j++) {
        matrix.set(i, j, (entries.at(i, j) + entries.at(j, i)) / 2);
      }
    }
    EigenDecomposition_F64<DMatrixRMaj> found = DecompositionFactory_DDRM.eig(size, true, true);
    if (!found.decompose(matrix)) {
      throw new ArithmeticException("Eigenvectors of %d × %d were not found".formatted(size, size));
    }
    int[] order =
        IntStream.range(0, size)
            .boxed()
            .sorted(
                (a, b) -> Double.compare(found.getEigenvalue(b).real, found.getEigenvalue(a).real))
            .mapToInt(i -> i)
            .toArray();
    double[][] vectors = new double[size][];
    for (int i = 0; i < size; i++) {
      values[i] = found.getEigenvalue(order[i]).real;
      vectors[i] = found.getEigenVector(order[i]).getData();
    }
    return vectors;
  }

  /** {@code Σ W_oᵀ W_o} over the query heads that share each KV head. */
  private HeadMoments.Sum[] outputs(ModelFile file, int layer) {
    LayerLayout.Heads heads = layout.heads(layer);
    HeadMoments.Sum[] sums = new HeadMoments.Sum[heads.kvHeads()];
    for (int h = 0; h < sums.length; h++) {
      sums[h] = new HeadMoments.Sum(heads.valueSize());
    }
    TensorInfo tensor = file.tensors().get("blk." + layer + ".attn_output.weight");
    int columns = heads.kvHeads() * heads.group() * heads.valueSize();
    if (tensor == null || tensor.shape().getFirst() != columns) {
      return sums; // every direction counts alike
    }
    long rows = tensor.values() / columns;
    long rowBytes = tensor.format().bytes(columns);
    float[] decoded = new float[ROWS * columns];
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment encoded = arena.allocate(ROWS * rowBytes, 64);
      for (long row = 0; row < rows; row += ROWS) {
        int count = (int) Math.min(ROWS, rows - row);
        file.read(tensor, row * rowBytes, encoded.asSlice(0, count * rowBytes));
        tensor
            .format()
            .decode(encoded, 0, MemorySegment.ofArray(decoded), 0, (long) count * columns);
        IntStream.range(0, sums.length)
            .parallel()
            .forEach(h -> {
              int group = heads.group() * heads.valueSize();
              for (int r = 0; r < count; r++) {
                int from = r * columns + h * group;
                for (int at = from; at < from + group; at += heads.valueSize()) {
                  sums[h].add(decoded, at);
                }
              }
            });
      }
    }
    return sums;
  }
}

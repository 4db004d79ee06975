package dev.knapsack.model;

import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.kernel.Compute;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Lease;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A low-rank adapter of a model, in memory (Hu et al., arXiv 2106.09685, equation 3): a matrix
 * {@code w} of the model becomes {@code w + scale · b · a} for the {@linkplain Run#adapter runs}
 * that have it.
 *
 * <p>What it adds to a row does not depend on the step's other rows, nor on their number. For use
 * by one thread at a time.
 */
public final class Adapter implements AutoCloseable {
  /** Rows that are computed at once: there is memory for so many. */
  private static final int ROWS = 64;

  private static final long LINE = 64;

  /**
   * The low-rank product that is added to a matrix.
   *
   * @param a rank × columns
   * @param b rows × rank
   */
  private record LowRank(Matrix a, Matrix b, float scale) {}

  private final ModelSpec spec;
  private final Lease lease;

  /** By layer, and by the tensors that it declares. */
  private final @Nullable LowRank[][] pairs;

  /** Rows by {@code a}, and those by {@code b}. */
  private final MemorySegment reduced;

  private final MemorySegment added;
  private boolean closed;

  /**
   * Reads an adapter of a model.
   *
   * @param file in GGUF's form: {@code NAME.lora_a} and {@code NAME.lora_b} for the matrix {@code
   *     NAME}, and {@code adapter.lora.alpha}, which is divided by the rank
   * @param scale factor of all that it adds
   * @throws ModelFileException if it is none, or does not fit the model
   * @throws dev.knapsack.error.BudgetExceededException if the account's budget has no room for it
   */
  public Adapter(ModelFile file, ModelSpec spec, float scale, Account account) {
    this.spec = spec;
    AdapterFile found = new AdapterFile(file, spec);
    this.pairs = new LowRank[spec.layers().size()][];
    for (int l = 0; l < pairs.length; l++) {
      pairs[l] = new LowRank[spec.layers().get(l).tensors().size()];
    }
    long bytes = 0;
    for (TensorInfo tensor : file.tensors().values()) {
      bytes = Math.addExact(bytes, lines(tensor.bytes()));
    }
    long reducedBytes = lines(Formats.F32.bytes((long) ROWS * found.rank()));
    long addedBytes = Formats.F32.bytes((long) ROWS * found.widest());
    this.lease = account.lease(bytes + reducedBytes + addedBytes);
    try {
      Map<TensorInfo, Matrix> matrices = read(file);
      for (AdapterFile.Part part : found.parts()) {
        Matrix a = Objects.requireNonNull(matrices.get(part.a()));
        Matrix b = Objects.requireNonNull(matrices.get(part.b()));
        pairs[part.layer()][part.tensor()] =
            new LowRank(
                a,
                b.rows(part.row(), part.row() + part.rows()),
                (float) (scale * found.factor(part)));
      }
    } catch (RuntimeException | Error e) {
      lease.close();
      throw e;
    }
    this.reduced = lease.segment().asSlice(bytes, reducedBytes);
    this.added = lease.segment().asSlice(bytes + reducedBytes, addedBytes);
  }

  private static long lines(long bytes) {
    return Math.ceilDiv(bytes, LINE) * LINE;
  }

  private Map<TensorInfo, Matrix> read(ModelFile file) {
    Map<TensorInfo, Matrix> matrices = new HashMap<>();
    long at = 0;
    for (TensorInfo tensor : file.tensors().values()) {
      MemorySegment data = lease.segment().asSlice(at, tensor.bytes());
      file.read(tensor, 0, data);
      int columns = Math.toIntExact(tensor.shape().getFirst());
      int rows = Math.toIntExact(tensor.values() / columns);
      matrices.put(tensor, new Matrix(tensor.format(), rows, columns, data));
      at += lines(tensor.bytes());
    }
    return matrices;
  }

  /**
   * Checks that a step of a model can have it.
   *
   * @throws IllegalArgumentException if it is another model's
   * @throws IllegalStateException if it is closed
   */
  void check(ModelSpec model) {
    if (closed) {
      throw new IllegalStateException("The adapter is closed");
    }
    if (!spec.equals(model)) {
      throw new IllegalArgumentException(
          "An adapter of %s cannot be one of %s".formatted(spec.name(), model.name()));
    }
  }

  /** Adds to what a map gave of some rows what the adapter adds to it. */
  void add(Compute compute, Linear map, Matrix x, Matrix out) {
    Linear.Place place = map.place();
    LowRank pair = pairs[place.layer()][place.tensor()];
    if (pair == null) {
      return;
    }
    Matrix b = pair.b.rows(place.row(), place.row() + map.matrix().rows());
    // As several rows are, whatever their number.
    int alone = compute.alone(0);
    for (int from = 0; from < x.rows(); from += ROWS) {
      int to = Math.min(x.rows(), from + ROWS);
      Matrix h = new Matrix(Formats.F32, to - from, b.columns(), reduced);
      Matrix delta = new Matrix(Formats.F32, to - from, b.rows(), added);
      compute.matmul(pair.a, x.rows(from, to), h);
      compute.matmul(b, h, delta);
      compute.add(out.rows(from, to), delta, pair.scale);
    }
    compute.alone(alone);
  }

  @Override
  public void close() {
    closed = true;
    lease.close();
  }
}

package dev.knapsack.kernel;

import dev.knapsack.memory.Account;
import dev.knapsack.memory.Lease;
import dev.knapsack.os.NativeMemory;
import dev.knapsack.tensor.BlockFormat;
import dev.knapsack.tensor.ChannelOrder;
import dev.knapsack.tensor.Hadamard;
import dev.knapsack.tensor.Matrix;
import dev.knapsack.tensor.Q8Activations;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/**
 * The operations of a forward pass, whole, spread over a {@link WorkerTeam}.
 *
 * <p>How work is split changes no result: with any number of workers they are the same, bit for
 * bit. Scratch memory is leased once. For use by one thread at a time; closing gives the scratch
 * back and leaves the team to its owner.
 */
public final class Compute implements AutoCloseable {
  /** The form of activations when they meet weights in a block format. */
  public enum Precision {
    /** As they are. */
    FLOAT,
    /** {@link Q8Activations}: faster, with an error of about 1 in 1,000. */
    EIGHT_BIT
  }

  /** Work below this many bytes of weights is not worth a part of its own. */
  private static final long PART_BYTES = 32 << 10;

  /** Work that takes less is not worth a part of its own: another worker begins as late as that. */
  private static final double PART_NANOS = 4_000;

  // Nanoseconds a number, on one core: roughly.
  private static final double ADD = 0.12;
  private static final double NORM = 0.25;
  private static final double QUANTISE = 0.4;
  private static final double TURN = 1;
  private static final double ENCODE = 4;

  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  private static final int PARTS_PER_WORKER = 8;

  /** Bytes of heap that scratch memory leaves free: what a run needs of it. */
  private static final long HEAP_LEFT = 4L << 20;

  /** Rows are multiplied as is fastest for their number. */
  public static final int AS_FITS = -1;

  private final Kernels kernels;
  private final WorkerTeam team;
  private final KernelLimits limits;
  private final Lease scratchLease;
  private final @Nullable Lease codesLease;
  private final Scratch[] scratch;
  private final TeamAttention attention;
  private @Nullable Input quantised;

  private int alone = AS_FITS;

  /**
   * @throws dev.knapsack.error.BudgetExceededException if the account's budget cannot give {@link
   *     #scratchBytes}
   * @throws IllegalArgumentException if the heap has no room for so many workers' scratch memory
   */
  public Compute(
      Kernels kernels, WorkerTeam team, Precision precision, KernelLimits limits, Account account) {
    this.kernels = kernels;
    this.team = team;
    this.limits = limits;
    long each = bytesPerWorker(kernels, limits);
    int workers = team.workers();
    checkHeap(workers, workers * each);
    scratchLease = account.reserve(workers * each);
    scratch = new Scratch[workers];
    Arrays.setAll(scratch, i -> Scratch.of(each));
    Lease codes = null;
    try {
      codes = precision == Precision.EIGHT_BIT ? account.lease(codeBytes(limits)) : null;
      attention = new TeamAttention(kernels.attention(), team, limits, scratch, account);
    } catch (Throwable e) {
      if (codes != null) {
        codes.close();
      }
      scratchLease.close();
      throw e;
    }
    codesLease = codes;
  }

  /** Refuses now: running out of heap later ends a thread without a word that helps. */
  private static void checkHeap(int workers, long bytes) {
    long free = freeHeap();
    if (free < bytes + HEAP_LEFT) {
      System.gc();
      free = freeHeap();
    }
    if (free < bytes + HEAP_LEFT) {
      throw new IllegalArgumentException(
          "%,d thread(s) compute in %,d bytes of Java heap, beside %,d for all else, and %,d are free; let fewer compute, or start Java with a larger heap (-Xmx)."
              .formatted(workers, bytes, HEAP_LEFT, free));
    }
  }

  private static long freeHeap() {
    Runtime runtime = Runtime.getRuntime();
    return runtime.maxMemory() - runtime.totalMemory() + runtime.freeMemory();
  }

  /** Bytes that a {@link Compute} of this kind leases. */
  public static long scratchBytes(
      Kernels kernels, int workers, Precision precision, KernelLimits limits) {
    long codes = precision == Precision.EIGHT_BIT ? codeBytes(limits) : 0;
    return workers * bytesPerWorker(kernels, limits) + codes + TeamAttention.bytes(limits);
  }

  private static long bytesPerWorker(Kernels kernels, KernelLimits limits) {
    return NativeMemory.wholePages(kernels.scratchBytes(limits));
  }

  private static long codeBytes(KernelLimits limits) {
    Q8Activations format = Q8Activations.FORMAT;
    long blocks = Math.ceilDiv(limits.columns(), format.blockValues());
    return NativeMemory.wholePages(limits.tokens() * blocks * format.blockBytes());
  }

  public Kernels kernels() {
    return kernels;
  }

  public WorkerTeam team() {
    return team;
  }

  /**
   * Activations that several weights multiply: quantised at most once. The numbers may not change
   * until the last of them has.
   */
  public final class Input {
    private final Matrix x;

    private Input(Matrix x) {
      this.x = x;
    }

    /** The numbers as they are. */
    public Matrix floats() {
      return x;
    }

    private Matrix codesOrFloats() {
      if (!coded(x)) {
        return x;
      }
      Matrix q = codes(x);
      if (quantised != this) {
        rows(x, QUANTISE, (from, to) -> kernels.products().quantise(x, q, from, to));
        quantised = this;
      }
      return q;
    }
  }

  /** Says whether activations meet weights in a block format as codes. */
  private boolean coded(Matrix x) {
    return codesLease != null && x.columns() % Q8Activations.FORMAT.blockValues() == 0;
  }

  /** The place of their codes. */
  private Matrix codes(Matrix x) {
    MemorySegment memory = Objects.requireNonNull(codesLease).segment();
    return new Matrix(Q8Activations.FORMAT, x.rows(), x.columns(), memory);
  }

  /**
   * From now on the first {@code count} rows of activations are {@linkplain MatrixProducts.Tokens
   * multiplied} as if each were alone, and all others as several are, whatever their number: what
   * is computed of a token then does not depend on what others a step has.
   *
   * @param count or {@link #AS_FITS}
   * @return what was said before
   */
  public int alone(int count) {
    int before = alone;
    alone = count;
    return before;
  }

  /** These activations, F32, for the products that follow. */
  public Input input(Matrix x) {
    limits.check(x);
    return new Input(x);
  }

  /** {@code out[t] = w · x[t]} for every token: see {@link MatrixProducts#matmul}. */
  public void matmul(Matrix w, Matrix x, Matrix out) {
    matmul(w, input(x), out);
  }

  /** {@code out[t] = w · x[t]} for every token: see {@link MatrixProducts#matmul}. */
  public void matmul(Matrix w, Input input, Matrix out) {
    matmul(input, new Product(w, out));
  }

  /** A matrix, and where its product goes. */
  public record Product(Matrix w, Matrix out) {}

  /** Several products with the same activations, as one task. */
  public void matmul(Input input, Product... products) {
    Matrix[] x = new Matrix[products.length];
    for (int i = 0; i < products.length; i++) {
      x[i] = products[i].w.format() instanceof BlockFormat ? input.codesOrFloats() : input.x;
    }
    matmul(x, products);
  }

  /**
   * {@code out[h][t] = w[h] · x[h][t]} for every head: as one task, but where the codes of all
   * heads' activations take more room than there is.
   *
   * @param w of each head, of one shape and format
   * @param x the rows of the first head, those of the next, and so on
   * @param out likewise
   */
  public void matmulHeads(List<Matrix> w, Matrix x, Matrix out) {
    int rows = x.rows() / w.size();
    limits.check(x.rows(0, rows));
    boolean coded = w.getFirst().format() instanceof BlockFormat && coded(x);
    long room = (long) limits.tokens() * limits.columns() / ((long) rows * x.columns());
    int together = coded ? Math.clamp(room, 1, w.size()) : w.size();
    for (int head = 0; head < w.size(); head += together) {
      int end = Math.min(w.size(), head + together);
      Matrix given = x.rows(head * rows, end * rows);
      Matrix input = coded ? codes(given) : given;
      if (coded) {
        rows(given, QUANTISE, (from, to) -> kernels.products().quantise(given, input, from, to));
        quantised = null;
      }
      Matrix[] inputs = new Matrix[end - head];
      Product[] products = new Product[end - head];
      for (int i = 0; i < products.length; i++) {
        inputs[i] = input.rows(i * rows, (i + 1) * rows);
        products[i] =
            new Product(w.get(head + i), out.rows((head + i) * rows, (head + i + 1) * rows));
      }
      matmul(inputs, products);
    }
  }

  /** Products with activations of their own each, as one task. */
  private void matmul(Matrix[] x, Product[] products) {
    int tokens = x[0].rows();
    int first = alone == AS_FITS ? (tokens == 1 ? 1 : 0) : Math.min(alone, tokens);
    int all = 0;
    for (Product product : products) {
      all += product.w.rows();
    }
    int[] chunks = new int[products.length];
    int[] ends = new int[products.length];
    int parts = 0;
    for (int i = 0; i < products.length; i++) {
      Matrix w = products[i].w;
      chunks[i] = rowsPerPart(w, all, tokens);
      parts += Math.ceilDiv(w.rows(), chunks[i]);
      ends[i] = parts;
    }
    team.run(
        parts,
        (part, count, worker) -> {
          int i = 0;
          while (part >= ends[i]) {
            i++;
          }
          Matrix w = products[i].w;
          Matrix out = products[i].out;
          int from = (part - (i == 0 ? 0 : ends[i - 1])) * chunks[i];
          int to = Math.min(w.rows(), from + chunks[i]);
          Scratch mine = scratch[worker];
          matmul(w, x[i], MatrixProducts.Tokens.ALONE, 0, first, out, from, to, mine);
          matmul(w, x[i], MatrixProducts.Tokens.TOGETHER, first, tokens, out, from, to, mine);
        });
  }

  /** Some of the tokens with some of the rows. */
  private void matmul(
      Matrix w,
      Matrix x,
      MatrixProducts.Tokens tokens,
      int first,
      int end,
      Matrix out,
      int from,
      int to,
      Scratch mine) {
    if (first == 0 && end == x.rows()) {
      kernels.products().matmul(w, x, tokens, out, from, to, mine);
    } else if (first < end) {
      kernels
          .products()
          .matmul(w, x.rows(first, end), tokens, out.rows(first, end), from, to, mine);
    }
  }

  /**
   * Rows of a matrix that are a part of a task.
   *
   * @param all rows of all of the task's matrices
   */
  private int rowsPerPart(Matrix w, int all, int tokens) {
    int tile = kernels.products().rowTile();
    if (team.workers() == 1) {
      return Math.max(1, w.rows());
    }
    long even = Math.ceilDiv(all, team.workers() * PARTS_PER_WORKER);
    long small = Math.ceilDiv(PART_BYTES, Math.max(1, w.rowBytes()) * tokens);
    return (int) Math.min(w.rows(), Math.ceilDiv(Math.max(even, small), tile) * tile);
  }

  /** See {@link RowOperations#rmsNorm}. */
  public void rmsNorm(
      Matrix x, @Nullable MemorySegment weight, int groupSize, float epsilon, Matrix out) {
    rows(
        x,
        NORM,
        (from, to) -> kernels.rows().rmsNorm(x, weight, groupSize, epsilon, out, from, to));
  }

  /** See {@link RowOperations#layerNorm}. */
  public void layerNorm(
      Matrix x, MemorySegment weight, @Nullable MemorySegment bias, float epsilon, Matrix out) {
    rows(x, NORM, (from, to) -> kernels.rows().layerNorm(x, weight, bias, epsilon, out, from, to));
  }

  /** {@code x += y}. */
  public void add(Matrix x, Matrix y) {
    add(x, y, 1);
  }

  /** {@code x += scale · y}. */
  public void add(Matrix x, Matrix y, float scale) {
    rows(x, ADD, (from, to) -> kernels.rows().add(x, y, scale, from, to));
  }

  /** {@code x[t] += bias} for every row. */
  public void addBias(Matrix x, MemorySegment bias) {
    rows(x, ADD, (from, to) -> kernels.rows().addBias(x, bias, from, to));
  }

  /** {@code out = x + share · y}, column by column: see {@link RowOperations#mix}. */
  public void mix(Matrix x, Matrix y, MemorySegment share, Matrix out) {
    rows(x, ADD, (from, to) -> kernels.rows().mix(x, y, share, out, from, to));
  }

  /** {@code x *= scale}. */
  public void scale(Matrix x, float scale) {
    rows(x, ADD, (from, to) -> kernels.rows().scale(x, scale, from, to));
  }

  /** {@code x = cap · tanh(x / cap)}. */
  public void softCap(Matrix x, float cap) {
    rows(x, TURN, (from, to) -> kernels.rows().softCap(x, cap, from, to));
  }

  /** See {@link RowOperations#rope}. */
  public void rope(Matrix x, int headSize, Rope rope, int[] positions) {
    rows(x, TURN, (from, to) -> kernels.rows().rope(x, headSize, rope, positions, from, to));
  }

  /**
   * Multiplies every head of every row, {@code out[t][h] = w · x[t][h]}: heads of {@code
   * w.columns()} numbers become heads of {@code w.rows()}.
   */
  public void projectHeads(Matrix w, Matrix x, Matrix out) {
    Matrix heads = heads(x, w.columns());
    Matrix results = heads(out, w.rows());
    int before = alone(Math.min(alone, 0)); // rows are heads here
    for (int from = 0; from < heads.rows(); from += limits.tokens()) {
      int to = Math.min(heads.rows(), from + limits.tokens());
      matmul(w, heads.rows(from, to), results.rows(from, to));
    }
    alone = before;
  }

  private static Matrix heads(Matrix x, int size) {
    Shapes.checkGroups(x, size);
    return new Matrix(x.format(), x.rows() * (x.columns() / size), size, x.data());
  }

  /** Rotates every head of every row in place: see {@link Hadamard}. */
  public void rotate(Matrix x, int headSize) {
    rows(
        x,
        TURN,
        (from, to) -> {
          // In an array the compiler finds several sums to do at once.
          float[] row = new float[x.columns()];
          for (int r = from; r < to; r++) {
            MemorySegment.copy(x.data(), FLOAT, x.rowOffset(r), row, 0, row.length);
            for (int head = 0; head < row.length; head += headSize) {
              Hadamard.rotate(row, head, headSize);
            }
            MemorySegment.copy(row, 0, x.data(), FLOAT, x.rowOffset(r), row.length);
          }
        });
  }

  /** Puts the channels of every head of every row in order, in place. */
  public void reorder(Matrix x, ChannelOrder order) {
    int[] channels = order.channels();
    rearrange(x, (row, out) -> order.put(channels, row, out));
  }

  /** The reverse of {@link #reorder}. */
  public void reorderBack(Matrix x, ChannelOrder order) {
    int[] channels = order.channels();
    rearrange(x, (row, out) -> order.putBack(channels, row, out));
  }

  private void rearrange(Matrix x, BiConsumer<float[], float[]> move) {
    rows(
        x,
        TURN,
        (from, to) -> {
          float[] row = new float[x.columns()];
          float[] out = new float[x.columns()];
          for (int r = from; r < to; r++) {
            MemorySegment.copy(x.data(), FLOAT, x.rowOffset(r), row, 0, row.length);
            move.accept(row, out);
            MemorySegment.copy(out, 0, x.data(), FLOAT, x.rowOffset(r), out.length);
          }
        });
  }

  /** {@code x = activation(x)}: of a layer without a gate. */
  public void activate(Activation activation, Matrix x) {
    rows(x, TURN, (from, to) -> kernels.rows().activate(activation, x, from, to));
  }

  /** {@code x = curve(x)}. */
  public void xielu(Xielu curve, Matrix x) {
    rows(x, TURN, (from, to) -> kernels.rows().xielu(curve, x, from, to));
  }

  /** {@code out = activation(gate) · up}; {@code out} may be {@code gate}. */
  public void gatedActivation(Activation activation, Matrix gate, Matrix up, Matrix out) {
    rows(
        gate,
        TURN,
        (from, to) -> kernels.gatedActivation().apply(activation, gate, up, out, from, to));
  }

  /**
   * Attention of all query rows of some sequences with all KV heads: see {@link Attention#attend}.
   * What each gets is what it would get alone.
   */
  public void attention(AttentionShape shape, List<Queries> sequences) {
    attention.attend(shape, sequences);
  }

  /**
   * The attention weights of one KV head: see {@link Attention#weights}. Not spread; but tasks of
   * the team may ask, each for heads of its own.
   */
  public void attentionWeights(
      AttentionShape shape, Matrix q, int firstPosition, KvSpan[] spans, int kvHead, Matrix out) {
    Scratch mine = scratch[team.worker()];
    kernels.attention().weights(shape, q, firstPosition, spans, kvHead, out, 0, q.rows(), mine);
  }

  /** A part of a task that needs scratch memory for {@link Kernels}. */
  @FunctionalInterface
  public interface Part {
    void run(int part, Scratch scratch);
  }

  /** Does the parts of a task, by all workers. */
  public void spread(int parts, Part task) {
    team.run(parts, (part, all, worker) -> task.run(part, scratch[worker]));
  }

  /** A range of rows. */
  @FunctionalInterface
  public interface Rows {
    void accept(int from, int to);
  }

  /** Encodes rows, range by range: by all workers, where that is worth a task. */
  public void encode(int rows, int columns, Rows task) {
    rows(rows, columns * ENCODE, task);
  }

  /**
   * Does all rows, range by range: by all workers, where that is worth a task.
   *
   * @param nanos what a row takes on one core, roughly: some nanoseconds a number
   */
  public void rows(int rows, double nanos, Rows task) {
    int parts = (int) Math.min(Math.min(rows, team.workers() * 2), rows * nanos / PART_NANOS);
    if (parts < 2 || team.workers() == 1) {
      task.accept(0, rows);
      return;
    }
    team.run(
        parts,
        (part, all, worker) ->
            task.accept((int) ((long) rows * part / all), (int) ((long) rows * (part + 1) / all)));
  }

  private void rows(Matrix x, double nanos, Rows task) {
    rows(x.rows(), x.columns() * nanos, task);
  }

  @Override
  public void close() {
    scratchLease.close();
    attention.close();
    if (codesLease != null) {
      codesLease.close();
    }
  }
}

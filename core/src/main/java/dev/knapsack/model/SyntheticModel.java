package dev.knapsack.model;

import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.GgufWriter;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Lease;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;

/**
 * A GGUF file with the shape of a published model and random weights, so that one can measure
 * before downloading: it loads, streams and computes as the real one does, and talks nonsense.
 *
 * <p>Weights are normal with a variance of 1 / columns, norms are 1: activations and logits keep
 * their size through the layers. The last norm is 1 or −1 at random, lest a model whose output
 * projection is its token embedding repeat the token it was given, and attention counts less than
 * the MLPs: greedy answers vary. The numbers of a matrix are drawn block by block from a pool of
 * encoded blocks. The same shape, format and seed give the same file.
 */
public final class SyntheticModel {
  /** Numbers in a pool of encoded blocks: enough that no two rows are alike. */
  private static final int LARGEST_POOL = 1 << 18;

  /**
   * Factor on what attention adds. Untrained attention is close to an average, the same for all
   * tokens: as large as what the MLPs add, it would grow from layer to layer until every token said
   * the same.
   */
  private static final float ATTENDED = 0.25f;

  /** Numbers that a pool is encoded at a time: whole blocks of every format. */
  private static final int PIECE = 1 << 10;

  private static final int CHUNK = 1 << 22;

  private final PublishedShape shape;
  private final Format format;

  public SyntheticModel(PublishedShape shape, Format format) {
    this.shape = shape;
    this.format = format;
  }

  /**
   * Reads a shape as people write it: {@code llama-3.2-1b:q4_0}; Q4_0 if there is no format.
   *
   * @throws IllegalArgumentException if there is no such shape
   * @throws dev.knapsack.error.UnsupportedFormatException if there is no such format
   */
  public static SyntheticModel of(String text) {
    int colon = text.indexOf(':');
    return colon < 0
        ? new SyntheticModel(PublishedShape.named(text), Formats.Q4_0)
        : new SyntheticModel(
            PublishedShape.named(text.substring(0, colon)),
            Formats.byName(text.substring(colon + 1)));
  }

  public PublishedShape shape() {
    return shape;
  }

  public Format format() {
    return format;
  }

  /** Bytes of all tensors. */
  public long bytes() {
    return new SyntheticHeader(shape, format).tensors().stream().mapToLong(TensorInfo::bytes).sum();
  }

  /** Bytes of memory that {@link #write} leases: some megabytes. */
  public long memory() {
    return Account.charged(CHUNK + poolBytes(new SyntheticHeader(shape, format)));
  }

  /**
   * Writes the file; a failure leaves none.
   *
   * @param account leases {@link #memory()} bytes while it writes
   * @throws ModelFileException if the file cannot be written, such as for a full disk
   */
  public void write(Path target, long seed, Account account, Progress progress) {
    SyntheticHeader header = new SyntheticHeader(shape, format);
    List<TensorInfo> tensors = header.tensors();
    long total = bytes();
    long done = 0;
    try (Lease memory = account.lease(CHUNK + poolBytes(header));
        GgufWriter writer = GgufWriter.create(target, header.metadata(target, seed), tensors)) {
      MemorySegment chunk = memory.segment().asSlice(0, CHUNK);
      Map<Kind, MemorySegment> pools = pools(header, seed, memory.segment().asSlice(CHUNK));
      for (TensorInfo tensor : tensors) {
        progress.at(tensor.name(), done, total);
        SplittableRandom random = new SplittableRandom(seed * 31 + tensor.name().hashCode());
        if (header.role(tensor).isSmall()) {
          writer.write(tensor, small(header, tensor, random));
        } else {
          MemorySegment pool = Objects.requireNonNull(pools.get(Kind.of(header, tensor)));
          matrix(tensor, pool, random, chunk, writer);
        }
        done += tensor.bytes();
      }
      progress.at("finish", done, total);
      writer.finish();
    }
  }

  private static MemorySegment small(
      SyntheticHeader header, TensorInfo tensor, SplittableRandom random) {
    float[] values;
    if (tensor.name().startsWith("rope_f")) {
      values = header.ropeDivisors(tensor.name());
    } else {
      values = new float[Math.toIntExact(tensor.values())];
      for (int i = 0; i < values.length; i++) {
        values[i] = number(header, tensor, random);
      }
    }
    MemorySegment bytes = MemorySegment.ofArray(new byte[values.length * Float.BYTES]);
    Formats.F32.encode(MemorySegment.ofArray(values), 0, bytes, 0, values.length);
    return bytes;
  }

  private static float number(SyntheticHeader header, TensorInfo tensor, SplittableRandom random) {
    return switch (header.role(tensor)) {
      case NORM -> norm(header, tensor, random);
      // From -1 to -16 in even steps of the logarithm, as state spaces begin their training.
      case DECAY -> (float) -Math.pow(16, random.nextDouble());
      default -> (float) (deviation(tensor) * random.nextGaussian());
    };
  }

  private static float norm(SyntheticHeader header, TensorInfo tensor, SplittableRandom random) {
    if (WeightLayout.layer(tensor.name()) < 0) {
      return random.nextBoolean() ? 1 : -1;
    }
    return header.isOfMixer(tensor) ? ATTENDED : 1;
  }

  /** The standard deviation of summands and of other numbers; of taps, as of a matrix's columns. */
  private static double deviation(TensorInfo tensor) {
    return tensor.shape().size() > 1 ? 1 / Math.sqrt((double) tensor.shape().getFirst()) : 0.02;
  }

  /** The kind of blocks in a pool: their format, and the standard deviation of their numbers. */
  private record Kind(Format format, double deviation) {
    static Kind of(SyntheticHeader header, TensorInfo tensor) {
      double usual = SyntheticModel.deviation(tensor);
      return new Kind(tensor.format(), header.isOfMixer(tensor) ? ATTENDED * usual : usual);
    }
  }

  private static List<Kind> kinds(SyntheticHeader header) {
    return header.tensors().stream()
        .filter(t -> !header.role(t).isSmall())
        .map(t -> Kind.of(header, t))
        .distinct()
        .toList();
  }

  /** Numbers in each pool: the small models of tests need no large ones. */
  private static int poolValues(List<TensorInfo> tensors) {
    long largest = tensors.stream().mapToLong(TensorInfo::values).max().orElse(0);
    return Math.clamp(4 * largest / PIECE * PIECE, PIECE, LARGEST_POOL);
  }

  private static long poolBytes(SyntheticHeader header) {
    int values = poolValues(header.tensors());
    return kinds(header).stream().mapToLong(kind -> kind.format().bytes(values)).sum();
  }

  /** Encodes a pool of each kind, one after the other, into {@code memory}. */
  private static Map<Kind, MemorySegment> pools(
      SyntheticHeader header, long seed, MemorySegment memory) {
    Map<Kind, MemorySegment> pools = new HashMap<>();
    int values = poolValues(header.tensors());
    float[] numbers = new float[PIECE];
    long at = 0;
    for (Kind kind : kinds(header)) {
      MemorySegment pool = memory.asSlice(at, kind.format().bytes(values));
      SplittableRandom random = new SplittableRandom(seed);
      for (int from = 0; from < values; from += numbers.length) {
        for (int i = 0; i < numbers.length; i++) {
          numbers[i] = (float) (kind.deviation() * random.nextGaussian());
        }
        MemorySegment source = MemorySegment.ofArray(numbers);
        kind.format().encode(source, 0, pool, kind.format().bytes(from), numbers.length);
      }
      pools.put(kind, pool);
      at += pool.byteSize();
    }
    return pools;
  }

  /** Writes a matrix of blocks drawn from a pool. */
  private static void matrix(
      TensorInfo tensor,
      MemorySegment pool,
      SplittableRandom random,
      MemorySegment chunk,
      GgufWriter writer) {
    int values = Math.max(tensor.format().blockValues(), 32);
    long unit = tensor.format().bytes(values);
    int units = (int) (pool.byteSize() / unit);
    long most = chunk.byteSize() / unit * unit;
    for (long left = tensor.bytes(); left > 0; ) {
      long bytes = Math.min(left, most);
      for (long at = 0; at < bytes; at += unit) {
        long from = random.nextInt(units) * unit;
        MemorySegment.copy(pool, from, chunk, at, Math.min(unit, bytes - at));
      }
      writer.write(tensor, chunk.asSlice(0, bytes));
      left -= bytes;
    }
  }
}

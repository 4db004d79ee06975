package dev.knapsack.planner;

import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.kernel.AttentionShape;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.KernelLimits;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.kernel.Kernels;
import dev.knapsack.kernel.KvSpan;
import dev.knapsack.kernel.Queries;
import dev.knapsack.kernel.WorkerTeam;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Lease;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.LongAdder;

/**
 * Measures what a {@link Machine} can do, with the kernels and the threads that will be used.
 *
 * <p>Each figure takes some seconds at the most: rounds are timed until they stop getting faster
 * (the JVM compiles the kernels meanwhile), and the last count. Memory is leased for the time of
 * the measurement.
 */
public final class MachineProbe implements AutoCloseable {
  private static final long WINDOW = 64L << 20;
  private static final long LEAST_WINDOW = 1L << 20;
  private static final int COLUMNS = 2048;
  private static final int ROWS = 2048;
  private static final int PREFILL_ROWS = 512;
  private static final int PREFILL_TOKENS = 64;
  private static final int DISK_READ = 8 << 20;
  private static final int DISK_TENSORS = 8;

  /** Long enough for what a burst hides. */
  private static final double DISK_SECONDS = 0.4;

  /** The longest that one figure is measured. */
  static final double MOST_SECONDS = 2.5;

  /**
   * Until then the JVM may still be compiling what is measured, and a steady rate means nothing.
   */
  private static final double LEAST_SECONDS = 1.5;

  /** Seconds to measure at the least where what is measured is machine code from the start. */
  private static final double LEAST_SECONDS_OF_MACHINE_CODE = 0.4;

  // What attention is measured with: a usual shape.
  private static final int HEADS = 32;
  private static final int KV_HEADS = 8;
  private static final int HEAD_SIZE = 64;
  private static final int PAGE_TOKENS = 64;

  /** A format with a smaller share of the model's bytes decides nothing. */
  private static final double LEAST_SHARE = 0.01;

  private final Kernels kernels;
  private final WorkerTeam team;
  private final Account account;
  private final double mostSeconds;
  private final SteadyRate rate;
  private final Lease lease;
  private final LongAdder sum = new LongAdder();

  /**
   * Leases memory to measure with: 64 MiB, or half of what is free if that is less.
   *
   * @throws dev.knapsack.error.BudgetExceededException if not even a megabyte is free
   */
  MachineProbe(Kernels kernels, WorkerTeam team, Account account, double mostSeconds) {
    this.mostSeconds = mostSeconds;
    boolean machineCode = kernels.provider() == KernelProvider.X86;
    double least = machineCode ? LEAST_SECONDS_OF_MACHINE_CODE : LEAST_SECONDS;
    this.rate = new SteadyRate(least, mostSeconds);
    this.kernels = kernels;
    this.team = team;
    this.account = account;
    long bytes = Math.min(WINDOW, Math.max(LEAST_WINDOW, account.free() / 2));
    this.lease = account.lease(bytes);
    // Every format reads this pattern as small ordinary numbers.
    lease.segment().fill((byte) 0x11);
  }

  /** The processor's own name. */
  public static String processor() {
    try {
      for (String line : Files.readAllLines(Path.of("/proc/cpuinfo"))) {
        if (line.startsWith("model name")) {
          return line.substring(line.indexOf(':') + 1).strip();
        }
      }
    } catch (IOException notThisSystem) {
      return System.getProperty("os.arch", "unknown");
    }
    return System.getProperty("os.arch", "unknown");
  }

  /** The formats that a model's matrices are in, those with the most bytes first. */
  public static List<Format> formats(ModelFile file) {
    Map<String, Long> bytes = new TreeMap<>();
    long all = 0;
    for (TensorInfo tensor : file.tensors().values()) {
      bytes.merge(tensor.format().name(), tensor.bytes(), Long::sum);
      all += tensor.bytes();
    }
    double least = LEAST_SHARE * all;
    return bytes.entrySet().stream()
        .filter(e -> e.getValue() >= least)
        .sorted(Map.Entry.comparingByValue(Comparator.reverseOrder()))
        .map(e -> Formats.byName(e.getKey()))
        .toList();
  }

  /** Bytes that are read at a time to measure memory. */
  private static final long READ = 4 << 20;

  /** Bytes per second that all threads together read from memory. */
  public double memoryBytesPerSecond() {
    // In windows, so that a call is short even before it is compiled.
    long words = Math.min(READ, lease.segment().byteSize()) / Long.BYTES;
    long windows = lease.segment().byteSize() / Long.BYTES / words;
    int parts = team.workers() * 4;
    long[] next = {0};
    double measured =
        rate.of(() -> {
          long from = next[0]++ % windows * words;
          team.run(
              parts,
              (part, all, worker) ->
                  sum.add(
                      Limits.sum(
                          lease.segment(),
                          from + words * part / all,
                          from + words * (part + 1) / all)));
          return words * (double) Long.BYTES;
        });
    if (sum.sum() == 0) {
      throw new IllegalStateException("The probe's memory was not read");
    }
    return measured;
  }

  /** Rates of matrix products with weights of this format. */
  public Machine.Rates rates(Format format) {
    return new Machine.Rates(
        productRate(format, ROWS, 1), productRate(format, PREFILL_ROWS, PREFILL_TOKENS));
  }

  private double productRate(Format format, int rows, int tokens) {
    int available = (int) Math.min(1 << 20, lease.segment().byteSize() / format.bytes(COLUMNS));
    int each = Math.min(rows, available);
    // Windows follow each other, so that with one token weights come from memory and no cache.
    int windows = tokens == 1 ? available / each : 1;
    int[] next = {0};
    long activations = (long) tokens * COLUMNS * Float.BYTES;
    long outputs = (long) tokens * each * Float.BYTES;
    KernelLimits limits = new KernelLimits(tokens, COLUMNS, 1, 1, 1);
    try (Lease memory = account.lease(activations + outputs);
        Compute compute =
            new Compute(kernels, team, kernels.products().precision(), limits, account)) {
      MemorySegment in = memory.segment().asSlice(0, activations);
      for (long i = 0; i < activations / Float.BYTES; i++) {
        in.setAtIndex(ValueLayout.JAVA_FLOAT, i, (i % 17 - 8) / 8f);
      }
      Matrix x = new Matrix(Formats.F32, tokens, COLUMNS, in);
      Matrix out = new Matrix(Formats.F32, tokens, each, memory.segment().asSlice(activations));
      Matrix all = new Matrix(format, available, COLUMNS, lease.segment());
      return rate.of(() -> {
        int from = next[0]++ % windows * each;
        compute.matmul(all.rows(from, from + each), x, out);
        return (double) each * COLUMNS * tokens;
      });
    }
  }

  /** Rates of attention over an F16 cache that lies in the processor's caches. */
  public Machine.Rates attentionRates() {
    return new Machine.Rates(attentionRate(1), attentionRate(PREFILL_TOKENS));
  }

  private double attentionRate(int tokens) {
    long valuesAt = Formats.F16.bytes((long) PAGE_TOKENS * HEAD_SIZE);
    int count = (int) Math.min(8, lease.segment().byteSize() / (2 * valuesAt * KV_HEADS));
    int length = count * PAGE_TOKENS;
    KvSpan[][] heads = new KvSpan[KV_HEADS][1];
    for (int h = 0; h < KV_HEADS; h++) {
      long[] pages = new long[count];
      for (int i = 0; i < count; i++) {
        pages[i] = 2 * valuesAt * (h * count + i);
      }
      heads[h][0] =
          new KvSpan(
              Formats.F16,
              Formats.F16,
              PAGE_TOKENS,
              lease.segment(),
              pages,
              valuesAt,
              length,
              0,
              KvSpan.NO_GAPS);
    }
    AttentionShape shape =
        new AttentionShape(HEADS, KV_HEADS, HEAD_SIZE, HEAD_SIZE, 0.125f, 0, 0, false, null);
    KernelLimits limits = new KernelLimits(tokens, COLUMNS, HEADS, HEADS / KV_HEADS, HEAD_SIZE);
    long bytes = Formats.F32.bytes((long) tokens * HEADS * HEAD_SIZE);
    try (Lease memory = account.lease(2 * bytes);
        Compute compute =
            new Compute(kernels, team, kernels.products().precision(), limits, account)) {
      int columns = HEADS * HEAD_SIZE;
      Matrix q = new Matrix(Formats.F32, tokens, columns, memory.segment().asSlice(0, bytes));
      Matrix out = new Matrix(Formats.F32, tokens, columns, memory.segment().asSlice(bytes));
      return rate.of(() -> {
        compute.attention(shape, List.of(new Queries(q, length - 1, heads, out)));
        return 2.0 * tokens * columns * length;
      });
    }
  }

  /** Bytes per second of large reads from the disk that holds the model. */
  public double diskBytesPerSecond(ModelFile file) {
    List<TensorInfo> large = new ArrayList<>(file.tensors().values());
    large.sort(Comparator.comparingLong(TensorInfo::bytes).reversed());
    int count = Math.min(large.size(), DISK_TENSORS);
    double bytes = 0;
    double most = Math.min(DISK_SECONDS, mostSeconds / 2);
    long start = System.nanoTime();
    for (int i = 0; i < count || SteadyRate.seconds(start) < most; i++) {
      TensorInfo tensor = large.get(i % count);
      long alignment = file.alignment(tensor, 0);
      long length =
          Math.min(Math.min(DISK_READ, tensor.bytes()), lease.segment().byteSize() - alignment);
      file.read(tensor, 0, lease.segment().asSlice(alignment, length));
      if (i == 0) {
        // The first read wakes the disk, which streaming keeps awake.
        start = System.nanoTime();
      } else {
        bytes += length;
      }
      if (SteadyRate.seconds(start) > 2 * most) {
        break;
      }
    }
    double rate = Math.max(1, bytes) / Math.max(1e-9, SteadyRate.seconds(start));
    lease.segment().fill((byte) 0x11);
    return rate;
  }

  @Override
  public void close() {
    lease.close();
  }
}

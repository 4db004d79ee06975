package dev.knapsack.bench;

import dev.knapsack.cache.KvLayout;
import dev.knapsack.kernel.AttentionShape;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.kernel.Kernels;
import dev.knapsack.kernel.KvSpan;
import dev.knapsack.kernel.Scratch;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** Attention of one token over 4096 cached ones: 32 query heads, 8 KV heads, of 64 numbers. */
@SuppressWarnings("NullAway.Init") // JMH calls what is annotated Setup first
@State(Scope.Thread)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class AttentionBenchmark {
  private static final int CACHED = 4096;
  private static final int HEADS = 32;
  private static final int KV_HEADS = 8;
  private static final int SIZE = 64;
  private static final AttentionShape SHAPE =
      new AttentionShape(HEADS, KV_HEADS, SIZE, SIZE, 0.125f, 0, 0, true, null);

  @Param({"VECTOR", "X86"})
  KernelProvider provider;

  @Param({"F16", "Q8_0"})
  String format;

  private Operands operands;
  private Kernels kernels;
  private Scratch scratch;
  private KvSpan[][] heads;
  private Matrix q;
  private Matrix out;

  @Setup
  public void prepare() {
    operands = new Operands();
    kernels = provider.open().kernels();
    Format stored = Formats.byName(format);
    scratch = Operands.scratch(kernels, 1, HEADS * SIZE, HEADS, HEADS / KV_HEADS, SIZE);
    heads = new KvSpan[KV_HEADS][];
    for (int h = 0; h < KV_HEADS; h++) {
      heads[h] = new KvSpan[] {span(operands, stored, SIZE, CACHED)};
    }
    q = operands.floats(1, HEADS * SIZE);
    out = operands.empty(Formats.F32, 1, HEADS * SIZE);
  }

  /** A span of so many cached tokens of one head. */
  static KvSpan span(Operands operands, Format stored, int size, int tokens) {
    int page = KvLayout.PAGE_TOKENS;
    long bytes = stored.bytes((long) page * size);
    long[] pages = new long[tokens / page];
    Arrays.setAll(pages, i -> 2L * i * bytes);
    MemorySegment memory = operands.matrix(stored, 2 * tokens, size).data();
    return new KvSpan(stored, stored, page, memory, pages, bytes, tokens, 0, KvSpan.NO_GAPS);
  }

  @TearDown
  public void free() {
    operands.free();
  }

  /** Attention of one row, in multiply-adds. */
  @Benchmark
  public void oneRow(ProductBenchmark.Done done) {
    for (int head = 0; head < KV_HEADS; head++) {
      kernels.attention().attend(SHAPE, q, CACHED - 1, heads[head], head, out, 0, 1, scratch);
    }
    done.work += 2L * HEADS * SIZE * CACHED;
  }
}

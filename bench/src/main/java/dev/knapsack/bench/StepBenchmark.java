package dev.knapsack.bench;

import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.kernel.Kernels;
import dev.knapsack.kernel.Rope;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import dev.knapsack.tensor.Q8Activations;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
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

/**
 * A benchmark of the work of a step beside products and attention, on 16 tokens of 2048 numbers,
 * which are cached.
 */
@SuppressWarnings("NullAway.Init") // JMH calls what is annotated Setup first
@State(Scope.Thread)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class StepBenchmark {
  private static final int TOKENS = 16;
  private static final int COLUMNS = 2048;
  private static final int HEAD = 64;

  @Param({"VECTOR", "X86"})
  KernelProvider provider;

  private final Rope rope = Rope.plain(Rope.Pairs.HALF_SPLIT, HEAD, 500_000);
  private final int[] positions = IntStream.range(1000, 1000 + TOKENS).toArray();
  private Operands operands;
  private Kernels kernels;
  private Matrix x;
  private Matrix y;
  private Matrix out;
  private Matrix codes;
  private MemorySegment weight;

  @Setup
  public void prepare() {
    operands = new Operands();
    kernels = provider.open().kernels();
    x = operands.floats(TOKENS, COLUMNS);
    y = operands.floats(TOKENS, COLUMNS);
    out = operands.empty(Formats.F32, TOKENS, COLUMNS);
    codes = operands.empty(Q8Activations.FORMAT, TOKENS, COLUMNS);
    weight = operands.floats(1, COLUMNS).data();
  }

  @TearDown
  public void free() {
    operands.free();
  }

  @Benchmark
  public void quantise(ProductBenchmark.Done done) {
    kernels.products().quantise(x, codes, 0, TOKENS);
    done.work += TOKENS * COLUMNS;
  }

  @Benchmark
  public void rmsNorm(ProductBenchmark.Done done) {
    kernels.rows().rmsNorm(x, weight, COLUMNS, 1e-5f, out, 0, TOKENS);
    done.work += TOKENS * COLUMNS;
  }

  @Benchmark
  public void rope(ProductBenchmark.Done done) {
    kernels.rows().rope(x, HEAD, rope, positions, 0, TOKENS);
    done.work += TOKENS * COLUMNS;
  }

  @Benchmark
  public void gatedActivation(ProductBenchmark.Done done) {
    kernels.gatedActivation().apply(Activation.SILU, x, y, out, 0, TOKENS);
    done.work += TOKENS * COLUMNS;
  }
}

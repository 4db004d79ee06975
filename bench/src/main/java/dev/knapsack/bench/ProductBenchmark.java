package dev.knapsack.bench;

import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.kernel.Kernels;
import dev.knapsack.kernel.MatrixProducts.Tokens;
import dev.knapsack.kernel.Scratch;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.AuxCounters;
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

/** Matrix products, of 2048 columns. */
@SuppressWarnings("NullAway.Init") // JMH calls what is annotated Setup first
@State(Scope.Thread)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class ProductBenchmark {
  private static final int COLUMNS = 2048;

  /** With one token: more than a cache holds. */
  private static final int MANY_ROWS = 32_768;

  private static final int ROWS = 2048;
  private static final int TOKENS = 128;

  @Param({"VECTOR", "X86"})
  KernelProvider provider;

  @Param({
    "F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K", "Q5_K", "Q6_K", "MXFP4", "IQ4_XS", "Q2_K", "Q3_K",
    "TQ1_0", "TQ2_0"
  })
  String format;

  private Operands operands;
  private Kernels kernels;
  private Scratch scratch;
  private Matrix manyRows;
  private Matrix rows;
  private Matrix token;
  private Matrix tokens;
  private Matrix tokenOut;
  private Matrix out;

  /** The work that was done, to be divided by the time. */
  @State(Scope.Thread)
  @AuxCounters(AuxCounters.Type.OPERATIONS)
  public static class Done {
    public long work;
  }

  @Setup
  public void prepare() {
    operands = new Operands();
    kernels = provider.open().kernels();
    Format stored = Formats.byName(format);
    scratch = Operands.scratch(kernels, TOKENS, COLUMNS, 1, 1, 1);
    manyRows = operands.matrix(stored, MANY_ROWS, COLUMNS);
    rows = manyRows.rows(0, ROWS);
    token = operands.activations(kernels, stored, 1, COLUMNS);
    tokens = operands.activations(kernels, stored, TOKENS, COLUMNS);
    tokenOut = operands.empty(Formats.F32, 1, MANY_ROWS);
    out = operands.empty(Formats.F32, TOKENS, ROWS);
  }

  @TearDown
  public void free() {
    operands.free();
  }

  /** Products with one token, in bytes of weights. */
  @Benchmark
  public void oneToken(Done done) {
    kernels.products().matmul(manyRows, token, Tokens.ALONE, tokenOut, 0, MANY_ROWS, scratch);
    done.work += manyRows.rowBytes() * MANY_ROWS;
  }

  /** Products with many tokens, in multiply-adds. */
  @Benchmark
  public void manyTokens(Done done) {
    kernels.products().matmul(rows, tokens, Tokens.TOGETHER, out, 0, ROWS, scratch);
    done.work += (long) ROWS * COLUMNS * TOKENS;
  }
}

package dev.knapsack.kernel;

import static dev.knapsack.kernel.Operands.assertClose;
import static dev.knapsack.kernel.Operands.assertSame;
import static dev.knapsack.kernel.Operands.floats;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.knapsack.kernel.MatrixProducts.Tokens;
import dev.knapsack.kernel.x86.EmulatedKernels;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import dev.knapsack.tensor.Q8Activations;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Every provider does what {@link ScalarKernels} does, and touches nothing in front of its operands
 * or behind them.
 */
@ParameterizedClass
@EnumSource
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class KernelsContractTest {
  private static final Kernels DEFINITION = ScalarKernels.open();

  /** Float arithmetic in another order. */
  private static final double ROUNDING = 1e-11;

  @Parameter private Guard guard;
  private Arena arena;

  @BeforeEach
  void allocate() {
    arena = Arena.ofConfined();
  }

  @AfterEach
  void free() {
    arena.close();
  }

  private Operands operands(long seed) {
    return new Operands(seed, guard, arena);
  }

  static Stream<Kernels> providers() {
    return KernelProvider.here().stream().map(provider -> provider.open().kernels());
  }

  /** Those that work here, and the one in machine code for other processors too. */
  Stream<Kernels> providersAndEmulated() {
    return Stream.concat(providers(), emulated());
  }

  /** Beside one guard alone: what is emulated sees to its bounds itself. */
  private Stream<Kernels> emulated() {
    return guard == Guard.BEHIND ? EmulatedKernels.all() : Stream.empty();
  }

  /** And the most rows: what is emulated is slow, and takes rows by fours or eights. */
  Stream<Arguments> productsAndFormats() {
    return Stream.concat(withFormats(providers(), 40), withFormats(emulated(), 10));
  }

  private static Stream<Arguments> withFormats(Stream<Kernels> kernels, int rows) {
    return kernels.flatMap(k -> Formats.weights().stream().map(f -> Arguments.of(k, f, rows)));
  }

  @ParameterizedTest
  @MethodSource("productsAndFormats")
  void matmul(Kernels kernels, Format format, int mostRows) {
    Operands operands = operands(format.name().hashCode());
    for (int tokens : new int[] {1, 2, 5, 12}) {
      int rows = operands.between(1, mostRows);
      int columns = columns(operands, format);
      Matrix w = operands.encoded(format, rows, columns);
      Matrix x = operands.floats(tokens, columns);
      checkMatmul(kernels, operands, w, x, ROUNDING);
      if (columns % 32 == 0) {
        Matrix codes =
            new Matrix(
                Q8Activations.FORMAT,
                tokens,
                columns,
                operands.memory(Q8Activations.FORMAT.bytes(columns) * tokens));
        kernels.products().quantise(x, codes, 0, tokens);
        checkMatmul(kernels, operands, w, codes, ROUNDING);
      }
    }
  }

  /** How many other tokens there are changes no bit of what one gives. */
  private static void checkTokens(
      MatrixProducts products,
      Operands operands,
      Matrix w,
      Matrix x,
      Tokens tokens,
      Scratch scratch) {
    int rows = w.rows();
    Matrix all = operands.poisoned(x.rows(), rows);
    products.matmul(w, x, tokens, all, 0, rows, scratch);
    int cut = operands.between(0, x.rows() - 1);
    Matrix some = operands.poisoned(x.rows(), rows);
    for (int[] part : new int[][] {{0, cut}, {cut, cut + 1}, {cut + 1, x.rows()}}) {
      if (part[0] < part[1]) {
        Matrix out = some.rows(part[0], part[1]);
        products.matmul(w, x.rows(part[0], part[1]), tokens, out, 0, rows, scratch);
      }
    }
    assertSame(some, all);
  }

  /** What is counted is whole, and the same each time. */
  @ParameterizedTest
  @MethodSource("providersAndEmulated")
  void multiplyAddOnes(Kernels kernels) {
    for (Compute.Precision precision : Compute.Precision.values()) {
      double count = kernels.peak().multiplyAddOnes(precision);
      assertThat(count).isGreaterThan(10_000).isEqualTo(Math.rint(count));
      assertThat(count % 4096).isZero();
      assertThat(kernels.peak().multiplyAddOnes(precision)).isEqualTo(count);
    }
  }

  private static int columns(Operands operands, Format format) {
    int block = format.blockValues();
    return switch (operands.between(0, 3)) {
      case 0 -> block;
      case 1 -> Math.ceilDiv(1100, block) * block;
      case 2 -> Math.max(32, block) * operands.between(1, 5);
      default -> block * operands.between(1, block > 1 ? 3 : 200);
    };
  }

  private static void checkMatmul(
      Kernels kernels, Operands operands, Matrix w, Matrix x, double tolerance) {
    int rows = w.rows();
    KernelLimits limits = new KernelLimits(x.rows(), x.columns(), 1, 1, 1);
    Scratch scratch = Operands.scratch(kernels, limits);
    int from = operands.between(0, rows - 1);
    int to = operands.between(from, rows);
    Matrix expected = operands.poisoned(x.rows(), rows);
    Matrix actual = operands.copy(expected);
    Tokens tokens = Tokens.of(x.rows());
    Scratch other = Operands.scratch(DEFINITION, limits);
    DEFINITION.products().matmul(w, x, tokens, expected, from, to, other);
    MatrixProducts products = kernels.products();
    products.matmul(w, x, tokens, actual, from, to, scratch);
    assertClose(actual, expected, tolerance);

    // In other ranges, the same bits.
    Matrix whole = operands.poisoned(x.rows(), rows);
    products.matmul(w, x, tokens, whole, 0, rows, scratch);
    Matrix parts = operands.poisoned(x.rows(), rows);
    products.matmul(w, x, tokens, parts, 0, from, scratch);
    products.matmul(w, x, tokens, parts, from, to, scratch);
    products.matmul(w, x, tokens, parts, to, rows, scratch);
    assertSame(parts, whole);
    for (Tokens each : Tokens.values()) {
      checkTokens(products, operands, w, x, each, scratch);
    }
  }

  @ParameterizedTest
  @MethodSource("providersAndEmulated")
  void norms(Kernels kernels) {
    Operands operands = operands(3);
    for (int round = 0; round < 30; round++) {
      int groupSize = operands.between(1, 70) * (round % 4 == 1 ? 8 : 1);
      int groups = round % 2 == 0 ? 1 : operands.between(1, 4);
      int rows = operands.between(1, 5);
      Matrix x = operands.floats(rows, groupSize * groups, round % 5 == 0 ? 1e-4 : 1);
      MemorySegment weight = round % 3 == 0 ? null : operands.floats(1, groupSize).data();
      compare(
          kernels,
          operands,
          rows,
          groupSize * groups,
          (k, out, from, to) -> k.rows().rmsNorm(x, weight, groupSize, 1e-6f, out, from, to));
      compareInPlace(
          kernels,
          operands,
          x,
          (k, y, from, to) -> k.rows().rmsNorm(y, weight, groupSize, 1e-6f, y, from, to));
      MemorySegment scale = operands.floats(1, x.columns()).data();
      MemorySegment bias = round % 3 == 0 ? null : operands.floats(1, x.columns()).data();
      compare(
          kernels,
          operands,
          rows,
          x.columns(),
          (k, out, from, to) -> k.rows().layerNorm(x, scale, bias, 1e-5f, out, from, to));
    }
  }

  @ParameterizedTest
  @MethodSource("providersAndEmulated")
  void sums(Kernels kernels) {
    Operands operands = operands(4);
    for (int round = 0; round < 20; round++) {
      int columns = operands.between(1, 70) * (round % 2 == 0 ? 8 : 1);
      Matrix x = operands.floats(operands.between(1, 5), columns);
      Matrix y = operands.floats(x.rows(), x.columns());
      float factor = (float) operands.random().nextGaussian();
      compareInPlace(
          kernels, operands, x, (k, z, from, to) -> k.rows().add(z, y, factor, from, to));
      compareInPlace(
          kernels, operands, x, (k, z, from, to) -> k.rows().addBias(z, y.data(), from, to));
      MemorySegment share = operands.floats(1, x.columns()).data();
      compare(
          kernels,
          operands,
          x.rows(),
          x.columns(),
          (k, out, from, to) -> k.rows().mix(x, y, share, out, from, to));
      compareInPlace(kernels, operands, x, (k, z, from, to) -> k.rows().scale(z, factor, from, to));
      compareInPlace(kernels, operands, x, (k, z, from, to) -> k.rows().softCap(z, 0.7f, from, to));
      compareInPlace(kernels, operands, x, (k, z, from, to) -> k.rows().softCap(z, 30, from, to));
    }
  }

  @ParameterizedTest
  @MethodSource("providersAndEmulated")
  void gatedActivations(Kernels kernels) {
    Operands operands = operands(5);
    for (Activation activation : Activation.values()) {
      for (double scale : new double[] {0.01, 1, 5, 200}) {
        int rows = operands.between(1, 4);
        int columns = operands.between(1, 100) * (rows % 2 == 0 ? 8 : 1);
        Matrix gate = operands.floats(rows, columns, scale);
        Matrix up = operands.floats(rows, columns, 3);
        compare(
            kernels,
            operands,
            rows,
            columns,
            (k, out, from, to) -> k.gatedActivation().apply(activation, gate, up, out, from, to));
        compareInPlace(
            kernels,
            operands,
            gate,
            (k, x, from, to) -> k.gatedActivation().apply(activation, x, up, x, from, to));
      }
    }
  }

  @ParameterizedTest
  @MethodSource("providersAndEmulated")
  void activationsWithoutAGate(Kernels kernels) {
    Operands operands = operands(23);
    for (double scale : new double[] {0.01, 1, 5, 200}) {
      int columns = operands.between(1, 100) * (scale < 5 ? 1 : 8);
      Matrix x = operands.floats(operands.between(1, 4), columns, scale);
      for (Activation activation : Activation.values()) {
        RowOperation operation = (k, y, from, to) -> k.rows().activate(activation, y, from, to);
        if (activation == Activation.GPT_OSS) {
          assertThatThrownBy(() -> operation.apply(kernels, operands.copy(x), 0, x.rows()))
              .isInstanceOf(IllegalArgumentException.class)
              .hasMessage("GPT_OSS is an activation of gated layers alone");
        } else {
          compareInPlace(kernels, operands, x, operation);
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("providers")
  void xielu(Kernels kernels) {
    Operands operands = operands(24);
    for (double scale : new double[] {1e-6, 0.01, 1, 5, 200}) {
      for (float beta : new float[] {0, 0.5f}) {
        Xielu curve = new Xielu(0.8f, 1.3f, beta, -1e-6f);
        Matrix x = operands.floats(operands.between(1, 4), operands.between(1, 100), scale);
        compareInPlace(
            kernels, operands, x, (k, y, from, to) -> k.rows().xielu(curve, y, from, to));
      }
    }
  }

  /** The definition's own: the curve is bent on both sides, and straight at the limit. */
  @Test
  void xieluIsWhatItsFormulaSays() {
    Xielu curve = new Xielu(2, 3, 0.5f, -0.25f);
    assertThat(curve.at(1.5)).isEqualTo(2 * 2.25 + 0.75);
    assertThat(curve.at(-2)).isCloseTo(3 * (Math.exp(-2) - 1 + 2) - 1, within(1e-12));
    assertThat(curve.at(-0.125))
        .isCloseTo(3 * (Math.exp(-0.25) - 1 + 0.125) - 0.0625, within(1e-12));
  }

  @ParameterizedTest
  @MethodSource("providers")
  void rope(Kernels kernels) {
    Operands operands = operands(6);
    for (Rope.Pairs pairs : Rope.Pairs.values()) {
      for (int round = 0; round < 10; round++) {
        int headSize = 2 * operands.between(1, 40);
        int dimensions = 2 * operands.between(1, headSize / 2);
        Rope rope = Rope.plain(pairs, dimensions, 10_000).withMagnitude(1.2f);
        Matrix x = operands.floats(operands.between(1, 5), headSize * operands.between(1, 4));
        int[] positions = operands.random().ints(x.rows(), 0, 100_000).toArray();
        compareInPlace(
            kernels,
            operands,
            x,
            (k, y, from, to) -> k.rows().rope(y, headSize, rope, positions, from, to));
      }
    }
  }

  /** In any channels, in all or in some, and rows, which give the same bits. */
  @ParameterizedTest
  @MethodSource("providers")
  void convolve(Kernels kernels) {
    Operands operands = operands(25);
    for (int channels : new int[] {1, 7, 16, 23, 64, 100}) {
      int taps = operands.between(1, 5);
      int rows = operands.between(1, 9);
      int cut = operands.between(1, channels);
      int firstRows = operands.between(0, rows - 1);
      float[] factors = floats(operands.floats(taps, channels));
      float[] bias = floats(operands.floats(1, channels));
      float[] x = floats(operands.floats(taps - 1 + rows, channels, 2));
      for (boolean silu : new boolean[] {false, true}) {
        float[] expected = new float[rows * channels];
        float[] actual = new float[rows * channels];
        DEFINITION.recurrences().convolve(factors, bias, silu, x, rows, expected);
        kernels.recurrences().convolve(factors, bias, silu, x, rows, actual);
        assertClose(actual, expected, ROUNDING);
        float[] some = new float[rows * cut];
        kernels
            .recurrences()
            .convolve(
                columns(factors, channels, 0, cut),
                Arrays.copyOf(bias, cut),
                silu,
                columns(x, channels, 0, cut),
                rows,
                some);
        assertThat(some).isEqualTo(columns(actual, channels, 0, cut));
        float[] later = new float[(rows - firstRows) * channels];
        float[] rest = Arrays.copyOfRange(x, firstRows * channels, x.length);
        kernels.recurrences().convolve(factors, bias, silu, rest, rows - firstRows, later);
        assertThat(later)
            .isEqualTo(Arrays.copyOfRange(actual, firstRows * channels, rows * channels));
      }
    }
  }

  /** In all columns or in some, in place or not. */
  @ParameterizedTest
  @MethodSource("providers")
  void decay(Kernels kernels) {
    Operands operands = operands(26);
    for (int columns : new int[] {1, 7, 16, 23, 64, 100}) {
      int rows = operands.between(1, 20);
      int cut = operands.between(1, columns);
      float[] rate = negative(operands, rows * columns);
      float[] step = fractions(operands, columns);
      float[] expected = new float[rate.length];
      float[] actual = new float[rate.length];
      float[] some = new float[rows * cut];
      DEFINITION.recurrences().decay(rate, step, expected);
      kernels.recurrences().decay(rate, step, actual);
      kernels.recurrences().decay(columns(rate, columns, 0, cut), Arrays.copyOf(step, cut), some);
      assertClose(actual, expected, ROUNDING);
      assertThat(some).isEqualTo(columns(actual, columns, 0, cut));
      kernels.recurrences().decay(Arrays.copyOf(rate, columns), step, step);
      assertThat(step).isEqualTo(Arrays.copyOf(actual, columns));
    }
  }

  private static float[] negative(Operands operands, int count) {
    float[] numbers = floats(operands.floats(1, count));
    for (int i = 0; i < count; i++) {
      numbers[i] = -Math.abs(numbers[i]);
    }
    return numbers;
  }

  private static float[] fractions(Operands operands, int count) {
    float[] numbers = new float[count];
    for (int i = 0; i < count; i++) {
      numbers[i] = operands.random().nextFloat();
    }
    return numbers;
  }

  private static float[] columns(float[] rows, int columns, int from, int to) {
    int count = rows.length / columns;
    float[] some = new float[count * (to - from)];
    for (int row = 0; row < count; row++) {
      System.arraycopy(rows, row * columns + from, some, row * (to - from), to - from);
    }
    return some;
  }

  @ParameterizedTest
  @MethodSource("providers")
  void deltaRule(Kernels kernels) {
    checkSteps(
        kernels,
        operands(12),
        (operands, keys, columns) -> {
          float[] query = floats(operands.floats(1, keys));
          float[] key = floats(operands.floats(1, keys, 1 / Math.sqrt(keys)));
          float[] decay = fractions(operands, keys);
          float strength = operands.random().nextFloat();
          float[] value = floats(operands.floats(1, columns));
          return (k, from, to, state, out) ->
              k.deltaRule(
                  query, key, decay, strength, Arrays.copyOfRange(value, from, to), state, out);
        });
  }

  @ParameterizedTest
  @MethodSource("providers")
  void stateSpace(Kernels kernels) {
    checkSteps(
        kernels,
        operands(27),
        (operands, keys, columns) -> {
          float kept = operands.random().nextFloat();
          float step = operands.random().nextFloat();
          float skip = operands.random().nextFloat();
          float[] x = floats(operands.floats(1, columns));
          float[] b = floats(operands.floats(1, keys));
          float[] c = floats(operands.floats(1, keys));
          return (k, from, to, state, out) ->
              k.stateSpace(kept, step, skip, Arrays.copyOfRange(x, from, to), b, c, state, out);
        });
  }

  @ParameterizedTest
  @MethodSource("providers")
  void selectiveScan(Kernels kernels) {
    checkSteps(
        kernels,
        operands(28),
        (operands, keys, columns) -> {
          float[] kept = fractions(operands, keys * columns);
          float[] step = fractions(operands, columns);
          float[] skip = floats(operands.floats(1, columns));
          float[] x = floats(operands.floats(1, columns));
          float[] b = floats(operands.floats(1, keys));
          float[] c = floats(operands.floats(1, keys));
          return (k, from, to, state, out) ->
              k.selectiveScan(
                  columns(kept, columns, from, to),
                  Arrays.copyOfRange(step, from, to),
                  Arrays.copyOfRange(skip, from, to),
                  Arrays.copyOfRange(x, from, to),
                  b,
                  c,
                  state,
                  out);
        });
  }

  @ParameterizedTest
  @MethodSource("providers")
  void timeMix(Kernels kernels) {
    checkSteps(
        kernels,
        operands(29),
        (operands, keys, columns) -> {
          float[] query = floats(operands.floats(1, keys));
          float[] key = floats(operands.floats(1, keys));
          float[] decay = fractions(operands, keys);
          float[] removed = floats(operands.floats(1, keys, 1 / Math.sqrt(keys)));
          float[] written = fractions(operands, keys);
          for (int i = 0; i < keys; i++) {
            written[i] *= removed[i];
          }
          float[] value = floats(operands.floats(1, columns));
          return (k, from, to, state, out) ->
              k.timeMix(
                  query,
                  key,
                  decay,
                  removed,
                  written,
                  Arrays.copyOfRange(value, from, to),
                  state,
                  out);
        });
  }

  /** A token's step in some columns of a state. */
  private interface Step {
    void apply(Recurrences kernels, int from, int to, float[] state, float[] out);
  }

  private interface Steps {
    Step next(Operands operands, int keys, int columns);
  }

  /** In any number of columns, in all or in some, which give the same bits. */
  private static void checkSteps(Kernels kernels, Operands operands, Steps steps) {
    for (int columns : new int[] {1, 7, 16, 23, 64, 100}) {
      int keys = operands.between(1, 70);
      int cut = operands.between(0, columns);
      float[] expected = floats(operands.floats(keys, columns));
      float[] actual = expected.clone();
      float[] left = columns(expected, columns, 0, cut);
      float[] right = columns(expected, columns, cut, columns);
      // A sum that is alone may cancel.
      double rounding = columns == 1 ? 10 * ROUNDING : ROUNDING;
      for (int token = 0; token < 20; token++) {
        Step step = steps.next(operands, keys, columns);
        float[] expectedOut = new float[columns];
        float[] actualOut = new float[columns];
        float[] leftOut = new float[cut];
        float[] rightOut = new float[columns - cut];
        step.apply(DEFINITION.recurrences(), 0, columns, expected, expectedOut);
        step.apply(kernels.recurrences(), 0, columns, actual, actualOut);
        step.apply(kernels.recurrences(), 0, cut, left, leftOut);
        step.apply(kernels.recurrences(), cut, columns, right, rightOut);
        assertClose(actualOut, expectedOut, rounding);
        assertClose(actual, expected, rounding);
        assertThat(leftOut).isEqualTo(Arrays.copyOf(actualOut, cut));
        assertThat(rightOut).isEqualTo(Arrays.copyOfRange(actualOut, cut, columns));
      }
      assertThat(left).isEqualTo(columns(actual, columns, 0, cut));
      assertThat(right).isEqualTo(columns(actual, columns, cut, columns));
    }
  }

  @ParameterizedTest
  @MethodSource("providers")
  void softmax(Kernels kernels) {
    Operands operands = operands(7);
    for (int length : new int[] {1, 2, 7, 8, 9, 31, 64, 1000}) {
      for (float sink : new float[] {Float.NaN, 0, 50}) {
        for (double scale : new double[] {1, 100}) {
          Matrix expected = operands.floats(3, length, scale);
          Matrix actual = operands.copy(expected);
          long offset = expected.rowOffset(1);
          DEFINITION.rows().softmax(expected.data(), offset, length, sink);
          kernels.rows().softmax(actual.data(), offset, length, sink);
          assertClose(actual.rows(1, 2), expected.rows(1, 2), 1e-10);
          assertThat(floats(actual.rows(0, 1))).isEqualTo(floats(expected.rows(0, 1)));
          assertThat(floats(actual.rows(2, 3))).isEqualTo(floats(expected.rows(2, 3)));
        }
      }
    }
  }

  /**
   * Rounds for each format, others beside each guard; one, of fewer tokens, if emulated, which is
   * slow and the same for all processors.
   */
  Stream<Arguments> providersAndRounds() {
    return Stream.concat(
        providers().map(kernels -> Arguments.of(kernels, 3)),
        emulated().limit(1).map(kernels -> Arguments.of(kernels, 1)));
  }

  @ParameterizedTest
  @MethodSource("providersAndRounds")
  void attention(Kernels kernels, int rounds) {
    Operands operands = operands(8 + 100 * guard.ordinal());
    List<Format> formats = Formats.cache();
    for (int round = 0; round < rounds * formats.size(); round++) {
      Format keyFormat = formats.get(round % formats.size());
      Format valueFormat = formats.get(operands.between(0, formats.size() - 1));
      int unit = Math.max(8, Math.max(keyFormat.blockValues(), valueFormat.blockValues()));
      int kvHeads = operands.between(1, 3);
      int heads = kvHeads * operands.between(1, 4);
      AttentionShape shape =
          new AttentionShape(
              heads,
              kvHeads,
              unit * operands.between(1, 4),
              unit * operands.between(1, 4),
              0.2f,
              operands.random().nextInt(4) == 0 ? 3 : 0,
              operands.random().nextInt(3) == 0 ? operands.between(1, 60) : 0,
              operands.random().nextInt(3) == 0,
              operands.random().nextInt(5) != 0,
              operands.random().nextInt(3) == 0 ? operands.floats(1, heads, 2).data() : null,
              operands.random().nextInt(3) == 0 ? operands.floats(1, heads, 0.3).data() : null);
      int tokens = round % 3 == 0 ? 1 : operands.between(1, rounds == 1 ? 12 : 40);
      int length = tokens + operands.between(0, rounds == 1 ? 80 : 120);
      int pageTokens = List.of(8, 16, 64, 100).get(operands.between(0, 3));
      int freed = 0;
      if (shape.window() > 0) {
        // A window lets whole pages go that no row sees.
        freed = Math.max(0, (length - tokens - shape.window() + 1) / pageTokens * pageTokens);
      }
      KvSpan[][] spans = new KvSpan[kvHeads][];
      for (int h = 0; h < kvHeads; h++) {
        int cut = operands.between(freed, length);
        spans[h] =
            new KvSpan[] {
              span(operands, shape, keyFormat, valueFormat, pageTokens, freed, cut, unit),
              span(operands, shape, valueFormat, keyFormat, pageTokens, cut, length, 0)
            };
        if (operands.random().nextInt(3) == 0) {
          spans[h] = new KvSpan[] {withGaps(operands, spans[h][0]), spans[h][1]};
        }
        if (cut < length && operands.random().nextInt(3) == 0) {
          spans[h] = new KvSpan[] {spans[h][0], rows(operands, shape, h, cut, length)};
        }
      }
      Matrix q = operands.floats(tokens, heads * shape.keySize());
      checkAttention(kernels, operands, shape, q, length - tokens, spans);
    }
  }

  @ParameterizedTest
  @MethodSource("providersAndRounds")
  void attentionOverKeysThatHoldTheirValues(Kernels kernels, int rounds) {
    Operands operands = operands(9 + 100 * guard.ordinal());
    List<Format> formats = Formats.cache();
    for (int round = 0; round < rounds * formats.size(); round++) {
      Format format = formats.get(round % formats.size());
      int unit = Math.max(8, format.blockValues());
      int valueSize = unit * operands.between(1, 4);
      int keySize = valueSize + unit * operands.between(0, 2);
      int tokens = round % 3 == 0 ? 1 : operands.between(1, rounds == 1 ? 10 : 20);
      int heads = operands.between(1, rounds == 1 ? 5 : 9);
      checkInKeys(kernels, operands, format, heads, keySize, valueSize, tokens);
    }
    checkInKeys(kernels, operands, Formats.F16, rounds == 1 ? 6 : 128, 576, 512, 2);
    checkInKeys(kernels, operands, Formats.Q8_0, 4, 576, 512, 1);
    checkInKeys(kernels, operands, Formats.F32, 3, 28, 20, 10);
  }

  private static void checkInKeys(
      Kernels kernels,
      Operands operands,
      Format format,
      int heads,
      int keySize,
      int valueSize,
      int tokens) {
    AttentionShape shape = new AttentionShape(heads, 1, keySize, valueSize, 0.1f, 0, 0, true, null);
    int length = tokens + operands.between(0, 100);
    int cut = operands.between(0, length);
    KvSpan[] spans = {
      inKeys(operands, format, keySize, 0, cut), inKeys(operands, format, keySize, cut, length)
    };
    Matrix q = operands.floats(tokens, heads * keySize);
    checkAttention(kernels, operands, shape, q, length - tokens, new KvSpan[][] {spans});
    KernelLimits limits = new KernelLimits(tokens, 1, heads, heads, keySize);
    Matrix together = operands.poisoned(tokens, heads * valueSize);
    Matrix apart = operands.copy(together);
    for (Matrix out : List.of(together, apart)) {
      KvSpan[] some =
          out == together
              ? spans
              : Arrays.stream(spans).map(s -> apart(operands, shape, s)).toArray(KvSpan[]::new);
      kernels
          .attention()
          .attend(
              shape,
              q,
              length - tokens,
              some,
              0,
              out,
              0,
              tokens,
              Operands.scratch(kernels, limits));
    }
    assertSame(together, apart);
  }

  /** Positions {@code [from, to)} in pages of keys, whose first numbers are values. */
  private static KvSpan inKeys(Operands operands, Format format, int keySize, int from, int to) {
    int pageTokens = 16;
    long bytes = pageTokens * format.bytes(keySize);
    long[] pages = new long[Math.ceilDiv(to - from, pageTokens)];
    Arrays.setAll(pages, i -> i * bytes);
    MemorySegment memory =
        operands.encoded(format, Math.max(1, pages.length) * pageTokens, keySize).data();
    return new KvSpan(
        format, format, pageTokens, memory, pages, KvSpan.IN_KEYS, to - from, from, KvSpan.NO_GAPS);
  }

  /** The same with copies of the values behind the keys. */
  private static KvSpan apart(Operands operands, AttentionShape shape, KvSpan span) {
    long key = span.keyFormat().bytes(shape.keySize());
    long value = span.keyFormat().bytes(shape.valueSize());
    long valuesAt = span.pageTokens() * key;
    long bytes = valuesAt + span.pageTokens() * value;
    long[] pages = new long[span.pages().length];
    MemorySegment memory = operands.memory(Math.max(1, pages.length * bytes));
    for (int p = 0; p < pages.length; p++) {
      pages[p] = p * bytes;
      MemorySegment.copy(span.memory(), span.pages()[p], memory, pages[p], valuesAt);
      for (int t = 0; t < span.pageTokens(); t++) {
        long from = span.pages()[p] + t * key;
        MemorySegment.copy(span.memory(), from, memory, pages[p] + valuesAt + t * value, value);
      }
    }
    return new KvSpan(
        span.keyFormat(),
        span.valueFormat(),
        span.pageTokens(),
        memory,
        pages,
        valuesAt,
        span.length(),
        span.start(),
        KvSpan.NO_GAPS);
  }

  /**
   * Positions {@code [from, to)} in pages that lie in any order, close together; perhaps with some
   * channels of keys alone, a multiple of {@code some}.
   */
  private static KvSpan span(
      Operands operands,
      AttentionShape shape,
      Format keyFormat,
      Format valueFormat,
      int pageTokens,
      int from,
      int to,
      int some) {
    int[] channels = null;
    int keySize = shape.keySize();
    if (some > 0 && some < keySize && operands.random().nextInt(3) == 0) {
      keySize = some * operands.between(1, keySize / some - 1);
      channels =
          operands.random().ints(0, shape.keySize()).distinct().limit(keySize).sorted().toArray();
    }
    int count = Math.ceilDiv(to - from, pageTokens);
    long valuesAt = keyFormat.bytes(keySize) * pageTokens;
    long bytes = valuesAt + valueFormat.bytes(shape.valueSize()) * pageTokens;
    MemorySegment memory = operands.memory(Math.max(1, count * bytes));
    long[] pages = new long[count];
    for (int i = 0; i < count; i++) {
      pages[i] = (count - 1 - i) * bytes;
      MemorySegment keys = operands.encoded(keyFormat, pageTokens, keySize).data();
      MemorySegment values = operands.encoded(valueFormat, pageTokens, shape.valueSize()).data();
      MemorySegment.copy(keys, 0, memory, pages[i], keys.byteSize());
      MemorySegment.copy(values, 0, memory, pages[i] + valuesAt, values.byteSize());
    }
    return new KvSpan(
        keyFormat,
        valueFormat,
        pageTokens,
        memory,
        pages,
        valuesAt,
        to - from,
        from,
        KvSpan.NO_GAPS,
        channels == null ? null : new Reduction.Channels(channels),
        null,
        1);
  }

  /** Positions {@code [from, to)} as rows of a step. */
  private static KvSpan rows(
      Operands operands, AttentionShape shape, int kvHead, int from, int to) {
    Matrix k = operands.floats(to - from, shape.kvHeads() * shape.keySize());
    Matrix v = operands.floats(to - from, shape.kvHeads() * shape.valueSize());
    long keys = k.rows() * k.rowBytes();
    MemorySegment memory = operands.memory(keys + v.rows() * v.rowBytes());
    MemorySegment.copy(k.data(), 0, memory, 0, keys);
    MemorySegment.copy(v.data(), 0, memory, keys, v.rows() * v.rowBytes());
    return KvSpan.rows(
        new Matrix(k.format(), k.rows(), k.columns(), memory),
        new Matrix(v.format(), v.rows(), v.columns(), memory.asSlice(keys)),
        memory,
        kvHead,
        shape.kvHeads(),
        from);
  }

  /** The same as if some tokens between had been forgotten. */
  private static KvSpan withGaps(Operands operands, KvSpan span) {
    int length = span.length() - span.length() / 3;
    int[] positions =
        operands
            .random()
            .ints(span.start(), span.start() + Math.max(1, span.length()))
            .distinct()
            .limit(length)
            .sorted()
            .toArray();
    long bytes = span.memory().byteSize() / Math.max(1, span.pages().length);
    long withPositions = bytes + (long) Integer.BYTES * span.pageTokens();
    MemorySegment memory = operands.memory(Math.max(1, span.pages().length * withPositions));
    long[] pages = span.pages().clone();
    for (int p = 0; p < pages.length; p++) {
      pages[p] = p * withPositions;
      MemorySegment.copy(span.memory(), span.pages()[p], memory, pages[p], bytes);
    }
    for (int i = 0; i < length; i++) {
      long at = pages[i / span.pageTokens()] + bytes + 4L * (i % span.pageTokens());
      memory.set(ValueLayout.JAVA_INT_UNALIGNED, at, positions[i]);
    }
    return new KvSpan(
        span.keyFormat(),
        span.valueFormat(),
        span.pageTokens(),
        memory,
        pages,
        span.valuesAt(),
        length,
        span.start(),
        bytes,
        span.keys(),
        span.values(),
        1);
  }

  private static void checkAttention(
      Kernels kernels,
      Operands operands,
      AttentionShape shape,
      Matrix q,
      int firstPosition,
      KvSpan[][] spans) {
    KernelLimits limits =
        new KernelLimits(
            q.rows(),
            1,
            shape.heads(),
            shape.heads() / shape.kvHeads(),
            Math.max(shape.keySize(), shape.valueSize()));
    checkWeights(kernels, operands, shape, q, firstPosition, spans, limits);
    Scratch scratch = Operands.scratch(kernels, limits);
    Matrix expected = operands.poisoned(q.rows(), shape.heads() * shape.valueSize());
    Matrix actual = operands.copy(expected);
    Matrix parts = operands.copy(expected);
    int from = operands.between(0, q.rows() - 1);
    int to = operands.between(from, q.rows());
    int heads = shape.kvHeads() - operands.random().nextInt(Math.min(2, shape.kvHeads()));
    Attention attention = kernels.attention();
    for (int head = 0; head < heads; head++) {
      Scratch own = Operands.scratch(DEFINITION, limits);
      KvSpan[] mine = spans[head];
      DEFINITION
          .attention()
          .attend(shape, q, firstPosition, mine, head, expected, 0, q.rows(), own);
      attention.attend(shape, q, firstPosition, mine, head, actual, 0, q.rows(), scratch);
      attention.attend(shape, q, firstPosition, mine, head, parts, 0, from, scratch);
      attention.attend(shape, q, firstPosition, mine, head, parts, from, to, scratch);
      attention.attend(shape, q, firstPosition, mine, head, parts, to, q.rows(), scratch);
    }
    assertClose(actual, expected, 1e-10);
    assertThat(floats(parts)).isEqualTo(floats(actual));
    int head = operands.between(0, heads - 1);
    checkParts(kernels, operands, shape, q, firstPosition, spans[head], head, expected, limits);
  }

  private static void checkWeights(
      Kernels kernels,
      Operands operands,
      AttentionShape shape,
      Matrix q,
      int firstPosition,
      KvSpan[][] spans,
      KernelLimits limits) {
    int head = operands.between(0, shape.kvHeads() - 1);
    int from = operands.between(0, q.rows() - 1);
    int rows = (q.rows() - from) * (shape.heads() / shape.kvHeads());
    Matrix expected = operands.poisoned(rows, KvSpan.length(spans[head]));
    Matrix actual = operands.copy(expected);
    for (Kernels each : List.of(DEFINITION, kernels)) {
      each.attention()
          .weights(
              shape,
              q,
              firstPosition,
              spans[head],
              head,
              each == DEFINITION ? expected : actual,
              from,
              q.rows(),
              Operands.scratch(each, limits));
    }
    assertClose(actual, expected, 1e-10);
  }

  /**
   * Partial results, each over some spans, and one over all of them one after the other: put
   * together they are attention over all.
   */
  private static void checkParts(
      Kernels kernels,
      Operands operands,
      AttentionShape shape,
      Matrix q,
      int firstPosition,
      KvSpan[] spans,
      int head,
      Matrix whole,
      KernelLimits limits) {
    for (int count : new int[] {1, 2}) {
      PartialAttention[] parts = new PartialAttention[count];
      for (int p = 0; p < count; p++) {
        parts[p] =
            new PartialAttention(
                operands.poisoned(q.rows(), shape.heads() * shape.valueSize()),
                operands.poisoned(q.rows(), shape.heads() * PartialAttention.STATE));
        parts[p].clear();
      }
      for (int s = 0; s < 2; s++) {
        kernels
            .attention()
            .attendPart(
                shape,
                q,
                firstPosition,
                new KvSpan[] {spans[s]},
                head,
                parts[s % count],
                0,
                q.rows(),
                Operands.scratch(kernels, limits));
      }
      // Heads of other KV heads were not computed.
      int size = shape.heads() / shape.kvHeads() * shape.valueSize();
      for (int t = 0; t < q.rows(); t++) {
        Matrix merged = count == 1 ? parts[0].values() : operands.copy(whole);
        PartialAttention.merge(shape, head, parts, merged, t);
        long at = whole.rowOffset(t) + 4L * head * size;
        assertClose(row(merged, at, size), row(whole, at, size), 1e-10);
      }
    }
  }

  private static Matrix row(Matrix x, long at, int columns) {
    return new Matrix(Formats.F32, 1, columns, x.data().asSlice(at, 4L * columns));
  }

  @ParameterizedTest
  @MethodSource("providersAndEmulated")
  void quantises(Kernels kernels) {
    Operands operands = operands(9);
    Matrix x = operands.floats(5, 96);
    Format format = Q8Activations.FORMAT;
    Matrix expected = new Matrix(format, 5, 96, operands.memory(format.bytes(96) * 5));
    Matrix actual = operands.copy(expected);
    DEFINITION.products().quantise(x, expected, 1, 4);
    kernels.products().quantise(x, actual, 1, 4);
    assertThat(actual.data().mismatch(expected.data())).isEqualTo(-1);
  }

  @ParameterizedTest
  @MethodSource("providersAndEmulated")
  void quantisesWhatIsNoOrdinaryNumber(Kernels kernels) {
    Operands operands = operands(11);
    Format format = Q8Activations.FORMAT;
    float[] special = {
      Float.NaN,
      Float.POSITIVE_INFINITY,
      Float.NEGATIVE_INFINITY,
      -0f,
      Float.MIN_VALUE,
      1e-37f,
      Float.MAX_VALUE,
      0.5f / 127
    };
    Matrix x = operands.floats(special.length, 64);
    for (int t = 0; t < special.length; t++) {
      if (t > 2) {
        x.data().asSlice(x.rowOffset(t), x.rowBytes() / 2).fill((byte) 0);
      }
      x.data().set(Floats.F32, x.rowOffset(t) + 4L * 7, special[t]);
    }
    MemorySegment memory = operands.memory(format.bytes(64) * special.length);
    Matrix expected = new Matrix(format, special.length, 64, memory);
    Matrix actual = operands.copy(expected);
    DEFINITION.products().quantise(x, expected, 0, special.length);
    kernels.products().quantise(x, actual, 0, special.length);
    assertThat(actual.data().mismatch(expected.data())).isEqualTo(-1);
  }

  @ParameterizedTest
  @MethodSource("providers")
  void wrongShapesAreRefused(Kernels kernels) {
    Operands operands = operands(10);
    Matrix w = operands.floats(4, 8);
    Scratch scratch = Operands.scratch(kernels, new KernelLimits(4, 64, 1, 1, 8));
    Matrix out = operands.floats(1, 4);
    MatrixProducts products = kernels.products();
    Matrix wide = operands.floats(1, 9);
    assertThatThrownBy(() -> products.matmul(w, wide, Tokens.ALONE, out, 0, 4, scratch))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("1 × 9 F32");
    Matrix x = operands.floats(1, 8);
    assertThatThrownBy(() -> products.matmul(w, x, Tokens.ALONE, out, 0, 5, scratch))
        .isInstanceOf(IndexOutOfBoundsException.class);
    assertThatThrownBy(() -> kernels.rows().rmsNorm(w, null, 3, 0, w, 0, 4))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> kernels.rows().add(w, operands.floats(4, 7), 1, 0, 4))
        .isInstanceOf(IllegalArgumentException.class);
    Recurrences recurrences = kernels.recurrences();
    float[] two = new float[2];
    float[] four = new float[4];
    assertThatThrownBy(() -> recurrences.convolve(two, two, false, two, 2, four))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageStartingWith("2 rows of 2 channels, of 2 numbers into 4, with 2 taps");
    assertThatThrownBy(() -> recurrences.decay(two, two, four))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("4 numbers where 2 belong");
    assertThatThrownBy(() -> recurrences.stateSpace(1, 1, 1, two, four, four, four, two))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("A state of 4 numbers is not one of 4 rows of 2");
  }

  private interface RowOperation {
    void apply(Kernels kernels, Matrix target, int from, int to);
  }

  private static void compare(
      Kernels kernels, Operands operands, int rows, int columns, RowOperation operation) {
    compareInPlace(kernels, operands, operands.poisoned(rows, columns), operation);
  }

  /** On a range of rows; the others keep what they were. */
  private static void compareInPlace(
      Kernels kernels, Operands operands, Matrix start, RowOperation operation) {
    int from = operands.between(0, start.rows() - 1);
    int to = operands.between(from, start.rows());
    Matrix expected = operands.copy(start);
    Matrix actual = operands.copy(start);
    operation.apply(DEFINITION, expected, from, to);
    operation.apply(kernels, actual, from, to);
    assertClose(actual, expected, ROUNDING);
    float[] untouched = floats(start);
    float[] result = floats(actual);
    int columns = start.columns();
    Arrays.fill(untouched, from * columns, to * columns, 0);
    Arrays.fill(result, from * columns, to * columns, 0);
    assertThat(result).isEqualTo(untouched);
  }
}

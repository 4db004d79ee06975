package dev.knapsack.kernel;

import static dev.knapsack.kernel.Operands.assertClose;
import static dev.knapsack.kernel.Operands.floats;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.kernel.x86.EmulatedKernels;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Attention over reduced keys and values is attention over what is left of them. */
@ParameterizedClass
@EnumSource
class ReducedAttentionTest {
  private static final int PAGE = 16;

  private final Guard guard;
  private final Arena arena = Arena.ofConfined();

  ReducedAttentionTest(Guard guard) {
    this.guard = guard;
  }

  @AfterEach
  void free() {
    arena.close();
  }

  /** A span, and the keys and values that attention is to be over. */
  private record Known(KvSpan span, double[][] keys, double[][] values) {}

  static Stream<Arguments> providersAndRounds() {
    return Stream.concat(
        KernelProvider.here().stream().map(p -> Arguments.of(p.open().kernels(), 20)),
        EmulatedKernels.all().limit(1).map(kernels -> Arguments.of(kernels, 1)));
  }

  @ParameterizedTest
  @MethodSource("providersAndRounds")
  void isAttentionOverWhatIsLeft(Kernels kernels, int rounds) {
    Operands operands = new Operands(17, guard, arena);
    List<Format> formats = Formats.cache();
    for (int round = 0; round < rounds; round++) {
      Format keyFormat = formats.get(round % formats.size());
      Format valueFormat = formats.get(operands.between(0, formats.size() - 1));
      int unit = Math.max(8, Math.max(keyFormat.blockValues(), valueFormat.blockValues()));
      int kvHeads = operands.between(1, 2);
      int heads = kvHeads * operands.between(1, 4);
      AttentionShape shape =
          new AttentionShape(
              heads,
              kvHeads,
              unit * operands.between(2, unit == 8 ? 16 : 4),
              unit * operands.between(2, unit == 8 ? 16 : 4),
              0.2f,
              operands.random().nextInt(4) == 0 ? 3 : 0,
              operands.random().nextInt(4) == 0 ? operands.between(1, 60) : 0,
              operands.random().nextInt(5) != 0,
              operands.random().nextInt(3) == 0 ? operands.floats(1, heads, 2).data() : null);
      int rows = round % 3 == 0 ? 1 : operands.between(1, 20);
      int length = rows + operands.between(1, 150);
      Known[] known = new Known[3];
      int cut = operands.between(0, length - rows);
      int later = operands.between(cut, length);
      known[0] = span(operands, shape, keyFormat, valueFormat, 0, cut, unit);
      known[1] = span(operands, shape, valueFormat, keyFormat, cut, later, unit);
      known[2] = span(operands, shape, Formats.F16, Formats.F16, later, length, 0);
      if (operands.random().nextInt(3) == 0) {
        known = new Known[] {known[2], known[0], known[1]}; // whole ones first
      }
      check(kernels, operands, shape, rows, length - rows, known);
    }
  }

  /** Tokens at positions {@code [from, to)}; with {@code unit} 0 nothing of them is reduced. */
  private static Known span(
      Operands operands,
      AttentionShape shape,
      Format keyFormat,
      Format valueFormat,
      int from,
      int to,
      int unit) {
    Reduction keys = unit == 0 ? null : reduction(operands, shape.keySize(), unit);
    Reduction values = unit == 0 ? null : reduction(operands, shape.valueSize(), unit);
    int keySize = keys == null ? shape.keySize() : keys.held();
    int valueSize = values == null ? shape.valueSize() : values.held();
    int pages = Math.ceilDiv(to - from, PAGE);
    long valuesAt = keyFormat.bytes(keySize) * PAGE;
    long bytes = valuesAt + valueFormat.bytes(valueSize) * PAGE;
    MemorySegment memory = operands.memory(Math.max(1, pages * bytes));
    long[] offsets = new long[pages];
    double[][] allKeys = new double[to - from][];
    double[][] allValues = new double[to - from][];
    for (int p = 0; p < pages; p++) {
      offsets[p] = p * bytes;
      Matrix k = operands.encoded(keyFormat, PAGE, keySize);
      Matrix v = operands.encoded(valueFormat, PAGE, valueSize);
      MemorySegment.copy(k.data(), 0, memory, offsets[p], k.data().byteSize());
      MemorySegment.copy(v.data(), 0, memory, offsets[p] + valuesAt, v.data().byteSize());
      for (int t = 0; t < PAGE && p * PAGE + t < to - from; t++) {
        allKeys[p * PAGE + t] = left(k, t, keys, shape.keySize());
        allValues[p * PAGE + t] = left(v, t, values, shape.valueSize());
      }
    }
    KvSpan span =
        new KvSpan(
            keyFormat,
            valueFormat,
            PAGE,
            memory,
            offsets,
            valuesAt,
            to - from,
            from,
            KvSpan.NO_GAPS,
            keys,
            values,
            1);
    return new Known(span, allKeys, allValues);
  }

  /** Directions that have nothing to do with each other, or channels, or nothing. */
  private static @Nullable Reduction reduction(Operands operands, int size, int unit) {
    int held = unit * operands.between(1, size / unit - 1);
    return switch (operands.between(0, 3)) {
      case 0 -> null;
      case 1 ->
          new Reduction.Channels(
              operands.random().ints(0, size).distinct().limit(held).sorted().toArray());
      default ->
          new Reduction.Directions(
              operands.floats(held, size, 0.3), operands.floats(held, size, 0.3));
    };
  }

  /** What is left of a vector, by the definition. */
  private static double[] left(Matrix held, int row, @Nullable Reduction reduction, int size) {
    float[] numbers = new float[held.columns()];
    held.format()
        .decode(
            held.data(), held.rowOffset(row), MemorySegment.ofArray(numbers), 0, numbers.length);
    double[] vector = new double[size];
    for (int i = 0; i < numbers.length; i++) {
      switch (reduction) {
        case null -> vector[i] = numbers[i];
        case Reduction.Channels(int[] channels) -> vector[channels[i]] = numbers[i];
        case Reduction.Directions directions -> {
          float[] out = floats(directions.out().rows(i, i + 1));
          for (int c = 0; c < size; c++) {
            vector[c] += (double) numbers[i] * out[c];
          }
        }
      }
    }
    return vector;
  }

  private static void check(
      Kernels kernels,
      Operands operands,
      AttentionShape shape,
      int rows,
      int first,
      Known[] known) {
    KernelLimits limits =
        new KernelLimits(
            rows,
            1,
            shape.heads(),
            shape.heads() / shape.kvHeads(),
            Math.max(shape.keySize(), shape.valueSize()));
    KvSpan[] spans = Arrays.stream(known).map(Known::span).toArray(KvSpan[]::new);
    Matrix q = operands.floats(rows, shape.heads() * shape.keySize());
    int kvHead = operands.between(0, shape.kvHeads() - 1);
    int group = shape.heads() / shape.kvHeads();
    Matrix expectedWeights = operands.poisoned(rows * group, KvSpan.length(spans));
    Matrix expected = operands.poisoned(rows, shape.heads() * shape.valueSize());
    define(shape, q, first, known, kvHead, expectedWeights, expected);

    Scratch scratch = Operands.scratch(kernels, limits);
    Matrix actual = operands.poisoned(rows, shape.heads() * shape.valueSize());
    kernels.attention().attend(shape, q, first, spans, kvHead, actual, 0, rows, scratch);
    assertClose(actual, expected, 1e-9);

    Matrix split = operands.poisoned(rows, shape.heads() * shape.valueSize());
    int at = operands.between(0, rows);
    kernels.attention().attend(shape, q, first, spans, kvHead, split, 0, at, scratch);
    kernels.attention().attend(shape, q, first, spans, kvHead, split, at, rows, scratch);
    assertThat(Arrays.equals(floats(split), floats(actual))).isTrue();

    Matrix weights = operands.poisoned(rows * group, KvSpan.length(spans));
    kernels.attention().weights(shape, q, first, spans, kvHead, weights, 0, rows, scratch);
    assertClose(weights, expectedWeights, 1e-9);

    PartialAttention[] parts = new PartialAttention[2];
    for (int p = 0; p < parts.length; p++) {
      parts[p] =
          new PartialAttention(
              operands.poisoned(rows, shape.heads() * shape.valueSize()),
              operands.poisoned(rows, shape.heads() * PartialAttention.STATE));
      parts[p].clear();
      KvSpan[] some = p == 0 ? Arrays.copyOf(spans, 1) : Arrays.copyOfRange(spans, 1, spans.length);
      kernels.attention().attendPart(shape, q, first, some, kvHead, parts[p], 0, rows, scratch);
    }
    Matrix merged = operands.copy(expected);
    for (int row = 0; row < rows; row++) {
      PartialAttention.merge(shape, kvHead, parts, merged, row);
    }
    int columns = group * shape.valueSize();
    for (int row = 0; row < rows; row++) {
      int from = row * shape.heads() * shape.valueSize() + kvHead * columns;
      assertClose(
          Arrays.copyOfRange(floats(merged), from, from + columns),
          Arrays.copyOfRange(floats(expected), from, from + columns),
          1e-9);
    }
  }

  /** The two-pass definition, in doubles. */
  private static void define(
      AttentionShape shape,
      Matrix q,
      int first,
      Known[] known,
      int kvHead,
      Matrix weights,
      Matrix out) {
    int group = shape.heads() / shape.kvHeads();
    float[] queries = floats(q);
    for (int row = 0; row < q.rows(); row++) {
      for (int g = 0; g < group; g++) {
        int head = kvHead * group + g;
        int query = row * q.columns() + head * shape.keySize();
        double sum = 0;
        if (shape.sinks() != null) {
          sum = Math.exp(shape.sinks().getAtIndex(Floats.F32, head));
        }
        double[] result = new double[shape.valueSize()];
        double[] each = new double[weights.columns()];
        int column = 0;
        for (Known some : known) {
          for (int t = 0; t < some.keys.length; t++) {
            int position = some.span.start() + t;
            double score = 0;
            for (int c = 0; c < shape.keySize(); c++) {
              score += queries[query + c] * some.keys[t][c];
            }
            score *= shape.scale();
            score =
                shape.softCap() == 0 ? score : shape.softCap() * Math.tanh(score / shape.softCap());
            boolean seen =
                (!shape.causal() || position <= first + row)
                    && (shape.window() == 0 || first + row - position < shape.window());
            each[column] = seen ? Math.exp(score) : 0;
            sum += each[column];
            for (int c = 0; c < result.length; c++) {
              result[c] += each[column] * some.values[t][c];
            }
            column++;
          }
        }
        for (int c = 0; c < each.length; c++) {
          long at = weights.rowOffset(row * group + g) + 4L * c;
          weights.data().set(Floats.F32, at, sum > 0 ? (float) (each[c] / sum) : 0);
        }
        for (int c = 0; c < result.length; c++) {
          long at = out.rowOffset(row) + 4L * head * shape.valueSize() + 4L * c;
          out.data().set(Floats.F32, at, sum > 0 ? (float) (result[c] / sum) : 0);
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("providersAndRounds")
  void directionsOfAnotherSizeAreRefused(Kernels kernels, int rounds) {
    Operands operands = new Operands(rounds, guard, arena);
    AttentionShape shape = new AttentionShape(1, 1, 16, 16, 1, 0, 0, true, null);
    Matrix right = operands.floats(8, 16);
    KvSpan good =
        new KvSpan(
            Formats.F32,
            Formats.F32,
            PAGE,
            operands.memory(4L * PAGE * 16),
            new long[] {0},
            4L * PAGE * 8,
            1,
            0,
            KvSpan.NO_GAPS,
            new Reduction.Directions(right, right),
            new Reduction.Directions(right, operands.floats(8, 15)),
            1);
    Matrix q = operands.floats(1, 16);
    Scratch scratch = Operands.scratch(kernels, new KernelLimits(1, 16, 1, 1, 16));
    assertThatThrownBy(
            () -> kernels.attention().attend(shape, q, 0, new KvSpan[] {good}, 0, q, 0, 1, scratch))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("8 × 15");
  }
}

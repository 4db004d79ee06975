package dev.knapsack.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.TestData;
import dev.knapsack.kernel.MatrixProducts.Tokens;
import dev.knapsack.kernel.vector.VectorKernels;
import dev.knapsack.kernel.x86.EmulatedKernels;
import dev.knapsack.tensor.BlockFormat;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import dev.knapsack.tensor.Q8Activations;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** A provider leaves to another what its table of {@link MissingCode} says, and nothing else. */
class MissingCodeTest {
  private static final int COLUMNS = 512;
  private static final int ROWS = 16;

  private final Operands operands = new Operands(1);

  private final Counter counter = new Counter();

  /** The definition, whose operations are counted. */
  private Kernels counted() {
    Kernels scalar = ScalarKernels.open();
    return new Kernels(
        scalar.provider(),
        scalar.description(),
        scalar.missing(),
        counter.of(MatrixProducts.class, scalar.products(), MissingCodeTest::isOperation),
        counter.of(RowOperations.class, scalar.rows(), MissingCodeTest::isOperation),
        counter.of(GatedActivation.class, scalar.gatedActivation(), MissingCodeTest::isOperation),
        scalar.attention(),
        counter.of(Recurrences.class, scalar.recurrences(), MissingCodeTest::isOperation),
        scalar.peak());
  }

  private static boolean isOperation(Method method) {
    return method.getReturnType() == void.class;
  }

  @Test
  void operations() {
    Stream.concat(Stream.of(VectorKernels.open(counted())), EmulatedKernels.over(counted()))
        .forEach(kernels -> {
          for (MissingCode.Operation operation : MissingCode.Operation.values()) {
            assertThat(counter.called(() -> apply(operation, kernels)))
                .as("%s of %s", operation, kernels)
                .isEqualTo(kernels.missing().operations().contains(operation));
          }
          for (Activation activation : Activation.values()) {
            Matrix x = operands.floats(2, COLUMNS);
            assertThat(
                    counter.called(
                        () -> kernels.gatedActivation().apply(activation, x, x, x, 0, 2)))
                .as("%s of %s", activation, kernels)
                .isEqualTo(kernels.missing().activations().contains(activation));
          }
        });
  }

  @Test
  void hasALineForEveryOperation() {
    assertThat(Stream.of(RowOperations.class, Recurrences.class).flatMap(MissingCodeTest::methods))
        .extracting(method -> method.getName().replaceAll("[A-Z]", "_$0").toUpperCase(Locale.ROOT))
        .doesNotHaveDuplicates()
        .containsExactlyInAnyOrderElementsOf(
            Arrays.stream(MissingCode.Operation.values())
                .filter(operation -> operation != MissingCode.Operation.QUANTISE)
                .map(Enum::name)
                .toList());
  }

  private static Stream<Method> methods(Class<?> type) {
    return Arrays.stream(type.getMethods());
  }

  private void apply(MissingCode.Operation operation, Kernels kernels) {
    Matrix x = operands.floats(2, COLUMNS);
    RowOperations rows = kernels.rows();
    Recurrences recurrences = kernels.recurrences();
    float[] n = new float[64];
    float[] state = new float[64 * 64];
    switch (operation) {
      case QUANTISE -> kernels.products().quantise(x, codes(2), 0, 2);
      case RMS_NORM -> rows.rmsNorm(x, null, COLUMNS, 1e-5f, x, 0, 2);
      case LAYER_NORM -> rows.layerNorm(x, x.data(), null, 1e-5f, x, 0, 2);
      case ADD -> rows.add(x, x, 1, 0, 2);
      case ADD_BIAS -> rows.addBias(x, x.data(), 0, 2);
      case MIX -> rows.mix(x, x, x.data(), x, 0, 2);
      case SCALE -> rows.scale(x, 2, 0, 2);
      case SOFT_CAP -> rows.softCap(x, 2, 0, 2);
      case ACTIVATE -> {
        for (Activation activation : Activation.values()) {
          if (activation != Activation.GPT_OSS) {
            rows.activate(activation, x, 0, 2);
          }
        }
      }
      case XIELU -> rows.xielu(new Xielu(1, 1, 0.5f, -1e-6f), x, 0, 2);
      case ROPE -> {
        Rope rope = Rope.plain(Rope.Pairs.HALF_SPLIT, 64, 10_000);
        rows.rope(x, 64, rope, new int[] {1, 2}, 0, 2);
      }
      case CONVOLVE -> recurrences.convolve(n, n, true, n, 1, n);
      case DECAY -> recurrences.decay(n, n, n);
      case DELTA_RULE -> recurrences.deltaRule(n, n, n, 1, n, state, n);
      case STATE_SPACE -> recurrences.stateSpace(1, 1, 1, n, n, n, state, n);
      case SELECTIVE_SCAN -> recurrences.selectiveScan(state, n, n, n, n, n, state, n);
      case TIME_MIX -> recurrences.timeMix(n, n, n, n, n, n, state, n);
      case SOFTMAX -> rows.softmax(x.data(), 0, COLUMNS, Float.NaN);
    }
  }

  /** Formats of weights without machine code; those without vectors are in RowKernelsTest. */
  @Test
  void formatsOfWeights() {
    EmulatedKernels.over(counted())
        .forEach(kernels -> {
          KernelLimits limits = new KernelLimits(2, COLUMNS, 1, 1, 1);
          Scratch scratch = Operands.scratch(kernels, limits);
          for (Format format : Formats.weights()) {
            Matrix w = operands.encoded(format, ROWS, COLUMNS);
            Matrix x = format instanceof BlockFormat ? codes(2) : operands.floats(2, COLUMNS);
            Matrix out = operands.poisoned(2, ROWS);
            for (Tokens tokens : Tokens.values()) {
              assertThat(
                      counter.called(
                          () -> kernels.products().matmul(w, x, tokens, out, 0, ROWS, scratch)))
                  .as("%s of %s", format, kernels)
                  .isEqualTo(kernels.missing().weights().contains(format));
            }
          }
        });
  }

  /** Formats of pages without machine code, which decode themselves. */
  @Test
  void formatsOfPages() {
    int size = 64;
    AttentionShape shape = new AttentionShape(1, 1, size, size, 1, 0, 0, true, null);
    EmulatedKernels.over(ScalarKernels.open())
        .forEach(kernels -> {
          Scratch scratch = Operands.scratch(kernels, new KernelLimits(8, 1, 1, 1, size));
          for (Format format : Formats.cache()) {
            Format counted =
                counter.of(Format.class, format, method -> method.getName().equals("decode"));
            long bytes = format.bytes(8L * size);
            MemorySegment page = operands.memory(2 * bytes);
            KvSpan[] spans = {
              new KvSpan(counted, counted, 8, page, new long[] {0}, bytes, 8, 0, KvSpan.NO_GAPS)
            };
            for (int rows : new int[] {1, 8}) {
              Matrix q = operands.floats(rows, size);
              assertThat(
                      counter.called(() ->
                          kernels
                              .attention()
                              .attend(shape, q, 8 - rows, spans, 0, q, 0, rows, scratch)))
                  .as("%s of %s", format, kernels)
                  .isEqualTo(kernels.missing().pages().contains(format));
            }
          }
        });
  }

  /** The table as the decision record has it. */
  @Test
  void isDocumented() throws IOException {
    MissingCode vector = VectorKernels.open(ScalarKernels.open()).missing();
    MissingCode x86 = EmulatedKernels.all().findFirst().orElseThrow().missing();
    String table =
        """
        | | `vector` leaves to `scalar` | `x86` leaves to `vector` |
        |---|---|---|
        """
            + line("products with weights in", vector.weights(), x86.weights(), Format::name)
            + line("attention over pages in", vector.pages(), x86.pages(), Format::name)
            + line(
                "activations of gated layers",
                inOrder(Activation.values(), vector.activations()),
                inOrder(Activation.values(), x86.activations()),
                Activation::name)
            + line(
                "other operations",
                inOrder(MissingCode.Operation.values(), vector.operations()),
                inOrder(MissingCode.Operation.values(), x86.operations()),
                MissingCode.Operation::name);
    assertThat(TestData.repository().resolve("docs/decisions/0006-machine-code.md"))
        .content()
        .contains(table);
  }

  private static <T> List<T> inOrder(T[] all, Collection<T> some) {
    return Arrays.stream(all).filter(some::contains).toList();
  }

  private static <T> String line(
      String what, List<T> vector, List<T> x86, Function<T, String> name) {
    return "| %s | %s | %s |\n".formatted(what, cell(vector, name), cell(x86, name));
  }

  private static <T> String cell(List<T> missing, Function<T, String> name) {
    return missing.isEmpty() ? "–" : missing.stream().map(name).collect(Collectors.joining(", "));
  }

  private Matrix codes(int rows) {
    Format format = Q8Activations.FORMAT;
    return new Matrix(format, rows, COLUMNS, operands.memory(format.bytes(COLUMNS) * rows));
  }
}

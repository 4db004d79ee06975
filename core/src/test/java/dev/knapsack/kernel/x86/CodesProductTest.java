package dev.knapsack.kernel.x86;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.kernel.Guard;
import dev.knapsack.kernel.MatrixProducts.Tokens;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import dev.knapsack.tensor.Q8Activations;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.stream.Stream;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

@EnabledOnOs(
    value = OS.LINUX,
    architectures = {"amd64", "x86_64"},
    disabledReason = "the code is for Linux on x86-64")
class CodesProductTest {
  static Stream<Format> formats() {
    return Formats.weights().stream().filter(format -> RowCode.of(format.name()) != null);
  }

  /**
   * Scratch memory is on the heap otherwise, where no page can be closed and a byte too far is
   * another object's.
   */
  @ParameterizedTest
  @MethodSource("formats")
  void staysWithinScratchMemory(Format format) {
    RowCode row = RowCode.of(format.name());
    assertThat(row).isNotNull();
    Isa isa = Isa.of(Cpu.detect());
    Tile shape = row.tile(isa);
    int last = 2 + 2 * shape.rows() + 2;
    Product product = new CodesProduct(row, isa, NativeCode::new);
    for (Guard guard : Guard.values()) {
      for (int tokens : new int[] {2, 7, 13}) {
        try (Arena arena = Arena.ofConfined()) {
          int columns = 3 * format.blockValues();
          Matrix w = zeros(format, last + 1, columns, guard, arena);
          Matrix x = zeros(Q8Activations.FORMAT, tokens, columns, guard, arena);
          Matrix out = zeros(Formats.F32, tokens, w.rows(), guard, arena);
          out.data().fill((byte) -1);
          long tile = columns / 32L * shape.bytes();
          // Two tiles at once, then one with outputs of its own.
          long bytes = Math.max(2 * tile, tile + (long) tokens * shape.vector());
          MemorySegment scratch = guard.allocate(bytes, arena);
          product.multiply(w, x, Tokens.TOGETHER, out, 2, last, scratch);
          for (int i = 0; i < tokens * w.rows(); i++) {
            int r = i % w.rows();
            float value = out.data().get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * i);
            boolean asked = r >= 2 && r < last;
            assertThat(asked ? value == 0 : Float.isNaN(value)).as("row %d: %s", r, value).isTrue();
          }
        }
      }
    }
  }

  private static Matrix zeros(Format format, int rows, int columns, Guard guard, Arena arena) {
    return new Matrix(format, rows, columns, guard.allocate(format.bytes(columns) * rows, arena));
  }
}

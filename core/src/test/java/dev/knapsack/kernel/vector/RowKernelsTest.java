package dev.knapsack.kernel.vector;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** There is a row kernel for every format of the KV cache, and it decodes as the format does. */
class RowKernelsTest {
  static List<Format> formats() {
    return Formats.cache();
  }

  @ParameterizedTest
  @MethodSource("formats")
  void decodesAsTheFormatDoes(Format format) {
    Random random = new Random(1);
    float[] x = new float[192];
    for (int i = 0; i < x.length; i++) {
      x[i] = (float) random.nextGaussian();
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment row = arena.allocate(3 + format.bytes(x.length), 64);
      format.encode(MemorySegment.ofArray(x), 0, row, 3, x.length);
      float[] expected = new float[x.length];
      format.decode(row, 3, MemorySegment.ofArray(expected), 0, x.length);
      float[] decoded = new float[x.length + 9];
      new RowKernels().of(format).unpack(row, 3, decoded, 5, x.length);
      assertThat(Arrays.copyOfRange(decoded, 5, 5 + x.length)).isEqualTo(expected);
      assertThat(Arrays.copyOf(decoded, 5)).containsOnly(0);
      assertThat(Arrays.copyOfRange(decoded, 5 + x.length, decoded.length)).containsOnly(0);
    }
  }
}

package dev.knapsack.kernel.vector;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.kernel.Counter;
import dev.knapsack.kernel.MissingCode;
import dev.knapsack.kernel.ScalarKernels;
import dev.knapsack.tensor.BlockFormat;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.Predicate;
import java.util.stream.Stream;
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

  static Stream<Format> everyFormat() {
    return Stream.concat(Formats.weights().stream(), Formats.cache().stream()).distinct();
  }

  @ParameterizedTest
  @MethodSource("everyFormat")
  void theFormatItselfUnpacksWhatIsMissing(Format format) {
    Counter counter = new Counter();
    Predicate<Method> unpacks =
        method -> method.getName().equals("decode") || method.getName().equals("unpack");
    RowKernel kernel =
        RowKernels.make(
            format instanceof BlockFormat blocks
                ? counter.of(BlockFormat.class, blocks, unpacks)
                : counter.of(Format.class, format, unpacks));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment row = arena.allocate(format.bytes(512));
      MissingCode missing = VectorKernels.open(ScalarKernels.open()).missing();
      assertThat(counter.called(() -> kernel.unpack(row, 0, new float[512], 0, 512)))
          .isEqualTo(missing.weights().contains(format) || missing.pages().contains(format));
    }
  }
}

package dev.knapsack.file;

import dev.knapsack.tensor.Format;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** The sizes of the tensor types of GGUF. */
final class GgufTypes {
  private static final List<Size> SIZES =
      List.of(
          new Size("F32", 0, 1, 4),
          new Size("F16", 1, 1, 2),
          new Size("Q4_0", 2, 32, 18),
          new Size("Q4_1", 3, 32, 20),
          new Size("Q5_0", 6, 32, 22),
          new Size("Q5_1", 7, 32, 24),
          new Size("Q8_0", 8, 32, 34),
          new Size("Q2_K", 10, 256, 84),
          new Size("Q3_K", 11, 256, 110),
          new Size("Q4_K", 12, 256, 144),
          new Size("Q5_K", 13, 256, 176),
          new Size("Q6_K", 14, 256, 210),
          new Size("IQ4_NL", 20, 32, 18),
          new Size("IQ4_XS", 23, 256, 136),
          new Size("BF16", 30, 1, 2),
          new Size("TQ1_0", 34, 256, 54),
          new Size("TQ2_0", 35, 256, 66),
          new Size("MXFP4", 39, 32, 17));

  private GgufTypes() {}

  static @Nullable Format find(int type) {
    return SIZES.stream().filter(s -> s.ggufType == type).findFirst().orElse(null);
  }

  static String supported() {
    return SIZES.stream()
        .map(s -> s.name + " (" + s.ggufType + ")")
        .collect(Collectors.joining(", "));
  }

  private record Size(String name, int ggufType, int blockValues, int blockBytes)
      implements Format {
    @Override
    public void decode(
        MemorySegment source, long sourceOffset, MemorySegment target, long targetOffset, long n) {
      throw new UnsupportedOperationException(name);
    }

    @Override
    public void encode(
        MemorySegment source, long sourceOffset, MemorySegment target, long targetOffset, long n) {
      throw new UnsupportedOperationException(name);
    }
  }
}

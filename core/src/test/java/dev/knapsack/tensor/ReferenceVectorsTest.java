package dev.knapsack.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.TestData;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.util.Locale;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Decoding is bit-exact with the published reference, encoding gives its bytes. */
class ReferenceVectorsTest {
  static Stream<Format> formats() {
    // The reference that made the vectors has no ternary formats.
    return Formats.all().stream().filter(f -> f != Formats.F32 && !f.name().startsWith("TQ"));
  }

  static Stream<Format> simple() {
    return Stream.of(
        Formats.F16,
        Formats.BF16,
        Formats.Q8_0,
        Formats.Q4_0,
        Formats.Q4_1,
        Formats.Q5_0,
        Formats.Q5_1);
  }

  @ParameterizedTest
  @MethodSource("formats")
  void decodesAsTheReferenceDoes(Format format) throws IOException {
    byte[] blocks = file(format, "bin");
    byte[] expected = file(format, "f32");
    byte[] decoded = new byte[expected.length];
    format.decode(
        MemorySegment.ofArray(blocks), 0, MemorySegment.ofArray(decoded), 0, decoded.length / 4);
    assertThat(decoded).isEqualTo(expected);
  }

  @ParameterizedTest
  @MethodSource("simple")
  void encodesAsTheReferenceDoes(Format format) throws IOException {
    byte[] input = Files.readAllBytes(TestData.path("quant/input.f32"));
    byte[] expected = file(format, "bin");
    byte[] encoded = new byte[expected.length];
    format.encode(
        MemorySegment.ofArray(input), 0, MemorySegment.ofArray(encoded), 0, input.length / 4);
    assertThat(encoded).isEqualTo(expected);
  }

  private static byte[] file(Format format, String ending) throws IOException {
    String name = "quant/" + format.name().toLowerCase(Locale.ROOT) + "." + ending;
    return Files.readAllBytes(TestData.path(name));
  }
}

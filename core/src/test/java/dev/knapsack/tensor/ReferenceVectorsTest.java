package dev.knapsack.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.TestData;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.util.Locale;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Decoding is bit-exact with the published reference; encoding gives its bytes or loses less. */
class ReferenceVectorsTest {
  static Stream<Format> formats() {
    // The reference that made the vectors has no ternary formats, nor signs.
    return Formats.all().stream()
        .filter(f -> f != Formats.F32 && f != Formats.Q1_0 && !f.name().startsWith("TQ"));
  }

  @ParameterizedTest
  @MethodSource("formats")
  void decodesAsTheReferenceDoes(Format format) throws IOException {
    assertThat(decoded(format, file(format, "bin"))).isEqualTo(file(format, "f32"));
  }

  /** The formats whose published encoder ours reproduces to the byte. */
  static Stream<Format> sameBytes() {
    return Stream.of(
        Formats.F16,
        Formats.BF16,
        Formats.Q8_0,
        Formats.Q4_0,
        Formats.Q4_1,
        Formats.Q5_0,
        Formats.Q5_1,
        Formats.Q3_K,
        Formats.Q6_K,
        Formats.MXFP4);
  }

  @ParameterizedTest
  @MethodSource("sameBytes")
  void encodesToTheBytesOfTheReference(Format format) throws IOException {
    assertThat(encodedInput(format)).isEqualTo(file(format, "bin"));
  }

  @ParameterizedTest
  @MethodSource("formats")
  void losesNoMoreThanTheReference(Format format) throws IOException {
    double reference = error(file(format, "f32"));
    if (format == Formats.IQ4_NL) {
      reference = Math.min(reference, error(file(format, "chunk.f32")));
    }
    assertThat(error(decoded(format, encodedInput(format)))).isLessThanOrEqualTo(reference);
  }

  @Test
  void decodesTheOtherEncodersBlocksToo() throws IOException {
    assertThat(decoded(Formats.IQ4_NL, file(Formats.IQ4_NL, "chunk.bin")))
        .isEqualTo(file(Formats.IQ4_NL, "chunk.f32"));
  }

  private static byte[] encodedInput(Format format) throws IOException {
    byte[] input = Files.readAllBytes(TestData.path("quant/input.f32"));
    byte[] encoded = new byte[(int) format.bytes(input.length / 4)];
    format.encode(
        MemorySegment.ofArray(input), 0, MemorySegment.ofArray(encoded), 0, input.length / 4);
    return encoded;
  }

  private static byte[] decoded(Format format, byte[] blocks) {
    long values = (long) blocks.length / format.blockBytes() * format.blockValues();
    byte[] decoded = new byte[(int) values * 4];
    format.decode(MemorySegment.ofArray(blocks), 0, MemorySegment.ofArray(decoded), 0, values);
    return decoded;
  }

  /** The normalised mean square error of these float32 numbers against the input. */
  private static double error(byte[] decoded) throws IOException {
    byte[] input = Files.readAllBytes(TestData.path("quant/input.f32"));
    double error = 0;
    double power = 0;
    for (int i = 0; i < input.length; i += 4) {
      double x = LittleEndian.f32(MemorySegment.ofArray(input), i);
      double y = LittleEndian.f32(MemorySegment.ofArray(decoded), i);
      error += (x - y) * (x - y);
      power += x * x;
    }
    return error / power;
  }

  private static byte[] file(Format format, String ending) throws IOException {
    String name = "quant/" + format.name().toLowerCase(Locale.ROOT) + "." + ending;
    return Files.readAllBytes(TestData.path(name));
  }
}

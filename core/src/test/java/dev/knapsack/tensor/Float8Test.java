package dev.knapsack.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class Float8Test {
  static Stream<Format> formats() {
    return Stream.of(Formats.F8_E4M3, Formats.F8_E5M2);
  }

  /** The table of values that the OCP specification prints. */
  @ParameterizedTest
  @CsvSource({
    "F8_E4M3, 0x00, 0",
    "F8_E4M3, 0x01, 0x1p-9",
    "F8_E4M3, 0x07, 0x1.Cp-7",
    "F8_E4M3, 0x08, 0x1p-6",
    "F8_E4M3, 0x38, 1",
    "F8_E4M3, 0x7E, 448",
    "F8_E4M3, 0x7F, NaN",
    "F8_E4M3, 0xFF, NaN",
    "F8_E4M3, 0xB8, -1",
    "F8_E5M2, 0x01, 0x1p-16",
    "F8_E5M2, 0x03, 0x1.8p-15",
    "F8_E5M2, 0x04, 0x1p-14",
    "F8_E5M2, 0x3C, 1",
    "F8_E5M2, 0x7B, 57344",
    "F8_E5M2, 0x7C, Infinity",
    "F8_E5M2, 0xFC, -Infinity",
    "F8_E5M2, 0x7D, NaN",
    "F8_E5M2, 0xFF, NaN",
  })
  void readsThePublishedValues(String name, String code, String value) {
    assertThat(decode(Formats.byName(name), Integer.decode(code))).isEqualTo(Float.valueOf(value));
  }

  @Test
  void e5m2IsTheUpperByteOfAHalf() {
    for (int code = 0; code < 256; code++) {
      assertThat(decode(Formats.F8_E5M2, code))
          .isEqualTo(Float.valueOf(Float.float16ToFloat((short) (code << 8))));
    }
  }

  @ParameterizedTest
  @MethodSource("formats")
  void roundsToTheNearestAndHalvesToTheEvenCode(Format format) {
    int largest = encode(format, Float.MAX_VALUE);
    for (int code = 0; code < largest; code++) {
      float low = decode(format, code);
      float high = decode(format, code + 1);
      float middle = (low + high) / 2;
      int even = code % 2 == 0 ? code : code + 1;
      assertThat(encode(format, middle)).isEqualTo(even);
      assertThat(encode(format, -middle)).isEqualTo(even | 0x80);
      assertThat(encode(format, Math.nextDown(middle))).isEqualTo(code);
      assertThat(encode(format, Math.nextUp(middle))).isEqualTo(code + 1);
      assertThat(encode(format, -Math.nextUp(middle))).isEqualTo((code + 1) | 0x80);
    }
  }

  @ParameterizedTest
  @MethodSource("formats")
  void saturatesWhereItEnds(Format format) {
    int largest = format == Formats.F8_E4M3 ? 0x7E : 0x7B;
    float end = decode(format, largest);
    for (float x : new float[] {end, 1.1f * end, 1.5f * end, 1e30f, Float.POSITIVE_INFINITY}) {
      assertThat(encode(format, x)).isEqualTo(largest);
      assertThat(encode(format, -x)).isEqualTo(largest | 0x80);
    }
    assertThat(encode(format, Float.MIN_VALUE)).isZero();
    assertThat(encode(format, Float.NaN) & 0x7F).isEqualTo(0x7F);
  }

  private static float decode(Format format, int code) {
    float[] value = new float[1];
    byte[] stored = {(byte) code};
    format.decode(MemorySegment.ofArray(stored), 0, MemorySegment.ofArray(value), 0, 1);
    return value[0];
  }

  private static int encode(Format format, float value) {
    byte[] stored = new byte[1];
    float[] values = {value};
    format.encode(MemorySegment.ofArray(values), 0, MemorySegment.ofArray(stored), 0, 1);
    return stored[0] & 0xFF;
  }
}

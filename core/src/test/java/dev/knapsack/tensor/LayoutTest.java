package dev.knapsack.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Blocks worked out by hand from the published layouts: all bytes 0 but those given, and all
 * numbers the same but those given.
 */
class LayoutTest {
  // 003C is 1 in half precision, 0038 is 0.5, 00C0 is −2.
  @ParameterizedTest
  @CsvSource({
    "F32,    0=0000C03F,                       1.5,  -",
    "F16,    0=00C0,                           -2,   -",
    "BF16,   0=C03F,                           1.5,  -",
    "Q8_0,   0=0038 3=80 33=7F,                0,    1=-64 31=63.5",
    "Q4_0,   0=003C 5=F3,                      -8,   3=-5 19=7",
    "Q4_1,   0=0038 2=00C0 7=A1,               -2,   3=-1.5 19=3",
    "Q5_0,   0=003C 2=08000800 9=F3,           -16,  3=3 19=15",
    "Q5_1,   0=0038 2=00C0 4=00000100 8=05,    -2,   0=0.5 16=6",
    "Q2_K,   80=003C 82=0038 2=25 17=0C,       0,    *32-47=-1 33=14",
    "Q3_K,   108=003C 96=00 10=01 43=04,       128,  10=0 43=96",
    "Q4_K,   0=003C 2=0038 5=03 9=42 17=B0,    0,    *32-63=-1 *160-191=-8 33=32",
    "Q5_K,   0=003C 2=0038 5=03 9=42 17=02 49=B0, 0, *32-63=-1 *160-191=-8 33=80",
    "Q6_K,   208=003C 194=03 33=02 129=04,     0,    *32-47=-96 33=-42",
    "IQ4_NL, 0=003C 5=F3,                      -127, 3=-65 19=113",
    "IQ4_XS, 0=003C 2=0800 4=30 24=F0,         4064, *32-63=-381 48=339",
    "MXFP4,  0=80 4=F5,                        0,    3=6 19=-12",
    "TQ1_0,  0=FF 52=003C,                     -1,   0=1 32=1 64=1 96=1 128=1",
    "TQ2_0,  33=24 64=003C,                    -1,   129=-1 161=0 193=1",
    "Q1_0,   0=0038 3=02 17=80,                -0.5, 9=0.5 127=0.5",
    "F8_E4M3, 0=7E,                            448,  -",
    "F8_E5M2, 0=FB,                            -57344, -",
    "Q2_1,   0=0038 2=00C0 5=E4,               -2,   9=-1.5 17=-1 25=-0.5",
    "P1,     0=003C 2=00C0 5=02,               -2,   9=-1",
    "P3,     0=003C 2=00C0 4=08 9=02 12=08,    -2,   3=3 9=0",
    "P8,     0=0038 2=0000 4=00000080 32=00000080, 0, 31=64.5",
    "BFP4,   0=80 4=F5,                        -8,   3=-3 19=7",
    "BFP6,   0=80 4=F5 20=C1,                  -32,  3=-11 19=-17 27=16",
    "BFP4_64, 0=81 20=F5,                      -16,  35=-6 51=14",
    "BFP6_64, 0=81 20=F5 44=C1,                -64,  35=-22 51=-34 59=32",
  })
  void readsThePublishedLayout(String name, String bytes, float others, String numbers) {
    Format format = Formats.byName(name);
    byte[] block = new byte[format.blockBytes()];
    for (String part : bytes.split(" ")) {
      int at = Integer.parseInt(part.substring(0, part.indexOf('=')));
      byte[] value = HexFormat.of().parseHex(part.substring(part.indexOf('=') + 1));
      System.arraycopy(value, 0, block, at, value.length);
    }
    float[] expected = new float[format.blockValues()];
    Arrays.fill(expected, others);
    Map<Integer, Float> single = new HashMap<>();
    for (String part : numbers.equals("-") ? new String[0] : numbers.split(" ")) {
      String[] sides = part.split("=");
      float value = Float.parseFloat(sides[1]);
      if (sides[0].startsWith("*")) {
        String[] range = sides[0].substring(1).split("-");
        Arrays.fill(expected, Integer.parseInt(range[0]), Integer.parseInt(range[1]) + 1, value);
      } else {
        single.put(Integer.parseInt(sides[0]), value);
      }
    }
    single.forEach((i, value) -> expected[i] = value);

    float[] decoded = new float[format.blockValues()];
    format.decode(
        MemorySegment.ofArray(block), 0, MemorySegment.ofArray(decoded), 0, decoded.length);
    for (int i = 0; i < decoded.length; i++) {
      decoded[i] += 0f; // −0 becomes 0
    }
    assertThat(decoded).containsExactly(expected);
  }
}

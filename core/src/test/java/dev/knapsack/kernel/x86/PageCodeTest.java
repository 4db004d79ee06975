package dev.knapsack.kernel.x86;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.ValueSource;

@EnabledOnOs(
    value = OS.LINUX,
    architectures = {"amd64", "x86_64"},
    disabledReason = "the code is for Linux on x86-64")
class PageCodeTest {
  private static final List<Format> FORMATS = Formats.cache();

  /** Codes as they come, and scales as encoding makes them, from very small to very large. */
  @ParameterizedTest
  @FieldSource("FORMATS")
  void readsWhatTheFormatSays(Format format) {
    PageCode page = PageCode.of(format.name());
    assertThat(page).isNotNull();
    int count = 256;
    assertThat(format.bytes(8L * page.vectors())).isEqualTo(page.bytes());
    Code code = new NativeCode(AttentionCode.decode(page));
    Random random = new Random(5);
    for (int exponent = -14; exponent <= 12; exponent++) {
      float[] x = new float[count];
      for (int i = 0; i < count; i++) {
        x[i] = (float) Math.scalb(random.nextGaussian(), exponent);
      }
      MemorySegment stored = MemorySegment.ofArray(new byte[(int) format.bytes(count)]);
      format.encode(MemorySegment.ofArray(x), 0, stored, 0, count);
      check(format, code, stored, count);
    }
  }

  /** Every byte there is, infinities and what is no number among them. */
  @ParameterizedTest
  @ValueSource(strings = {"F8_E4M3", "F8_E5M2"})
  void readsEveryEightBitNumber(String name) {
    Format format = Formats.byName(name);
    byte[] all = new byte[256];
    for (int i = 0; i < all.length; i++) {
      all[i] = (byte) i;
    }
    Code code = new NativeCode(AttentionCode.decode(Objects.requireNonNull(PageCode.of(name))));
    check(format, code, MemorySegment.ofArray(all), 256);
  }

  private static void check(Format format, Code code, MemorySegment stored, int count) {
    float[] expected = new float[count];
    float[] actual = new float[count];
    format.decode(stored, 0, MemorySegment.ofArray(expected), 0, count);
    code.call(MemorySegment.ofArray(actual), stored, MemorySegment.NULL, 0, 0, count, 0);
    for (int i = 0; i < count; i++) {
      // A zero may have either sign.
      assertThat(actual[i] + 0f).as("number %d", i).isEqualTo(Float.valueOf(expected[i] + 0f));
    }
  }
}

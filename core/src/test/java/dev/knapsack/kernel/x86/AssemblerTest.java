package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Operand.xmm;
import static dev.knapsack.kernel.x86.Operand.ymm;
import static dev.knapsack.kernel.x86.Operand.zmm;
import static dev.knapsack.kernel.x86.Register.*;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.kernel.x86.Operand.Memory;
import dev.knapsack.kernel.x86.Operand.Vector;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * {@link Assembler} writes what the GNU assembler writes; {@link Encodings} says how its bytes came
 * to be.
 */
class AssemblerTest {
  private static Map<String, String> expected() throws IOException {
    Map<String, String> expected = new LinkedHashMap<>();
    try (InputStream in =
        Objects.requireNonNull(AssemblerTest.class.getResourceAsStream("encodings.tsv"))) {
      for (String line : new String(in.readAllBytes(), StandardCharsets.UTF_8).split("\n")) {
        String[] parts = line.split("\t");
        expected.put(parts[0], parts[1]);
      }
    }
    return expected;
  }

  @Test
  void writesWhatGnuWrites() throws IOException {
    Map<String, String> actual = new LinkedHashMap<>();
    for (Encodings.Case c : Encodings.cases()) {
      actual.put(c.text(), HexFormat.of().formatHex(c.bytes()));
    }
    assertThat(actual).containsExactlyEntriesOf(expected());
  }

  /** So that a new instruction is not forgotten, nor one of which no width is tried. */
  @ParameterizedTest
  @EnumSource
  void everyInstructionIsTried(Instruction i) throws IOException {
    assertThat(expected().keySet())
        .anyMatch(text -> Arrays.asList(text.split(" ")).contains(Encodings.name(i)));
    assertThat(Encodings.widths(i)).isNotEmpty();
  }

  static Stream<Instruction> withoutLongEncoding() {
    return Stream.of(Instruction.values()).filter(i -> i.kind == Instruction.Kind.VEX);
  }

  @ParameterizedTest
  @MethodSource("withoutLongEncoding")
  void whatHasNoLongEncodingIsRefused(Instruction i) {
    List<Consumer<Assembler>> wrong =
        List.of(
            a -> a.emit(i, zmm(1), zmm(2), zmm(3)),
            a -> a.emit(i, ymm(16), ymm(2), ymm(3)),
            a -> a.emit(i, ymm(1), ymm(16), ymm(3)),
            a -> a.emit(i, ymm(1), ymm(2), ymm(16)),
            a -> a.emit(i, ymm(1), ymm(31), RAX.at(0)),
            a -> a.store(i, RAX.at(0), ymm(16)),
            a -> a.extract(i, xmm(16), ymm(1), 0));
    for (Consumer<Assembler> code : wrong) {
      assertThatThrownBy(() -> code.accept(new Assembler()))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining(i.name());
    }
  }

  @Test
  void vectorsOfDifferentWidthsAreRefused() {
    assertThatThrownBy(() -> new Assembler().emit(Instruction.VPADDB, ymm(1), xmm(2), ymm(3)))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new Assembler().emit(Instruction.VPSRLW, xmm(1), ymm(2), 3))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(
            () -> new Assembler().emit(Instruction.VINSERTI128, ymm(1), xmm(2), xmm(3), 1))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void movesFromGeneralRegistersReachSixteenVectors() {
    assertThatThrownBy(() -> new Assembler().move(xmm(16), RAX))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void registersThatAreNotThereAreRefused() {
    int[][] wrong = {{-1, 128}, {32, 128}, {0, 64}, {0, 1024}, {0, 0}};
    for (int[] w : wrong) {
      assertThatThrownBy(() -> new Vector(w[0], w[1]))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining(w[0] + " of " + w[1] + " bits");
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 3, 16, -1, Integer.MIN_VALUE})
  void scalesThatAreNotThereAreRefused(int scale) {
    assertThatThrownBy(() -> RAX.at(RCX, scale, 0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("not " + scale);
  }

  @Test
  void addressesThatAreNotThereAreRefused() {
    assertThatThrownBy(() -> RAX.at(RSP, 1, 0)).isInstanceOf(IllegalArgumentException.class);
    Memory nowhere = new Memory(null, null, 1, 0, null);
    assertThatThrownBy(() -> new Assembler().move(RAX, nowhere))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void labelsArePlacedOnce() {
    Assembler a = new Assembler();
    Label label = new Label();
    a.place(label);
    assertThatThrownBy(() -> a.place(label)).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void labelsThatAreUsedArePlaced() {
    Assembler a = new Assembler();
    a.jump(new Label());
    assertThatThrownBy(a::finish).isInstanceOf(IllegalStateException.class);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 3, 12, 128})
  void constantsHaveTheSizeOfWhatIsLoaded(int size) {
    assertThatThrownBy(() -> new Assembler().constant(new byte[size]))
        .isInstanceOf(IllegalArgumentException.class);
  }

  /** Code of many kilobytes, beyond what the assembler first makes room for. */
  @Test
  void growsWithTheCode() {
    Assembler a = new Assembler();
    Label end = new Label();
    a.jump(end);
    for (int i = 0; i < 5000; i++) {
      a.ret();
    }
    a.place(end);
    byte[] code = a.finish();
    assertThat(code).hasSize(5005).startsWith(0xE9, 0x88, 0x13, 0, 0, 0xC3).endsWith(0xC3);
  }
}

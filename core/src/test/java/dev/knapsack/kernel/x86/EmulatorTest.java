package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Operand.xmm;
import static dev.knapsack.kernel.x86.Operand.ymm;
import static dev.knapsack.kernel.x86.Register.*;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.kernel.x86.Operand.Vector;
import java.lang.foreign.MemorySegment;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * {@link Emulator} stops code that does what it must not; that it does right what code may do is
 * seen wherever {@link EmulatedKernels} run beside the processor.
 */
class EmulatorTest {
  private static final int BYTES = 40;

  private static void run(Isa isa, Consumer<Assembler> body) {
    Assembler a = new Assembler();
    body.accept(a);
    a.zeroUpper();
    a.ret();
    MemorySegment memory = MemorySegment.ofArray(new byte[BYTES]);
    new Emulator(a.finish(), isa).call(memory, MemorySegment.NULL, MemorySegment.NULL, 0, 0, 0, 0);
  }

  private static void assertFault(Isa isa, String reason, Consumer<Assembler> body) {
    assertThatThrownBy(() -> run(isa, body))
        .isInstanceOf(Emulator.Fault.class)
        .hasMessageContaining(reason);
  }

  @ParameterizedTest
  @ValueSource(ints = {-1, 9, 1 << 20})
  void memoryOutsideIsAFault(int displacement) {
    assertFault(
        Isa.AVX2, "outside", a -> a.emit(Instruction.VMOVUPS, ymm(0), RDI.at(displacement)));
    assertFault(
        Isa.AVX2, "outside", a -> a.store(Instruction.VMOVUPS_STORE, RDI.at(displacement), ymm(0)));
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 8})
  void memoryWithinIsNone(int displacement) {
    assertThatCode(() ->
            run(
                Isa.AVX2,
                a -> {
                  a.emit(Instruction.VMOVUPS, ymm(0), RDI.at(displacement));
                  a.store(Instruction.VMOVUPS_STORE, RDI.at(displacement), ymm(0));
                }))
        .doesNotThrowAnyException();
  }

  @ParameterizedTest
  @EnumSource
  void instructionsOfOtherProcessorsAreAFault(Isa isa) {
    for (Isa other : Isa.values()) {
      if (other.vnni() && other != isa) {
        assertFault(isa, "has no", a -> a.emit(other.dotProduct(), ymm(1), ymm(2), ymm(3)));
      }
    }
    if (isa != Isa.AVX512_VNNI) {
      Vector high = ymm(16);
      assertFault(isa, "has no", a -> a.emit(Instruction.VPADDD, high, high, high));
    }
  }

  @Test
  void lostRegistersAreAFault() {
    assertFault(Isa.AVX2, "Register 3", a -> a.move(RBX, 1));
    assertFault(Isa.AVX2, "elsewhere", a -> a.push(RAX));
  }

  @Test
  void loopsThatDoNotEndAreAFault() {
    assertFault(
        Isa.AVX2,
        "one at",
        a -> {
          Label loop = new Label();
          a.place(loop);
          a.jump(loop);
        });
  }

  @Test
  void vectorsLeftWideAreAFault() {
    Assembler a = new Assembler();
    a.emit(Instruction.VPADDD, xmm(0), xmm(1), xmm(2));
    a.ret();
    Emulator emulator = new Emulator(a.finish(), Isa.AVX2);
    MemorySegment none = MemorySegment.NULL;
    assertThatThrownBy(() -> emulator.call(none, none, none, 0, 0, 0, 0))
        .isInstanceOf(Emulator.Fault.class)
        .hasMessageContaining("vzeroupper");
  }
}

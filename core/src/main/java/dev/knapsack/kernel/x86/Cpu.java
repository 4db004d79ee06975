package dev.knapsack.kernel.x86;

import dev.knapsack.memory.ExecutableMemory;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/**
 * What this processor can do and the operating system lets it do, asked of the processor itself.
 *
 * @param avx2 AVX2, FMA and F16C: vectors of 256 bits
 * @param avxVnni 8-bit products in their VEX encoding
 * @param avx512Vnni 8-bit products, with AVX-512 F, BW, DQ and VL: 32 registers of 512 bits
 */
record Cpu(boolean avx2, boolean avxVnni, boolean avx512Vnni) {
  private static final int XMM_YMM = 0x6;
  private static final int OPMASK_ZMM = 0xE0;

  private static boolean all(int word, int... bits) {
    for (int bit : bits) {
      if ((word >>> bit & 1) == 0) {
        return false;
      }
    }
    return true;
  }

  /** Looks; needs executable memory. */
  static Cpu detect() {
    try (Arena arena = Arena.ofConfined()) {
      MethodHandle ask =
          Linker.nativeLinker()
              .downcallHandle(
                  ExecutableMemory.of(code(), arena),
                  FunctionDescriptor.ofVoid(
                      ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.ADDRESS));
      // rax, rbx, rcx and rdx of cpuid, then what the system saves of vector registers
      MemorySegment answer = arena.allocate(5L * Long.BYTES, Long.BYTES);
      int[] first = ask(ask, 1, 0, answer);
      boolean saves = all(first[2], 27);
      int saved = saves ? first[4] : 0;
      int[] seven = ask(ask, 7, 0, answer);
      int[] sevenOne = ask(ask, 7, 1, answer);
      boolean avx2 = (saved & XMM_YMM) == XMM_YMM && all(first[2], 12, 28, 29) && all(seven[1], 5);
      boolean avx512 = avx2 && (saved & OPMASK_ZMM) == OPMASK_ZMM && all(seven[1], 16, 17, 30, 31);
      return new Cpu(avx2, avx2 && all(sevenOne[0], 4), avx512 && all(seven[2], 11));
    }
  }

  private static int[] ask(MethodHandle ask, int leaf, int subleaf, MemorySegment answer) {
    try {
      ask.invokeExact(leaf, subleaf, answer);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new LinkageError("cpuid", e);
    }
    int[] words = new int[5];
    for (int i = 0; i < words.length; i++) {
      words[i] = (int) answer.get(ValueLayout.JAVA_LONG, (long) i * Long.BYTES);
    }
    return words;
  }

  static byte[] code() {
    Assembler a = new Assembler();
    a.push(Register.RBX);
    a.move(Register.R8, Register.RDX);
    a.move(Register.RAX, Register.RDI);
    a.move(Register.RCX, Register.RSI);
    a.cpuid();
    a.store(Register.R8.at(0), Register.RAX);
    a.store(Register.R8.at(8), Register.RBX);
    a.store(Register.R8.at(16), Register.RCX);
    a.store(Register.R8.at(24), Register.RDX);
    // Whether the system saves vector registers may be asked only where it says so: OSXSAVE.
    a.move(Register.RAX, 1);
    a.move(Register.RCX, 0);
    a.cpuid();
    a.and(Register.RCX, 1 << 27);
    Label none = new Label();
    a.jump(Assembler.Condition.EQUAL, none);
    a.move(Register.RCX, 0);
    a.xgetbv();
    a.store(Register.R8.at(32), Register.RAX);
    a.place(none);
    a.pop(Register.RBX);
    a.ret();
    return a.finish();
  }
}

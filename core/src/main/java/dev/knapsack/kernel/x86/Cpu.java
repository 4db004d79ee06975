package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Register.*;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The extensions that this processor has and the operating system allows, asked of the processor
 * itself.
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

  /**
   * Looks.
   *
   * @throws UnsupportedOperationException if native access is denied
   * @throws dev.knapsack.error.NativeMemoryException if there is no executable memory
   */
  static Cpu detect() {
    try (Arena arena = Arena.ofConfined()) {
      Code code = new NativeCode(code());
      // rax, rbx, rcx and rdx of cpuid, then what the system saves of vector registers
      MemorySegment answer = arena.allocate(5L * Long.BYTES, Long.BYTES);
      int[] first = ask(code, 1, 0, answer);
      boolean saves = all(first[2], 27);
      int saved = saves ? first[4] : 0;
      int[] seven = ask(code, 7, 0, answer);
      int[] sevenOne = ask(code, 7, 1, answer);
      boolean avx2 = (saved & XMM_YMM) == XMM_YMM && all(first[2], 12, 28, 29) && all(seven[1], 5);
      boolean avx512 = avx2 && (saved & OPMASK_ZMM) == OPMASK_ZMM && all(seven[1], 16, 17, 30, 31);
      return new Cpu(avx2, avx2 && all(sevenOne[0], 4), avx512 && all(seven[2], 11));
    }
  }

  private static int[] ask(Code code, int leaf, int subleaf, MemorySegment answer) {
    code.call(answer, MemorySegment.NULL, MemorySegment.NULL, leaf, subleaf, 0, 0);
    int[] words = new int[5];
    for (int i = 0; i < words.length; i++) {
      words[i] = (int) answer.get(ValueLayout.JAVA_LONG, (long) i * Long.BYTES);
    }
    return words;
  }

  static byte[] code() {
    Assembler a = new Assembler();
    a.push(RBX);
    a.move(RAX, RCX);
    a.move(RCX, R8);
    a.cpuid();
    a.store(RDI.at(0), RAX);
    a.store(RDI.at(8), RBX);
    a.store(RDI.at(16), RCX);
    a.store(RDI.at(24), RDX);
    // Whether the system saves vector registers may be asked only where it says so: OSXSAVE.
    a.move(RAX, 1);
    a.move(RCX, 0);
    a.cpuid();
    a.and(RCX, 1 << 27);
    Label none = new Label();
    a.jump(Assembler.Condition.EQUAL, none);
    a.move(RCX, 0);
    a.xgetbv();
    a.store(RDI.at(32), RAX);
    a.place(none);
    a.pop(RBX);
    a.ret();
    return a.finish();
  }
}

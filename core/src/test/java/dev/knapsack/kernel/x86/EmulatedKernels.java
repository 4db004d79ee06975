package dev.knapsack.kernel.x86;

import static org.assertj.core.api.Assertions.fail;

import dev.knapsack.error.NativeMemoryException;
import dev.knapsack.kernel.Kernels;
import dev.knapsack.kernel.ScalarKernels;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.stream.Stream;

/**
 * The provider in machine code, for every {@link Isa}, on an {@link Emulator}: what a machine can
 * run itself is run there too, and must leave the same bits in memory.
 */
public final class EmulatedKernels {
  private EmulatedKernels() {}

  public static Stream<Kernels> all() {
    return over(ScalarKernels.open());
  }

  /** With others for what there is no code for. */
  public static Stream<Kernels> over(Kernels others) {
    return Arrays.stream(Isa.values()).map(isa -> X86Kernels.open(others, isa, loader(isa)));
  }

  private static Code.Loader loader(Isa isa) {
    if (runsHere(isa)) {
      return code -> new Twins(new NativeCode(code), new Emulator(code, isa));
    }
    return code -> new Emulator(code, isa);
  }

  private static boolean runsHere(Isa isa) {
    if (!System.getProperty("os.arch", "").equals("amd64")) {
      return false;
    }
    try {
      Cpu cpu = Cpu.detect();
      return switch (isa) {
        case AVX2 -> cpu.avx2();
        case AVX_VNNI -> cpu.avxVnni();
        case AVX512_VNNI -> cpu.avx512Vnni();
      };
    } catch (UnsupportedOperationException | NativeMemoryException e) {
      return false;
    }
  }

  /** A function on the emulator, then, on the same memory as it was, on this processor. */
  private record Twins(Code real, Code emulated) implements Code {
    @Override
    public void call(
        MemorySegment first,
        MemorySegment second,
        MemorySegment third,
        long a,
        long b,
        long c,
        long d) {
      // Arguments may lie in one another.
      MemorySegment[] arguments = {first, second, third};
      MemorySegment[] before = copies(arguments);
      emulated.call(first, second, third, a, b, c, d);
      MemorySegment[] after = copies(arguments);
      for (int i = 0; i < arguments.length; i++) {
        if (before[i].mismatch(after[i]) >= 0) {
          arguments[i].copyFrom(before[i]);
        }
      }
      real.call(first, second, third, a, b, c, d);
      for (int i = 0; i < arguments.length; i++) {
        long at = arguments[i].mismatch(after[i]);
        if (at >= 0) {
          fail("argument %d differs at %d".formatted(i, at));
        }
      }
    }

    private static MemorySegment[] copies(MemorySegment[] memory) {
      MemorySegment[] copies = new MemorySegment[memory.length];
      for (int i = 0; i < memory.length; i++) {
        byte[] bytes = new byte[Math.toIntExact(memory[i].byteSize())];
        copies[i] = MemorySegment.ofArray(bytes).copyFrom(memory[i]);
      }
      return copies;
    }
  }
}

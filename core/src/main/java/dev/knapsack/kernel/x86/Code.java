package dev.knapsack.kernel.x86;

import dev.knapsack.memory.ExecutableMemory;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/**
 * A generated function, in executable memory of its own until it is unreachable.
 *
 * <p>Every function takes three addresses, in rdi, rsi and rdx, and four numbers, in rcx, r8, r9
 * and, above the return address, on the stack: so one linked call serves all.
 */
final class Code {
  private static final MethodHandle CALL =
      Linker.nativeLinker()
          .downcallHandle(
              FunctionDescriptor.ofVoid(
                  ValueLayout.ADDRESS,
                  ValueLayout.ADDRESS,
                  ValueLayout.ADDRESS,
                  ValueLayout.JAVA_LONG,
                  ValueLayout.JAVA_LONG,
                  ValueLayout.JAVA_LONG,
                  ValueLayout.JAVA_LONG),
              Linker.Option.critical(true));

  /** Where a function finds its fourth number on entry. */
  static final Operand.Memory FOURTH = Register.RSP.at(Long.BYTES);

  private final MemorySegment function;

  Code(byte[] code) {
    function = ExecutableMemory.of(code, Arena.ofAuto());
  }

  /**
   * Calls the function; while it runs, the garbage collector waits.
   *
   * @throws IllegalStateException if what an address stands for has been closed
   */
  void call(
      MemorySegment first,
      MemorySegment second,
      MemorySegment third,
      long a,
      long b,
      long c,
      long d) {
    try {
      CALL.invokeExact(function, first, second, third, a, b, c, d);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new LinkageError("generated code", e);
    }
  }
}

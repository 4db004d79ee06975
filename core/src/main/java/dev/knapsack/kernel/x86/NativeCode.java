package dev.knapsack.kernel.x86;

import dev.knapsack.memory.ExecutableMemory;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/**
 * Code that this processor runs, in executable memory of its own until it is unreachable. While it
 * runs, the garbage collector waits.
 */
final class NativeCode implements Code {
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

  private final MemorySegment function;

  NativeCode(byte[] code) {
    function = ExecutableMemory.of(code, Arena.ofAuto());
  }

  @Override
  public void call(
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

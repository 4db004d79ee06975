package dev.knapsack.kernel.x86;

import dev.knapsack.os.ExecutableMemory;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Code that this processor runs, in executable memory of its own until it is unreachable. While it
 * runs, the garbage collector waits.
 */
final class NativeCode implements Code {
  /** Null where the JVM denies native access. */
  private static final @Nullable MethodHandle CALL = link();

  private final MemorySegment function;

  /**
   * Makes code executable.
   *
   * @throws UnsupportedOperationException if the JVM or the system does not allow that
   * @throws dev.knapsack.error.NativeMemoryException if the kernel refuses
   */
  NativeCode(byte[] code) {
    if (CALL == null) {
      throw new UnsupportedOperationException(
          "this JVM denies native access; start Java with --enable-native-access=ALL-UNNAMED");
    }
    function = ExecutableMemory.of(code, Arena.ofAuto());
  }

  private static @Nullable MethodHandle link() {
    try {
      return Linker.nativeLinker()
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
    } catch (IllegalCallerException denied) {
      return null;
    }
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
      Objects.requireNonNull(CALL).invokeExact(function, first, second, third, a, b, c, d);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new LinkageError("generated code", e);
    }
  }
}

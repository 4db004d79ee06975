package dev.knapsack.kernel.x86;

import dev.knapsack.memory.ExecutableMemory;
import java.io.ByteArrayOutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The generated functions of one provider, by name, in executable memory; freed when unreachable.
 */
final class Code {
  private static final int ALIGNMENT = 64;

  /** Attention's functions take two addresses and four numbers. */
  private static final MethodHandle CALL_TWO =
      Linker.nativeLinker()
          .downcallHandle(
              FunctionDescriptor.ofVoid(
                  ValueLayout.ADDRESS,
                  ValueLayout.ADDRESS,
                  ValueLayout.JAVA_LONG,
                  ValueLayout.JAVA_LONG,
                  ValueLayout.JAVA_LONG,
                  ValueLayout.JAVA_LONG),
              Linker.Option.critical(true));

  /** Other functions take three addresses and three numbers. */
  private static final MethodHandle CALL =
      Linker.nativeLinker()
          .downcallHandle(
              FunctionDescriptor.ofVoid(
                  ValueLayout.ADDRESS,
                  ValueLayout.ADDRESS,
                  ValueLayout.ADDRESS,
                  ValueLayout.JAVA_LONG,
                  ValueLayout.JAVA_LONG,
                  ValueLayout.JAVA_LONG),
              Linker.Option.critical(true));

  private final ByteArrayOutputStream written = new ByteArrayOutputStream();
  private final Map<String, int[]> places = new LinkedHashMap<>();
  private MemorySegment pages = MemorySegment.NULL;

  void add(String name, byte[] code) {
    while (written.size() % ALIGNMENT != 0) {
      written.write(0xCC);
    }
    places.put(name, new int[] {written.size(), code.length});
    written.writeBytes(code);
  }

  /** Makes what was added executable. */
  void seal() {
    pages = ExecutableMemory.of(written.toByteArray(), Arena.ofAuto());
  }

  /** Where a function begins. */
  MemorySegment function(String name) {
    int[] place = places.get(name);
    if (place == null) {
      throw new IllegalArgumentException("No generated function is called " + name);
    }
    return pages.asSlice(place[0], place[1]);
  }

  boolean contains(String name) {
    return places.containsKey(name);
  }

  /** Calls a function; while it runs, the garbage collector waits. */
  void call(
      String name,
      MemorySegment first,
      MemorySegment second,
      MemorySegment third,
      long a,
      long b,
      long c) {
    try {
      CALL.invokeExact(function(name), first, second, third, a, b, c);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new LinkageError("generated code", e);
    }
  }

  /** Calls a function of attention; while it runs, the garbage collector waits. */
  void call(String name, MemorySegment memory, MemorySegment page, long a, long b, long c, long d) {
    try {
      CALL_TWO.invokeExact(function(name), memory, page, a, b, c, d);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new LinkageError("generated code", e);
    }
  }
}

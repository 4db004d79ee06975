package dev.knapsack.kernel;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;

/**
 * Memory beside a page that nobody may touch, so that code that reads or writes one byte too far
 * ends the process: machine code checks no bounds of its own.
 *
 * <p>Such memory begins at any address that its size is a multiple of. Off Linux it is plain.
 */
public enum Guard {
  IN_FRONT,
  BEHIND;

  private static final long PAGE = 4096;
  private static final int PROT_NONE = 0;
  private static final int PROT_READ_WRITE = 3;
  private static final int MAP_PRIVATE_ANONYMOUS = 0x22;
  private static final boolean LINUX = System.getProperty("os.name", "").equals("Linux");

  /** Links no function of another system's library. */
  private static final class Calls {
    static final MethodHandle MMAP =
        function(
            "mmap",
            FunctionDescriptor.of(
                JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG));
    static final MethodHandle MPROTECT =
        function("mprotect", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT));
    static final MethodHandle MUNMAP =
        function("munmap", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG));

    private static MethodHandle function(String name, FunctionDescriptor type) {
      SymbolLookup libc = Linker.nativeLinker().defaultLookup();
      return Linker.nativeLinker().downcallHandle(libc.findOrThrow(name), type);
    }
  }

  /** Zeroed memory flush with the guard; where it is whole pages, between two. */
  public MemorySegment allocate(long bytes, Arena arena) {
    if (!LINUX) {
      return arena.allocate(bytes, 1);
    }
    long pages = Math.ceilDiv(bytes, PAGE) * PAGE;
    long span = pages + 2 * PAGE;
    try {
      // All of it is closed, then what lies between the guards is opened.
      long start =
          (long) Calls.MMAP.invokeExact(0L, span, PROT_NONE, MAP_PRIVATE_ANONYMOUS, -1, 0L);
      if (start < 0 && start > -PAGE) {
        throw new AssertionError("mmap of " + span + " bytes failed");
      }
      long first = start + PAGE;
      if (pages > 0 && (int) Calls.MPROTECT.invokeExact(first, pages, PROT_READ_WRITE) != 0) {
        throw new AssertionError("mprotect failed; are there too many mappings?");
      }
      return MemorySegment.ofAddress(this == IN_FRONT ? first : first + pages - bytes)
          .reinterpret(bytes, arena, _ -> unmap(start, span));
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new LinkageError("mmap", e);
    }
  }

  private static void unmap(long start, long span) {
    try {
      if ((int) Calls.MUNMAP.invokeExact(start, span) != 0) {
        throw new AssertionError("munmap failed");
      }
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new LinkageError("munmap", e);
    }
  }
}

package dev.knapsack.os;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.knapsack.error.NativeMemoryException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * Machine code in pages that may be executed: written while they may not, executable once they can
 * no longer be written.
 */
public final class ExecutableMemory {
  private static final int PROT_READ_EXECUTE = 5;

  private ExecutableMemory() {}

  /**
   * Lays code into pages of its own, until {@code arena} closes.
   *
   * @throws NativeMemoryException if the kernel refuses, as hardened ones do
   * @throws UnsupportedOperationException on systems other than Linux, or if native access is
   *     denied
   */
  public static MemorySegment of(byte[] code, Arena arena) {
    MemorySegment pages = NativeMemory.map(NativeMemory.wholePages(code.length), arena);
    MemorySegment.copy(code, 0, pages, java.lang.foreign.ValueLayout.JAVA_BYTE, 0, code.length);
    if (protect(pages) != 0) {
      throw new NativeMemoryException(
          "The system refuses to make pages executable that were written before");
    }
    return pages.asReadOnly();
  }

  private static int protect(MemorySegment pages) {
    if (!System.getProperty("os.name", "").equals("Linux")) {
      throw new UnsupportedOperationException("Executable pages are made on Linux alone");
    }
    try {
      Linker linker = Linker.nativeLinker();
      MethodHandle mprotect =
          linker.downcallHandle(
              linker.defaultLookup().findOrThrow("mprotect"),
              FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT));
      return (int) mprotect.invokeExact(pages.address(), pages.byteSize(), PROT_READ_EXECUTE);
    } catch (IllegalCallerException e) {
      throw new UnsupportedOperationException("Native access is denied", e);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new LinkageError("mprotect", e);
    }
  }
}

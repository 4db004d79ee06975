package dev.knapsack.os;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.knapsack.error.NativeMemoryException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import org.jspecify.annotations.Nullable;

/**
 * Zeroed pages straight from the kernel: resident only once touched, and gone from the resident set
 * the moment their arena closes.
 *
 * <p>A C heap may keep freed memory for itself, and the JDK's own allocation touches every page to
 * zero it; a budget that bounds the resident set can afford neither. On Linux pages therefore come
 * from {@code mmap(2)} and go back by {@code munmap(2)}; where that is unavailable or native access
 * is denied, from {@link Arena#allocate(long, long)}.
 */
public final class NativeMemory {
  static final long PAGE = 4096;

  /**
   * Mappings of at least this many bytes ask for huge pages. A huge page becomes resident whole, so
   * a small lease that is filled bit by bit would cost more than it uses.
   */
  static final long HUGE_FROM = 4L << 20;

  private static final long HUGE_PAGE = 2L << 20;

  private static final int PROT_READ_WRITE = 3;
  private static final int MAP_PRIVATE_ANONYMOUS = 0x22;
  private static final int MAP_NORESERVE = 0x4000;
  private static final int MADV_DONTNEED = 4;
  private static final int MADV_HUGEPAGE = 14;
  private static final int MADV_NOHUGEPAGE = 15;

  private static final @Nullable Calls CALLS = Calls.link();

  private NativeMemory() {}

  /** Bytes of whole pages that hold {@code bytes} bytes. */
  public static long wholePages(long bytes) {
    return Math.addExact(bytes, PAGE - 1) & -PAGE;
  }

  /**
   * Maps {@code bytes} zeroed bytes, aligned to a page, until {@code arena} closes.
   *
   * @throws NativeMemoryException if the kernel refuses
   */
  public static MemorySegment map(long bytes, Arena arena) {
    if (CALLS == null) {
      try {
        return arena.allocate(bytes, PAGE);
      } catch (OutOfMemoryError e) {
        throw new NativeMemoryException(bytes, e);
      }
    }
    return CALLS.map(bytes, arena);
  }

  /**
   * Keeps addresses for {@code bytes} zeroed bytes until {@code arena} closes; a page becomes
   * resident when it is touched, and only that one. Without {@code mmap(2)} all are at once.
   *
   * @throws NativeMemoryException if the kernel refuses
   */
  public static MemorySegment reserve(long bytes, Arena arena) {
    return CALLS == null ? map(bytes, arena) : CALLS.reserve(bytes, arena);
  }

  /**
   * Takes whole pages out of the resident set, where there is {@code madvise(2)}; what they hold is
   * undefined then.
   */
  public static void giveBack(MemorySegment pages) {
    if (CALLS != null) {
      CALLS.madvise(pages.address(), pages.byteSize(), MADV_DONTNEED);
    }
  }

  private record Calls(MethodHandle mmap, MethodHandle munmap, MethodHandle madvise) {
    static @Nullable Calls link() {
      if (!System.getProperty("os.name", "").equals("Linux") || ADDRESS.byteSize() != 8) {
        return null;
      }
      try {
        Linker linker = Linker.nativeLinker();
        SymbolLookup libc = linker.defaultLookup();
        return new Calls(
            linker.downcallHandle(
                libc.findOrThrow("mmap"),
                FunctionDescriptor.of(
                    JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG)),
            linker.downcallHandle(
                libc.findOrThrow("munmap"), FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG)),
            linker.downcallHandle(
                libc.findOrThrow("madvise"),
                FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT)));
      } catch (IllegalCallerException
          | UnsupportedOperationException
          | java.util.NoSuchElementException nativeAccessDenied) {
        return null;
      }
    }

    MemorySegment map(long bytes, Arena arena) {
      long length = wholePages(bytes);
      boolean huge = length >= HUGE_FROM;
      // The kernel joins neighbouring mappings. A large one that starts and is advised at a huge
      // page's boundary shares no huge page with its neighbour, so unmapping it frees all of it.
      long span = huge ? length + HUGE_PAGE : length;
      long start = mmap(span, MAP_PRIVATE_ANONYMOUS, bytes);
      long address = start;
      if (huge) {
        address = (start + HUGE_PAGE - 1) & -HUGE_PAGE;
        if (address > start) {
          munmap(start, address - start);
        }
        munmap(address + length, start + span - (address + length));
        madvise(address, length & -HUGE_PAGE, MADV_HUGEPAGE);
      }
      return until(arena, address, length, bytes);
    }

    MemorySegment reserve(long bytes, Arena arena) {
      long length = wholePages(bytes);
      long start = mmap(length, MAP_PRIVATE_ANONYMOUS | MAP_NORESERVE, bytes);
      madvise(start, length, MADV_NOHUGEPAGE);
      return until(arena, start, length, bytes);
    }

    /** The first {@code bytes} of mapped pages, which are unmapped when the arena closes. */
    private MemorySegment until(Arena arena, long start, long length, long bytes) {
      try {
        return MemorySegment.ofAddress(start)
            .reinterpret(bytes, arena, ignored -> munmap(start, length));
      } catch (RuntimeException e) {
        munmap(start, length);
        throw e;
      }
    }

    /**
     * @param asked bytes, for the message
     */
    private long mmap(long length, int flags, long asked) {
      long start;
      try {
        start = (long) mmap.invokeExact(0L, length, PROT_READ_WRITE, flags, -1, 0L);
      } catch (Throwable e) {
        throw new LinkageError("mmap", e);
      }
      if (start < 0 && start > -PAGE) {
        throw new NativeMemoryException(asked, null);
      }
      return start;
    }

    @SuppressWarnings("UnusedVariable") // invokeExact needs the result's type
    private void munmap(long address, long length) {
      try {
        int result = (int) munmap.invokeExact(address, length);
      } catch (Throwable e) {
        throw new LinkageError("munmap", e);
      }
    }

    @SuppressWarnings("UnusedVariable") // advice may be refused, and pages are as they were then
    private void madvise(long address, long length, int advice) {
      try {
        int result = (int) madvise.invokeExact(address, length, advice);
      } catch (Throwable e) {
        throw new LinkageError("madvise", e);
      }
    }
  }
}

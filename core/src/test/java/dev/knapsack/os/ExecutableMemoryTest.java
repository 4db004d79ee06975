package dev.knapsack.os;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

@EnabledOnOs(value = OS.LINUX, disabledReason = "executable pages are made on Linux alone")
class ExecutableMemoryTest {
  /** {@code mov eax, 42; ret}. */
  private static final byte[] FORTY_TWO = {(byte) 0xB8, 42, 0, 0, 0, (byte) 0xC3};

  @Test
  void pagesAreReadAndExecutedAndNeverWritten() throws IOException {
    byte[] code = new byte[3 * 4096 + 1];
    System.arraycopy(FORTY_TWO, 0, code, 0, FORTY_TWO.length);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment pages = ExecutableMemory.of(code, arena);
      assertThat(pages.byteSize()).isEqualTo(4 * 4096);
      assertThat(pages.asSlice(0, code.length).toArray(ValueLayout.JAVA_BYTE)).isEqualTo(code);
      for (long page = 0; page < pages.byteSize(); page += 4096) {
        assertThat(permissions(pages.address() + page)).containsExactly("r-xp");
      }
      assertThat(pages.isReadOnly()).isTrue();
      assertThatThrownBy(() -> pages.set(ValueLayout.JAVA_BYTE, 0, (byte) 0))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  @Test
  void pagesGoWithTheirArena() throws IOException {
    long address;
    try (Arena arena = Arena.ofConfined()) {
      address = ExecutableMemory.of(FORTY_TWO, arena).address();
      assertThat(permissions(address)).hasSize(1);
    }
    // Another thread may have been given the place since, but not to execute it.
    assertThat(permissions(address)).doesNotContain("r-xp");
  }

  @Test
  @EnabledOnOs(
      architectures = {"amd64", "x86_64"},
      disabledReason = "the code is for x86-64")
  void codeRuns() throws Throwable {
    try (Arena arena = Arena.ofConfined()) {
      MethodHandle call =
          Linker.nativeLinker()
              .downcallHandle(
                  ExecutableMemory.of(FORTY_TWO, arena),
                  FunctionDescriptor.of(ValueLayout.JAVA_INT));
      assertThat((int) call.invokeExact()).isEqualTo(42);
    }
  }

  /** Of the mapping that holds an address, if there is one. */
  private static List<String> permissions(long address) throws IOException {
    List<String> found = new ArrayList<>();
    for (String line : Files.readAllLines(Path.of("/proc/self/maps"))) {
      String[] parts = line.split("[- ]", 4);
      long from = Long.parseUnsignedLong(parts[0], 16);
      long to = Long.parseUnsignedLong(parts[1], 16);
      if (Long.compareUnsigned(from, address) <= 0 && Long.compareUnsigned(address, to) < 0) {
        found.add(line.split(" ", 3)[1]);
      }
    }
    return found;
  }
}

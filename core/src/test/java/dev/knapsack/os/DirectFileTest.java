package dev.knapsack.os;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DirectFileTest {
  @TempDir private Path directory;

  private Path file(Path in, int bytes) throws IOException {
    byte[] content = new byte[bytes];
    new Random(bytes).nextBytes(content);
    return Files.write(Files.createTempFile(in, "direct", ".bin"), content);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 4095, 4096, 4097, 1 << 20, 3_333_333})
  void readsWhatARandomAccessFileReads(int size) throws IOException {
    readAtRandom(file(directory, size));
  }

  @Test
  void fallsBackWhereTheFileSystemRefusesDirectReads() throws IOException {
    Path memory = Path.of("/dev/shm");
    assumeTrue(Files.isWritable(memory), "no file system in memory here");
    Path path = file(memory, 1_234_567);
    try {
      readAtRandom(path);
    } finally {
      Files.delete(path);
    }
  }

  private static void readAtRandom(Path path) throws IOException {
    Random random = new Random(42);
    long size = Files.size(path);
    try (DirectFile direct = DirectFile.open(path);
        RandomAccessFile oracle = new RandomAccessFile(path.toFile(), "r");
        Arena arena = Arena.ofConfined()) {
      assertThat(direct.size()).isEqualTo(size);
      MemorySegment memory = arena.allocate(size + 3 * 4096, 4096);
      for (int i = 0; i < 200; i++) {
        long offset = random.nextLong(size);
        long length = random.nextLong(size - offset + 1);
        if (random.nextInt(3) == 0) {
          length = size - offset; // up to the file's end
        }
        long shift = random.nextBoolean() ? offset % 4096 : random.nextLong(4096);
        memory.fill((byte) 0x55);
        MemorySegment into = memory.asSlice(4096 + shift, length);
        direct.read(offset, into);
        byte[] expected = new byte[(int) length];
        oracle.seek(offset);
        oracle.readFully(expected);
        assertThat(into.mismatch(MemorySegment.ofArray(expected))).isEqualTo(-1);
        assertThat(memory.get(JAVA_BYTE, 4096 + shift - 1)).isEqualTo((byte) 0x55);
        assertThat(memory.get(JAVA_BYTE, 4096 + shift + length)).isEqualTo((byte) 0x55);
      }
    }
  }

  @Test
  void readsPastThePageCacheWhereItCan() throws IOException {
    try (DirectFile direct = DirectFile.open(file(directory, 10_000))) {
      assumeTrue(
          List.of("ext4", "xfs", "btrfs").contains(Files.getFileStore(directory).type()),
          "a file system that may refuse direct reads");
      assertThat(direct.direct()).isTrue();
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {0, 1, 4096, 9_999, 10_000, 10_001, 50_000})
  void aShortFileSaysHowManyBytesAreMissing(long offset) throws IOException {
    try (DirectFile direct = DirectFile.open(file(directory, 10_000));
        Arena arena = Arena.ofConfined()) {
      for (long shift : new long[] {0, offset % 4096, 17}) {
        MemorySegment into = arena.allocate(24_096, 4096).asSlice(shift, 20_000);
        long missing = Math.min(20_000, offset + 20_000 - 10_000);
        assertThatThrownBy(() -> direct.read(offset, into))
            .isInstanceOfSatisfying(
                FileTruncatedException.class, e -> assertThat(e.missing()).isEqualTo(missing))
            .hasMessageContaining("direct");
      }
    }
  }

  @Test
  void noticesThatTheFileChanged() throws IOException {
    Path path = file(directory, 5_000);
    Files.setLastModifiedTime(path, FileTime.fromMillis(1_000_000));
    try (DirectFile direct = DirectFile.open(path)) {
      direct.checkUnchanged();
      Files.setLastModifiedTime(path, FileTime.fromMillis(2_000_000));
      assertThatThrownBy(direct::checkUnchanged)
          .isInstanceOf(FileChangedException.class)
          .hasMessageContaining("written");
      Files.write(path, new byte[10]);
      assertThatThrownBy(direct::checkUnchanged)
          .isInstanceOf(FileChangedException.class)
          .hasMessageContaining("5,000")
          .hasMessageContaining("10");
      Files.delete(path);
      assertThatThrownBy(direct::checkUnchanged)
          .isInstanceOf(FileChangedException.class)
          .hasMessageContaining("deleted");
    }
  }

  @Test
  void manyThreadsReadAtOnceAndAnInterruptHurtsOnlyItsOwn() throws Exception {
    Path path = file(directory, 2_000_000);
    byte[] content = Files.readAllBytes(path);
    try (DirectFile direct = DirectFile.open(path);
        var threads = Executors.newFixedThreadPool(6)) {
      List<Callable<Integer>> tasks = new ArrayList<>();
      for (int t = 0; t < 6; t++) {
        Random random = new Random(t);
        boolean interrupted = t == 0;
        tasks.add(() -> {
          int failed = 0;
          try (Arena arena = Arena.ofConfined()) {
            MemorySegment memory = arena.allocate(300_000 + 4096, 4096);
            for (int i = 0; i < 60; i++) {
              long offset = random.nextLong(content.length - 300_000);
              MemorySegment into = memory.asSlice(random.nextLong(4096), random.nextLong(300_000));
              if (interrupted) {
                Thread.currentThread().interrupt();
              }
              try {
                direct.read(offset, into);
                assertThat(
                        into.mismatch(
                            MemorySegment.ofArray(content).asSlice(offset, into.byteSize())))
                    .isEqualTo(-1);
              } catch (IOException e) {
                failed++;
              }
            }
          } finally {
            Thread.interrupted();
          }
          return failed;
        });
      }
      List<Integer> failed = new ArrayList<>();
      for (Future<Integer> f : threads.invokeAll(tasks)) {
        failed.add(f.get());
      }
      assertThat(failed.get(0)).isPositive();
      assertThat(failed.subList(1, 6)).containsOnly(0);
    }
  }

  @Test
  void aMissingFileAndClosedFileAreErrors() throws IOException {
    assertThatThrownBy(() -> DirectFile.open(directory.resolve("none")))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("none");
    DirectFile direct = DirectFile.open(file(directory, 10));
    direct.close();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment into = arena.allocate(4);
      assertThatThrownBy(() -> direct.read(0, into)).isInstanceOf(IOException.class);
    }
    assertThatThrownBy(() -> direct.read(0, MemorySegment.ofArray(new byte[4])))
        .isInstanceOf(IllegalArgumentException.class);
  }
}

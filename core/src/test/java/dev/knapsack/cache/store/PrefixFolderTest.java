package dev.knapsack.cache.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.cache.PrefixKey;
import dev.knapsack.cache.PrefixStore.Part;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Files of blocks, without the trees that they are from. */
class PrefixFolderTest {
  private static final int PAGES = 700_000;
  private static final int STATES = 999;
  private static final int ROUNDS = 5;

  @TempDir Path directory;

  private static PrefixFolder folder(Path path, long most, Disk disk) {
    MemorySegment memory = Arena.ofAuto().allocate(PrefixFolder.MEMORY, 64);
    return new PrefixFolder(path, most, memory, Caches::fingerprint, 1, disk);
  }

  private PrefixFolder folder(long most) {
    return folder(directory, most, Disk.OF_THIS_MACHINE);
  }

  /** A chain of keys. */
  private static List<PrefixKey> keys(int count) {
    List<PrefixKey> keys = new ArrayList<>();
    PrefixKey key = PrefixKey.root(List.of("a model"));
    for (int i = 0; i < count; i++) {
      key = key.next(new int[] {i, 2 * i, 3 * i});
      keys.add(key);
    }
    return keys;
  }

  private static byte number(PrefixKey key, Part part, long at) {
    return (byte) (at * 31 + key.depth() * 7 + CacheFormat.kind(part));
  }

  private static void write(PrefixFolder folder, PrefixKey key) throws IOException {
    SortedMap<Part, Long> parts =
        new TreeMap<>(Map.of(Part.PAGES, (long) PAGES, Part.STATES, (long) STATES));
    folder.write(
        key,
        parts,
        true,
        (part, from, bytes, into, at) -> {
          assertThat(bytes).isLessThanOrEqualTo(PrefixFolder.SLICE);
          for (long i = 0; i < bytes; i++) {
            into.set(ValueLayout.JAVA_BYTE, at + i, number(key, part, from + i));
          }
          return true;
        });
  }

  /** Whether a block is there; all of it must be right then. */
  private static boolean reads(PrefixFolder folder, PrefixKey key) {
    byte[] pages = new byte[PAGES];
    byte[] states = new byte[STATES];
    boolean there =
        folder.read(
            key,
            Map.of(
                Part.PAGES,
                List.of(
                    MemorySegment.ofArray(pages).asSlice(0, 1000),
                    MemorySegment.ofArray(pages).asSlice(1000)),
                Part.STATES,
                List.of(MemorySegment.ofArray(states))));
    for (int i = 0; there && i < PAGES; i++) {
      assertThat(pages[i]).isEqualTo(number(key, Part.PAGES, i));
    }
    for (int i = 0; there && i < STATES; i++) {
      assertThat(states[i]).isEqualTo(number(key, Part.STATES, i));
    }
    return there;
  }

  private long bytes() throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files
          .filter(f -> f.toString().endsWith(".prefix"))
          .mapToLong(f -> f.toFile().length())
          .sum();
    }
  }

  @Test
  void theEndOfWhatWasUsedLongestAgoGoesFirst() throws IOException {
    List<PrefixKey> keys = keys(6);
    try (PrefixFolder folder = folder(1 << 30)) {
      for (PrefixKey key : keys) {
        write(folder, key);
      }
      assertThat(folder.bytes()).isEqualTo(bytes());
      assertThat(folder.written()).isEqualTo(6);
      write(folder, keys.get(3));
      assertThat(folder.written()).as("it is there").isEqualTo(6);
      for (PrefixKey key : keys) {
        Path file = directory.resolve(key.name() + ".prefix");
        Files.setLastModifiedTime(file, FileTime.fromMillis(1000));
      }
      keys.subList(0, 4).forEach(key -> assertThat(folder.touch(key)).isTrue());
    }
    Path foreign = Files.createFile(directory.resolve("letter.prefix"));
    try (PrefixFolder folder = folder(3 * (PAGES + 2000))) {
      folder.open();
      assertThat(folder.bytes()).isEqualTo(bytes()).isLessThanOrEqualTo(3 * (PAGES + 2000));
      List<Boolean> there = keys.stream().map(key -> reads(folder, key)).toList();
      assertThat(there.subList(0, 2)).containsOnly(true);
      assertThat(there.subList(3, 6)).containsOnly(false);
      assertThat(folder.touch(keys.get(5))).isFalse();
    }
    assertThat(foreign).as("it is not ours").exists();
  }

  @Test
  void whatWasNeverFinishedIsDeletedOnceItIsOld() throws IOException {
    String name = keys(1).getFirst().name();
    Path old = Files.write(directory.resolve(name + ".0a.prefix.tmp"), new byte[9]);
    Path young = Files.write(directory.resolve(name + ".0b.prefix.tmp"), new byte[9]);
    Files.setLastModifiedTime(old, FileTime.from(Instant.now().minus(Duration.ofDays(1))));
    try (PrefixFolder folder = folder(1 << 30)) {
      folder.open();
      assertThat(folder.bytes()).isZero();
    }
    assertThat(old).doesNotExist();
    assertThat(young).exists();
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 1000, 500_000})
  void aFullDiskIsSaidAndLeavesWhatWasThere(int room) throws IOException {
    List<PrefixKey> keys = keys(2);
    try (PrefixFolder folder = folder(1 << 30)) {
      write(folder, keys.getFirst());
    }
    for (boolean honest : new boolean[] {true, false}) {
      try (PrefixFolder folder = folder(directory, 1 << 30, new FullDisk(room, honest))) {
        assertThatThrownBy(() -> write(folder, keys.getLast()))
            .isInstanceOf(IOException.class)
            .hasMessageContaining(honest ? "the disk is full: a block takes" : "No space left");
        assertThat(reads(folder, keys.getLast())).isFalse();
        assertThat(reads(folder, keys.getFirst())).isTrue();
        assertThat(folder.bytes()).isEqualTo(bytes());
      }
    }
    try (Stream<Path> files = Files.list(directory)) {
      assertThat(files).noneMatch(f -> f.toString().endsWith(".tmp"));
    }
  }

  @Test
  void whatIsKilledAnywhereLeavesWholeBlocks() throws Exception {
    SplittableRandom random = new SplittableRandom(5);
    List<PrefixKey> keys = keys(1000);
    int before = 0;
    for (int round = 0; round < ROUNDS; round++) {
      Process child =
          new ProcessBuilder(
                  Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                  "-XX:+UseSerialGC",
                  "-XX:TieredStopAtLevel=1",
                  "-cp",
                  System.getProperty("java.class.path"),
                  Writing.class.getName(),
                  directory.toString())
              .inheritIO()
              .start();
      try {
        int next = before + 1 + random.nextInt(10);
        while (!Files.exists(directory.resolve(keys.get(next).name() + ".prefix"))) {
          assertThat(child.isAlive()).isTrue();
          Thread.onSpinWait();
        }
        for (int i = random.nextInt(100_000); i > 0; i--) {
          Thread.onSpinWait(); // anywhere in those that follow
        }
      } finally {
        child.destroyForcibly().waitFor();
      }
      try (PrefixFolder folder = folder(1 << 30)) {
        folder.open();
        assertThat(folder.bytes()).isEqualTo(bytes());
        int whole = 0;
        while (reads(folder, keys.get(whole))) {
          whole++;
        }
        assertThat(whole).isGreaterThan(before);
        assertThat(bytes()).as("and nothing else").isEqualTo(whole * (bytes() / whole));
        before = whole;
      }
    }
  }

  /** The process: writes one block after the other, as many as there are keys. */
  static final class Writing {
    private Writing() {}

    public static void main(String[] args) throws IOException {
      PrefixFolder folder = folder(Path.of(args[0]), 1 << 30, Disk.OF_THIS_MACHINE);
      for (PrefixKey key : keys(1000)) {
        write(folder, key);
      }
    }
  }
}

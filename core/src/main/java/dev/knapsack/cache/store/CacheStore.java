package dev.knapsack.cache.store;

import dev.knapsack.cache.Fingerprint;
import dev.knapsack.cache.SequenceState;
import dev.knapsack.error.CacheFileException;
import dev.knapsack.error.CacheFileException.Problem;
import dev.knapsack.error.CacheNotSavedException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A directory of saved caches: each under its name, all of them together within a number of bytes.
 *
 * <p>A cache appears under its name when all of it is on the disk, in place of what had the name
 * before; until then it is in a file beside it whose name ends in {@code .tmp}. So whatever happens
 * while one is saved, there is the one before or the new one, and never a part. What an ended
 * process left unfinished is removed by the next that saves.
 *
 * <p>When a cache has been saved and all together have more bytes than they may, those that were
 * saved or restored longest ago are deleted. Safe for use by many threads and processes.
 */
public final class CacheStore {
  /**
   * Bytes of all caches unless said otherwise, 4 GiB: a hundred conversations of 4,096 tokens with
   * a model of a billion parameters, or twenty-five with one of eight billion.
   */
  public static final long USUAL_BYTES = 4L << 30;

  /** File systems take names of 255 bytes; what stands behind a name needs some of them. */
  private static final int MOST_NAME_BYTES = 200;

  /** The characters that a name is made of. */
  public static final String NAMES =
      "1 to 64 letters, digits, '-', '_' and '.', no '.' first, of at most "
          + MOST_NAME_BYTES
          + " bytes in UTF-8";

  private static final Pattern NAME = Pattern.compile("[\\p{L}\\p{N}_-][\\p{L}\\p{N}._-]{0,63}");
  private static final String SUFFIX = ".kv";
  private static final String UNFINISHED = ".kv.tmp";

  /** Locked by the process that saves. */
  private static final String LOCK = ".lock";

  /** The precision in which tokens are written. */
  public enum Precision {
    /** In 4 bit where that is smaller, but for the last page of tokens. */
    FOUR_BIT,
    /** As they are in the cache. */
    AS_STORED
  }

  /**
   * A saved cache.
   *
   * @param bytes of its file
   * @param used when it was last saved or restored
   */
  public record Entry(String name, Path file, long bytes, Instant used) {}

  private final Path directory;
  private final long most;
  private final Disk disk;
  private final ReentrantLock saving = new ReentrantLock();

  /**
   * A store in this directory, which is made when something is saved.
   *
   * @param most bytes of all caches together
   */
  public CacheStore(Path directory, long most) {
    this(directory, most, Disk.OF_THIS_MACHINE);
  }

  CacheStore(Path directory, long most, Disk disk) {
    if (most < 0) {
      throw new IllegalArgumentException(
          "Saved caches may take %,d bytes; give 0 or more.".formatted(most));
    }
    this.directory = directory;
    this.most = most;
    this.disk = disk;
  }

  public Path directory() {
    return directory;
  }

  /**
   * Returns the name if it is one.
   *
   * @throws IllegalArgumentException if files cannot have it
   */
  public static String checkName(String name) {
    if (!NAME.matcher(name).matches()
        || name.getBytes(StandardCharsets.UTF_8).length > MOST_NAME_BYTES) {
      throw new IllegalArgumentException(
          "'%s' cannot be the name of what is saved; take %s.".formatted(name, NAMES));
    }
    return name;
  }

  private Path file(String name) {
    return directory.resolve(checkName(name) + SUFFIX);
  }

  /** All saved caches, the last used first. */
  public List<Entry> list() {
    List<Entry> entries = new ArrayList<>();
    files(SUFFIX).forEach(file -> entry(file).ifPresent(entries::add));
    entries.sort(Comparator.comparing(Entry::used).reversed().thenComparing(Entry::name));
    return entries;
  }

  /** Empty if it has just been removed, or cannot be looked at. */
  private static Optional<Entry> entry(Path file) {
    String fileName = name(file);
    try {
      return Optional.of(
          new Entry(
              fileName.substring(0, fileName.length() - SUFFIX.length()),
              file,
              Files.size(file),
              Files.getLastModifiedTime(file).toInstant()));
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  /** The fault of a file that is listed, as far as its first bytes tell. */
  public Optional<String> problem(Entry entry) {
    try {
      checkName(entry.name());
      read(entry.file(), CacheReader::fingerprint);
      return Optional.empty();
    } catch (CacheFileException e) {
      return Optional.of(e.reason());
    } catch (IllegalArgumentException e) {
      return Optional.of(String.valueOf(e.getMessage()));
    }
  }

  private static String name(Path file) {
    return Objects.requireNonNull(file.getFileName()).toString();
  }

  private List<Path> files(String suffix) {
    if (!Files.isDirectory(directory)) {
      return List.of();
    }
    try (Stream<Path> files = Files.list(directory)) {
      return files.filter(f -> name(f).endsWith(suffix) && Files.isRegularFile(f)).toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public Optional<Entry> find(String name) {
    checkName(name);
    return list().stream().filter(e -> e.name().equals(name)).findFirst();
  }

  /**
   * Deletes a cache.
   *
   * @return whether there was one
   */
  public boolean remove(String name) {
    try {
      return Files.deleteIfExists(file(name));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Saves a cache, which nobody changes meanwhile.
   *
   * @param tokens the tokens that it holds
   * @return bytes of the file; when this returns they are on the disk
   * @throws CacheNotSavedException if there is no room for it, the disk cannot be written, or its
   *     policy {@linkplain dev.knapsack.cache.KvPolicy#remembers remembers} more than is saved;
   *     what had the name before is still there
   */
  public long save(
      String name,
      SequenceState state,
      int[] tokens,
      Fingerprint fingerprint,
      Precision precision) {
    Path file = file(name);
    if (state.layout().policy().remembers()) {
      throw new CacheNotSavedException(
          file,
          0,
          "the recipe '%s' %s, which a saved cache does not hold; others, such as snapkv, can be saved."
              .formatted(
                  state.layout().policy(),
                  state.layout().policy().retrieval().isPresent()
                      ? "reads tokens again from a file of its own"
                      : "goes by what it has seen of each token so far"),
          null);
    }
    CacheWriter writer = new CacheWriter(state, tokens, fingerprint, precision);
    long bytes = writer.length();
    if (bytes > most) {
      throw new CacheNotSavedException(
          file,
          bytes - most,
          "it takes %,d bytes, and all saved caches together may have %,d (%,d missing)."
              .formatted(bytes, most, bytes - most),
          null);
    }
    saving.lock();
    try {
      Files.createDirectories(directory);
      try (FileChannel guard = disk.create(directory.resolve(LOCK))) {
        lock(guard);
        removeUnfinished();
        write(writer, bytes, file);
        makeRoom(name);
      }
    } catch (IOException e) {
      throw new CacheNotSavedException(file, 0, reason(e), e);
    } finally {
      saving.unlock();
    }
    return bytes;
  }

  private static String reason(IOException e) {
    if (e instanceof FileSystemException f && f.getReason() == null) {
      return f.getClass().getSimpleName() + " " + f.getFile();
    }
    return String.valueOf(e.getMessage());
  }

  private void write(CacheWriter writer, long bytes, Path file) throws IOException {
    Path unfinished = directory.resolve(name(file).replaceAll("\\.kv$", UNFINISHED));
    try {
      long free = disk.free(directory);
      if (free < bytes) {
        throw full(file, bytes, bytes - free, null);
      }
      try (FileChannel channel = disk.create(unfinished)) {
        write(writer, channel, file, bytes);
      }
      Files.move(
          unfinished, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException | RuntimeException | Error e) {
      Files.deleteIfExists(unfinished);
      throw e;
    }
    force(directory);
  }

  private void write(CacheWriter writer, FileChannel channel, Path file, long bytes)
      throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      Sink sink = new Sink(channel, arena);
      try {
        writer.write(sink);
        channel.force(true);
      } catch (IOException e) {
        long missing = bytes - sink.written() - disk.free(directory);
        if (missing > 0) {
          throw full(file, bytes, missing, e);
        }
        throw e;
      }
    }
  }

  private static CacheNotSavedException full(
      Path file, long bytes, long missing, @Nullable IOException cause) {
    return new CacheNotSavedException(
        file,
        missing,
        "the disk is full: it takes %,d bytes, %,d more than are free. What was saved before is as it was."
            .formatted(bytes, missing),
        cause);
  }

  /** Waits until no other process saves here; the lock ends with the channel, or the process. */
  static FileLock lock(FileChannel guard) throws IOException {
    while (true) {
      try {
        return guard.lock();
      } catch (OverlappingFileLockException anotherStoreOfThisProcess) {
        LockSupport.parkNanos(1_000_000);
      }
    }
  }

  /** Has the file's new name on the disk, where the system can be told to. */
  private static void force(Path directory) throws IOException {
    FileChannel opened;
    try {
      opened = FileChannel.open(directory, StandardOpenOption.READ);
    } catch (IOException directoriesCannotBeOpened) {
      return;
    }
    try (opened) {
      opened.force(true);
    }
  }

  /** Removes what processes that have ended did not finish: nobody else saves here now. */
  private void removeUnfinished() {
    files(UNFINISHED).forEach(CacheStore::delete);
  }

  /** Deletes what was used longest ago, but not the cache of this name. */
  private void makeRoom(String name) {
    List<Entry> entries = list();
    long bytes = entries.stream().mapToLong(Entry::bytes).sum();
    for (int i = entries.size() - 1; i >= 0 && bytes > most; i--) {
      Entry entry = entries.get(i);
      if (!entry.name().equals(name) && delete(entry.file())) {
        bytes -= entry.bytes();
      }
    }
  }

  /** One that cannot be deleted must not keep others from it. */
  private static boolean delete(Path file) {
    try {
      Files.deleteIfExists(file);
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  /**
   * Reads what a cache was computed with.
   *
   * @throws CacheFileException if there is none, or it cannot be read
   */
  public Fingerprint fingerprint(String name) {
    return read(file(name), CacheReader::fingerprint);
  }

  /**
   * Fills an empty cache with what was saved.
   *
   * @param expected what the cache will be used with
   * @param capacity tokens that the sequence may have
   * @param vocabulary token ids are below it
   * @return the tokens that the cache holds now
   * @throws CacheFileException if there is none, or it cannot be used; the cache is empty
   * @throws dev.knapsack.error.BudgetExceededException if the pages do not fit; the cache is empty
   */
  public int[] restore(
      String name, SequenceState state, Fingerprint expected, int capacity, int vocabulary) {
    Path file = file(name);
    if (state.length() != 0) {
      throw new IllegalArgumentException(
          "The cache holds %,d tokens; give an empty one.".formatted(state.length()));
    }
    try {
      int[] tokens = read(file, reader -> reader.read(expected, capacity, vocabulary, state));
      touch(file);
      return tokens;
    } catch (RuntimeException | Error e) {
      state.back(0);
      throw e;
    }
  }

  /** Reads something of a file. */
  private interface Reading<T> {
    T from(CacheReader reader) throws IOException;
  }

  private static <T> T read(Path file, Reading<T> reading) {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ);
        Arena arena = Arena.ofConfined()) {
      return reading.from(new CacheReader(file, channel, arena));
    } catch (NoSuchFileException e) {
      throw new CacheFileException(file, Problem.MISSING, "there is no such saved cache.", e);
    } catch (IOException e) {
      throw new CacheFileException(file, Problem.UNREADABLE, "cannot be read: " + reason(e), e);
    }
  }

  private static void touch(Path file) {
    try {
      Files.setLastModifiedTime(file, FileTime.from(Instant.now()));
    } catch (IOException readOnly) {
      // Then it is the first to be deleted, by someone who may write here.
    }
  }
}

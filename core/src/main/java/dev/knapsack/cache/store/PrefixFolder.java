package dev.knapsack.cache.store;

import dev.knapsack.cache.Fingerprint;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.PrefixKey;
import dev.knapsack.cache.PrefixStore;
import dev.knapsack.error.CacheFileException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SortedMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A folder of blocks of prefixes, each in a file under its key's name, all of them within a number
 * of bytes.
 *
 * <p>A file appears under its name when it is whole; until then it has one that ends in {@code
 * .tmp}. Nothing waits for the disk: what a machine that lost its power left in parts is known by
 * its checksums, and deleted, as is what is not of the key that it is named by. Those that were
 * written or used longest ago go first, of a chain its end. Several processes may have one folder:
 * what its files take together is counted in the file {@code .lock}, whose owner alone adds files.
 *
 * <p>One thread writes and another reads; the rest is safe for many.
 */
public final class PrefixFolder implements PrefixStore, AutoCloseable {
  /** Bytes of a folder unless said otherwise, 16 GiB: some hundred long prompts. */
  public static final long USUAL_BYTES = 16L << 30;

  /** Bytes of memory that it needs: for what is being written, and for what is being read. */
  public static final long MEMORY = 2L * Sink.PIECE;

  /** The most bytes that are copied at once for writing. */
  static final int SLICE = 1 << 18;

  private static final String SUFFIX = ".prefix";
  private static final String UNFINISHED = ".prefix.tmp";
  private static final Pattern NAME =
      Pattern.compile("[0-9a-f]{64}(\\.[0-9a-f]+)?\\.prefix(\\.tmp)?");
  private static final String LOCK = ".lock";

  /** After this an unfinished file is one that nobody writes any more. */
  private static final Duration ABANDONED = Duration.ofHours(1);

  /** The source of what is written. */
  @FunctionalInterface
  public interface Copy {
    /**
     * Copies bytes of a part.
     *
     * @return whether they are still there; if not, nothing was copied
     */
    boolean copy(Part part, long from, long bytes, MemorySegment into, long at);
  }

  private final Path folder;
  private final long most;
  private final SegmentAllocator forWriting;
  private final SegmentAllocator forReading;
  private final Function<KvLayout, Fingerprint> fingerprint;
  private final long arithmetic;
  private final Disk disk;

  /** The opened lock file; null before anything was written. */
  private @Nullable FileChannel guard;

  /** Bytes of files that were deleted and are still counted. */
  private final AtomicLong deleted = new AtomicLong();

  private final AtomicLong written = new AtomicLong();
  private final AtomicLong read = new AtomicLong();
  private volatile long bytes;

  /**
   * A folder, which is made when something is written.
   *
   * @param most bytes of all files together
   * @param memory {@link #MEMORY} bytes, which any thread may use
   * @param fingerprint tells the caches of a layout from all others
   * @param arithmetic tells arithmetic that gives the same to the bit from other; not 0
   */
  public PrefixFolder(
      Path folder,
      long most,
      MemorySegment memory,
      Function<KvLayout, Fingerprint> fingerprint,
      long arithmetic) {
    this(folder, most, memory, fingerprint, arithmetic, Disk.OF_THIS_MACHINE);
  }

  PrefixFolder(
      Path folder,
      long most,
      MemorySegment memory,
      Function<KvLayout, Fingerprint> fingerprint,
      long arithmetic,
      Disk disk) {
    this.folder = folder;
    this.most = most;
    this.forWriting = SegmentAllocator.prefixAllocator(memory.asSlice(0, Sink.PIECE));
    this.forReading = SegmentAllocator.prefixAllocator(memory.asSlice(Sink.PIECE, Sink.PIECE));
    this.fingerprint = fingerprint;
    this.arithmetic = arithmetic;
    this.disk = disk;
  }

  public Path folder() {
    return folder;
  }

  /** Bytes of its files, as they were counted last. */
  public long bytes() {
    return Math.max(0, bytes - deleted.get());
  }

  /** Blocks that were written. */
  public long written() {
    return written.get();
  }

  /** Blocks that were read. */
  public long read() {
    return read.get();
  }

  @Override
  public PrefixKey root(KvLayout layout, String salt) {
    Fingerprint of = fingerprint.apply(layout);
    return PrefixKey.root(
        List.of(
            of.model(),
            of.shape(),
            of.formats(),
            of.recipe(),
            of.engine(),
            "%d tokens, states in %s"
                .formatted(layout.pageTokens(), layout.checkpoints().format().name()),
            salt));
  }

  private Path file(PrefixKey key) {
    return folder.resolve(key.name() + SUFFIX);
  }

  @Override
  public Kept look(PrefixKey key) {
    Kept[] kept = {Kept.NOTHING};
    open(
        key,
        (file, channel) -> {
          PrefixBlock.Header header = PrefixBlock.header(file, channel);
          kept[0] = new Kept(header.parts(), header.arithmetic() == arithmetic);
        });
    return kept[0];
  }

  @Override
  public boolean read(PrefixKey key, Map<Part, List<MemorySegment>> into) {
    boolean whole =
        open(key, (file, channel) -> PrefixBlock.read(file, channel, forReading, key, into));
    if (whole) {
      read.incrementAndGet();
    }
    return whole;
  }

  private interface Reading {
    void of(Path file, FileChannel channel) throws IOException;
  }

  /**
   * Reads a file, if there is one; deletes one that is not whole, or another than its name says.
   */
  private boolean open(PrefixKey key, Reading reading) {
    Path file = file(key);
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      reading.of(file, channel);
      return true;
    } catch (CacheFileException damaged) {
      deleted.addAndGet(delete(file));
      return false;
    } catch (IOException notThere) {
      return false;
    }
  }

  /** Bytes that deleting a file has freed. */
  private static long delete(Path file) {
    try {
      long size = Files.size(file);
      return Files.deleteIfExists(file) ? size : 0;
    } catch (IOException e) {
      return 0;
    }
  }

  /**
   * Writes a block, unless it is there, or there is more of it.
   *
   * @param parts bytes of each part
   * @param exact whether it was computed as a prompt that depends on no other
   * @param copy gives the bytes, and may give up
   * @return false if it gave up
   * @throws IOException if the disk is full or cannot be written
   */
  public boolean write(PrefixKey key, SortedMap<Part, Long> parts, boolean exact, Copy copy)
      throws IOException {
    Kept kept = look(key);
    boolean there = kept.parts().containsAll(parts.keySet()) && (kept.exact() || !exact);
    long size = PrefixBlock.bytes(key, parts);
    if (there || !parts.keySet().containsAll(kept.parts()) || size > most) {
      return true;
    }
    locked(before -> room(before, size) + size);
    boolean done = false;
    try {
      done = write(key, parts, exact ? arithmetic : 0, copy, size);
    } finally {
      if (!done) {
        locked(before -> before - size);
      }
    }
    if (done) {
      written.incrementAndGet();
    }
    return done;
  }

  private boolean write(
      PrefixKey key, SortedMap<Part, Long> parts, long exactly, Copy copy, long size)
      throws IOException {
    Path file = file(key);
    String mark = HexFormat.of().toHexDigits(ThreadLocalRandom.current().nextLong());
    Path unfinished = folder.resolve(key.name() + "." + mark + UNFINISHED);
    long free = disk.free(folder);
    if (free < size) {
      throw new IOException(
          "the disk is full: a block takes %,d bytes, and %,d are free".formatted(size, free));
    }
    boolean whole = false;
    try {
      try (FileChannel channel = disk.create(unfinished)) {
        whole = PrefixBlock.write(new Sink(channel, forWriting), key, parts, exactly, copy);
      }
      if (whole) {
        touch(unfinished, key);
        long replaced = Files.exists(file) ? Files.size(file) : 0;
        Files.move(
            unfinished, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        deleted.addAndGet(replaced);
      }
      return whole;
    } finally {
      Files.deleteIfExists(unfinished);
    }
  }

  /**
   * Says that a block was used.
   *
   * @return whether it is there
   */
  public boolean touch(PrefixKey key) {
    try {
      touch(file(key), key);
      return true;
    } catch (NoSuchFileException gone) {
      return false;
    } catch (IOException readOnly) {
      return true; // and the first to go, if somebody may delete it
    }
  }

  /** The end of a chain is older than its beginning, which is of use to more sequences. */
  private static void touch(Path file, PrefixKey key) throws IOException {
    Files.setLastModifiedTime(file, FileTime.from(Instant.now().minusMillis(key.depth())));
  }

  private interface Count {
    /** Bytes of all files after something was done, of which there were so many before. */
    long after(long before) throws IOException;
  }

  /**
   * Counts what is there, and deletes what is too much.
   *
   * @throws IOException if there can be no such folder, or it cannot be written
   */
  public void open() throws IOException {
    locked(before -> room(before, 0));
  }

  /** Does something while no other process adds files. */
  private synchronized void locked(Count count) throws IOException {
    FileChannel opened = guard;
    boolean first = opened == null;
    if (opened == null) {
      Files.createDirectories(folder);
      opened =
          FileChannel.open(
              folder.resolve(LOCK),
              StandardOpenOption.CREATE,
              StandardOpenOption.READ,
              StandardOpenOption.WRITE);
      guard = opened;
    }
    FileLock held = CacheStore.lock(opened);
    try {
      ByteBuffer number = ByteBuffer.allocate(Long.BYTES);
      boolean known = !first && opened.read(number, 0) == Long.BYTES;
      long freed = deleted.getAndSet(0);
      // Counted anew, since a process that was killed may have left another number.
      long before = known ? Math.max(0, number.getLong(0) - freed) : sum(list());
      bytes = count.after(before);
      opened.write(number.clear().putLong(0, bytes), 0);
    } finally {
      held.release();
    }
  }

  /** Deletes what was used longest ago until so many bytes fit; bytes that are left. */
  private long room(long before, long wanted) throws IOException {
    if (before + wanted <= most) {
      return before;
    }
    List<Entry> entries = list();
    long left = sum(entries);
    // A little more than is wanted, so that not every block has all files looked at.
    long enough = Math.max(0, Math.min(most - wanted, most - most / 16));
    for (int i = 0; i < entries.size() && left > enough; i++) {
      left -= delete(entries.get(i).file());
    }
    return left;
  }

  private record Entry(Path file, long bytes, Instant used) {}

  private static long sum(List<Entry> entries) {
    return entries.stream().mapToLong(Entry::bytes).sum();
  }

  /** All files, those used longest ago first; those that nobody finishes are deleted. */
  private List<Entry> list() throws IOException {
    List<Entry> entries = new ArrayList<>();
    Instant abandoned = Instant.now().minus(ABANDONED);
    List<Path> files;
    try (Stream<Path> all = Files.list(folder)) {
      files = all.toList();
    }
    for (Path file : files) {
      String name = Objects.requireNonNull(file.getFileName()).toString();
      if (NAME.matcher(name).matches()) {
        try {
          Instant used = Files.getLastModifiedTime(file).toInstant();
          if (name.endsWith(UNFINISHED) && used.isBefore(abandoned)) {
            Files.deleteIfExists(file);
          } else if (!name.endsWith(UNFINISHED)) {
            entries.add(new Entry(file, Files.size(file), used));
          }
        } catch (NoSuchFileException goneMeanwhile) {
          // not counted
        }
      }
    }
    entries.sort(Comparator.comparing(Entry::used));
    return entries;
  }

  @Override
  public synchronized void close() {
    try {
      if (guard != null) {
        guard.close();
        guard = null;
      }
    } catch (IOException nothingIsLost) {
      // what it counts is counted again by the next
    }
  }
}

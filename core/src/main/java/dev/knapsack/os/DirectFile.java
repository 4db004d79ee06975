package dev.knapsack.os;

import com.sun.nio.file.ExtendedOpenOption;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Arrays;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.jspecify.annotations.Nullable;

/**
 * A file whose bytes are read into native memory past the page cache, where the file system allows
 * that.
 *
 * <p>A direct read moves whole blocks of 4096 bytes. Where memory and file are aligned alike
 * ({@code into.address() % 4096 == offset % 4096}) the disk writes straight into the target, and
 * only the ends of the range pass through a small buffer; otherwise all of it does. Reads are
 * positional and may run on many threads at once.
 */
public final class DirectFile implements AutoCloseable {
  /** Memory and file offsets that agree modulo this many bytes are read without a copy. */
  public static final int BLOCK = 4096;

  private static final int BOUNCE_BYTES = 1 << 20;
  private static final long MOST_AT_ONCE = 256L << 20;
  private static final int BUFFERS_KEPT = 4;

  private final Path path;
  private final Stamp stamp;
  private final boolean directRefused;
  private final ConcurrentLinkedQueue<Bounce> bounces = new ConcurrentLinkedQueue<>();
  private volatile Channels channels;
  private volatile boolean closed;

  /** The marks that tell one version of a file from another. */
  private record Stamp(long size, long modified, @Nullable Object key) {
    static Stamp of(Path path) throws IOException {
      BasicFileAttributes a = Files.readAttributes(path, BasicFileAttributes.class);
      return new Stamp(a.size(), a.lastModifiedTime().toMillis(), a.fileKey());
    }
  }

  /** The file opened twice: past the page cache (null if refused), and through it. */
  private static final class Channels {
    final @Nullable FileChannel direct;
    final FileChannel plain;

    private Channels(@Nullable FileChannel direct, FileChannel plain) {
      this.direct = direct;
      this.plain = plain;
    }

    static Channels open(Path path, boolean tryDirect) throws IOException {
      FileChannel plain = FileChannel.open(path, StandardOpenOption.READ);
      return new Channels(
          tryDirect ? channel(path, StandardOpenOption.READ).orElse(null) : null, plain);
    }

    void close() throws IOException {
      try (plain) {
        if (direct != null) {
          direct.close();
        }
      }
    }
  }

  /** An aligned buffer, of which only the pages in use become resident. */
  private static final class Bounce {
    final Arena arena = Arena.ofShared();
    final MemorySegment segment = NativeMemory.map(BOUNCE_BYTES, arena);
  }

  private DirectFile(Path path, Stamp stamp, Channels channels) {
    this.path = path;
    this.stamp = stamp;
    this.channels = channels;
    this.directRefused = channels.direct == null;
  }

  /**
   * Opens a file past the page cache, for blocks of {@link #BLOCK} bytes; empty where the file
   * system refuses that.
   */
  public static Optional<FileChannel> channel(Path path, OpenOption... options) {
    try {
      if (Files.getFileStore(path).getBlockSize() > BLOCK) {
        return Optional.empty();
      }
      OpenOption[] direct = Arrays.copyOf(options, options.length + 1, OpenOption[].class);
      direct[options.length] = ExtendedOpenOption.DIRECT;
      return Optional.of(FileChannel.open(path, direct));
    } catch (IOException | UnsupportedOperationException refused) {
      return Optional.empty();
    }
  }

  /** Opens a file for reading. */
  public static DirectFile open(Path path) throws IOException {
    return new DirectFile(path, Stamp.of(path), Channels.open(path, true));
  }

  public Path path() {
    return path;
  }

  /** Bytes of the file when it was opened. */
  public long size() {
    return stamp.size;
  }

  /** Says whether reads bypass the page cache; some file systems, such as tmpfs, refuse that. */
  public boolean direct() {
    return channels.direct != null;
  }

  /**
   * Reads {@code into.byteSize()} bytes from byte {@code offset} of the file.
   *
   * @throws FileTruncatedException if the file ends before that
   * @throws IOException if reading fails, or this thread was interrupted
   */
  public void read(long offset, MemorySegment into) throws IOException {
    Objects.checkFromIndexSize(offset, into.byteSize(), Long.MAX_VALUE);
    if (!into.isNative()) {
      throw new IllegalArgumentException("Files are read into native memory, not into an array");
    }
    try {
      readAll(offset, into);
    } catch (FileTruncatedException part) {
      long end = channels.plain.size();
      long missing = Math.min(into.byteSize(), offset + into.byteSize() - end);
      throw new FileTruncatedException(path, offset, into.byteSize(), missing);
    }
  }

  private void readAll(long offset, MemorySegment into) throws IOException {
    long size = into.byteSize();
    if (channels.direct == null) {
      readPlain(offset, into);
      return;
    }
    if ((into.address() & (BLOCK - 1)) != (offset & (BLOCK - 1))) {
      readBounced(offset, into);
      return;
    }
    long head = Math.min(size, -offset & (BLOCK - 1));
    long middle = (size - head) & -BLOCK;
    long tail = size - head - middle;
    if (middle > 0) {
      readMiddle(offset + head, into.asSlice(head, middle));
    }
    if (head > 0) {
      readBounced(offset, into.asSlice(0, head));
    }
    if (tail > 0) {
      readBounced(offset + head + middle, into.asSlice(head + middle, tail));
    }
  }

  /** Whole blocks, straight into the target. */
  private void readMiddle(long offset, MemorySegment into) throws IOException {
    long done = 0;
    while (done < into.byteSize()) {
      long n = Math.min(MOST_AT_ONCE, into.byteSize() - done);
      int read = readDirect(offset + done, into.asSlice(done, n));
      done += Math.max(0, read) & -BLOCK;
      if (read <= 0 || (read & (BLOCK - 1)) != 0) {
        readPlain(offset + done, into.asSlice(done)); // the file's last block, or past its end
        return;
      }
    }
  }

  /** Through an aligned buffer: the blocks around the range, a buffer at a time. */
  private void readBounced(long offset, MemorySegment into) throws IOException {
    Bounce bounce = bounces.poll();
    if (bounce == null) {
      bounce = new Bounce();
    }
    try {
      long done = 0;
      while (done < into.byteSize()) {
        long at = offset + done;
        int skip = (int) (at & (BLOCK - 1));
        long wanted = Math.min(into.byteSize() - done, BOUNCE_BYTES - skip);
        long blocks = (skip + wanted + BLOCK - 1) & -BLOCK;
        long got = (long) readDirect(at - skip, bounce.segment.asSlice(0, blocks)) - skip;
        if (got <= 0) {
          readPlain(at, into.asSlice(done));
          return;
        }
        long n = Math.min(got, wanted);
        MemorySegment.copy(bounce.segment, skip, into, done, n);
        done += n;
      }
    } finally {
      if (closed || bounces.size() >= BUFFERS_KEPT) {
        bounce.arena.close();
      } else {
        bounces.add(bounce);
      }
    }
  }

  /** One direct read; -1 if the file system refuses this one. */
  private int readDirect(long offset, MemorySegment into) throws IOException {
    while (true) {
      Channels now = channels;
      FileChannel direct = now.direct;
      if (direct == null) {
        return -1;
      }
      try {
        return direct.read(into.asByteBuffer(), offset);
      } catch (ClosedChannelException e) {
        reopen(now, e);
      } catch (IOException e) {
        // Some file systems answer EINVAL for a block that the file's end cuts. A broken disk fails
        // the plain read too, whose error is then thrown.
        return -1;
      }
    }
  }

  private void readPlain(long offset, MemorySegment into) throws IOException {
    long done = 0;
    while (done < into.byteSize()) {
      long n = Math.min(MOST_AT_ONCE, into.byteSize() - done);
      ByteBuffer buffer = into.asSlice(done, n).asByteBuffer();
      Channels now = channels;
      int read;
      try {
        read = now.plain.read(buffer, offset + done);
      } catch (ClosedChannelException e) {
        reopen(now, e);
        continue;
      }
      if (read < 0) {
        throw new FileTruncatedException(path, offset, into.byteSize(), into.byteSize() - done);
      }
      done += read;
    }
  }

  /**
   * A thread that is interrupted while it reads closes the channel for every other; those open the
   * file again and go on.
   */
  private synchronized void reopen(Channels broken, ClosedChannelException cause)
      throws IOException {
    if (closed || Thread.currentThread().isInterrupted()) {
      throw cause;
    }
    if (channels == broken) {
      checkUnchanged();
      Channels fresh = Channels.open(path, !directRefused);
      channels = fresh;
      broken.close();
    }
  }

  /**
   * Checks that the path still names the file that was opened, with the size and time of
   * modification it had.
   *
   * @throws FileChangedException if it does not
   */
  public void checkUnchanged() throws IOException {
    Stamp now;
    try {
      now = Stamp.of(path);
    } catch (NoSuchFileException e) {
      throw new FileChangedException(path, "it was deleted");
    }
    if (!Objects.equals(now.key, stamp.key)) {
      throw new FileChangedException(path, "another file took its place");
    }
    if (now.size != stamp.size) {
      throw new FileChangedException(
          path, "it had %,d bytes and has %,d".formatted(stamp.size, now.size));
    }
    if (now.modified != stamp.modified) {
      throw new FileChangedException(path, "it was written to");
    }
  }

  @Override
  public void close() throws IOException {
    Channels last;
    synchronized (this) {
      closed = true;
      last = channels;
    }
    for (Bounce b = bounces.poll(); b != null; b = bounces.poll()) {
      b.arena.close();
    }
    last.close();
  }
}

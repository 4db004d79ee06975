package dev.knapsack.file;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLockInterruptionException;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.security.MessageDigest;
import java.util.Optional;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * The part of a file that has come so far, beside the file's place: its bytes, their SHA-256, and
 * the server's mark of the version they belong to.
 *
 * <p>Whoever has it open holds a lock on it until it is in its place, or closed.
 */
final class PartFile implements AutoCloseable {
  private static final long POLL_NANOS = 2_000_000;

  private final Path target;
  private final Path part;
  private final Path mark;
  private final FileChannel channel;
  private MessageDigest digest = Sha256.begin();
  private long length;
  private boolean finished;

  private PartFile(Path target, Path part, Path mark, FileChannel channel) {
    this.target = target;
    this.part = part;
    this.mark = mark;
    this.channel = channel;
  }

  /**
   * Opens what is there of a file, for this caller alone; waits until no other thread of this
   * process has it open. The file itself may have come meanwhile.
   *
   * @throws DownloadException if a download of the same file is running in another process
   */
  static PartFile open(Path target) throws IOException {
    Files.createDirectories(target.toAbsolutePath().getParent());
    Path part = target.resolveSibling(target.getFileName() + ".part");
    Path mark = target.resolveSibling(target.getFileName() + ".version.part");
    FileChannel channel = locked(part);
    try {
      PartFile file = new PartFile(target, part, mark, channel);
      file.digestAll();
      return file;
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  /**
   * The file that is at this path while the lock is held. Whoever held the lock before may have
   * moved it away: what is locked then is a finished file, and not to be touched.
   */
  private static FileChannel locked(Path part) throws IOException {
    while (true) {
      Object before = key(part);
      if (before == null) {
        create(part);
        continue;
      }
      FileChannel channel;
      try {
        channel = FileChannel.open(part, StandardOpenOption.READ, StandardOpenOption.WRITE);
      } catch (NoSuchFileException movedAway) {
        continue;
      }
      try {
        lock(part, channel);
        if (before.equals(key(part))) {
          return channel;
        }
      } catch (IOException | RuntimeException e) {
        channel.close();
        throw e;
      }
      channel.close();
    }
  }

  private static void create(Path part) throws IOException {
    try {
      Files.createFile(part);
    } catch (FileAlreadyExistsException byAnother) {
      // It is all the same who made it.
    }
  }

  /** The key that tells the file at a path from others there; null if there is none. */
  private static @Nullable Object key(Path path) throws IOException {
    try {
      BasicFileAttributes attributes = Files.readAttributes(path, BasicFileAttributes.class);
      Object key = attributes.fileKey();
      return key == null ? attributes.creationTime() : key;
    } catch (NoSuchFileException e) {
      return null;
    }
  }

  /** Bytes that are here. */
  long length() {
    return length;
  }

  /** The version that the server gave for these bytes. */
  Optional<String> version() throws IOException {
    try {
      return Optional.of(Files.readString(mark));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    }
  }

  /** Forgets all bytes; those to come are of this version. */
  void restart(Optional<String> version) throws IOException {
    channel.truncate(0);
    digest = Sha256.begin();
    length = 0;
    if (version.isPresent()) {
      Files.writeString(mark, version.get());
    } else {
      Files.deleteIfExists(mark);
    }
  }

  void append(byte[] bytes, int count) throws IOException {
    ByteBuffer buffer = ByteBuffer.wrap(bytes, 0, count);
    while (buffer.hasRemaining()) {
      channel.write(buffer, length + buffer.position());
    }
    digest.update(bytes, 0, count);
    length += count;
  }

  /** The SHA-256 of all bytes so far; ends the use of this file but for {@link #finish}. */
  String digest() {
    return Sha256.hex(digest);
  }

  /** Puts the file in its place. */
  void finish() throws IOException {
    channel.force(true);
    try {
      Files.move(part, target, StandardCopyOption.ATOMIC_MOVE);
    } catch (AtomicMoveNotSupportedException e) {
      Files.move(part, target, StandardCopyOption.REPLACE_EXISTING);
    }
    finished = true;
    Files.deleteIfExists(mark);
    channel.close();
  }

  /** Keeps what has come, for the next who opens it. */
  @Override
  public void close() throws IOException {
    try (channel) {
      if (!finished && length == 0 && channel.isOpen()) {
        Files.deleteIfExists(mark);
        Files.deleteIfExists(part);
      }
    }
  }

  /** All bytes so far, to look at. */
  HeaderInput.Source source() {
    return new HeaderInput.Source() {
      @Override
      public long size() {
        return length;
      }

      @Override
      public int read(ByteBuffer into, long position) throws IOException {
        return channel.read(into, position);
      }
    };
  }

  private void digestAll() throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(1 << 16);
    for (int read; (read = channel.read(buffer, length)) >= 0; length += read) {
      digest.update(buffer.flip());
      buffer.clear();
    }
  }

  /**
   * A channel that waits must stay open until the other is done: to close any channel of a file
   * ends all locks that this process has on it.
   */
  private static void lock(Path part, FileChannel channel) throws IOException {
    while (true) {
      try {
        if (channel.tryLock() == null) {
          throw new DownloadException(
              part.toString(), "another download is writing this file; wait until it has ended");
        }
        return;
      } catch (OverlappingFileLockException heldByThisProcess) {
        if (Thread.currentThread().isInterrupted()) {
          throw new FileLockInterruptionException();
        }
        LockSupport.parkNanos(POLL_NANOS);
      }
    }
  }
}

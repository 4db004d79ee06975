package dev.knapsack.file;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Optional;

/**
 * The part of a file that has come so far, beside the file's place: its bytes, their SHA-256, and
 * the server's mark of the version they belong to.
 */
final class PartFile implements AutoCloseable {
  private final Path target;
  private final Path part;
  private final Path mark;
  private final FileChannel channel;
  private MessageDigest digest = sha256();
  private long length;

  private PartFile(Path target, Path part, Path mark, FileChannel channel) {
    this.target = target;
    this.part = part;
    this.mark = mark;
    this.channel = channel;
  }

  /**
   * Opens what is there of a file, for this process alone.
   *
   * @throws DownloadException if another download of the same file is running
   */
  static PartFile open(Path target) throws IOException {
    Files.createDirectories(target.toAbsolutePath().getParent());
    Path part = target.resolveSibling(target.getFileName() + ".part");
    Path mark = target.resolveSibling(target.getFileName() + ".version.part");
    FileChannel channel =
        FileChannel.open(
            part, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
    try {
      lock(part, channel);
      PartFile file = new PartFile(target, part, mark, channel);
      file.digestAll();
      return file;
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  /** Bytes that are here. */
  long length() {
    return length;
  }

  /** What the server called the version of these bytes. */
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
    digest = sha256();
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
    return HexFormat.of().formatHex(digest.digest());
  }

  /** Puts the file in its place. */
  void finish() throws IOException {
    channel.force(true);
    channel.close();
    try {
      Files.move(part, target, StandardCopyOption.ATOMIC_MOVE);
    } catch (AtomicMoveNotSupportedException e) {
      Files.move(part, target, StandardCopyOption.REPLACE_EXISTING);
    }
    Files.deleteIfExists(mark);
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }

  private void digestAll() throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(1 << 16);
    for (int read; (read = channel.read(buffer, length)) >= 0; length += read) {
      digest.update(buffer.flip());
      buffer.clear();
    }
  }

  private static void lock(Path part, FileChannel channel) throws IOException {
    FileLock lock = null;
    try {
      lock = channel.tryLock();
    } catch (OverlappingFileLockException e) {
      // Held by this very process: the same answer as for another.
    }
    if (lock == null) {
      throw new DownloadException(
          part.toString(), "another download is writing this file; wait until it has ended");
    }
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("Every Java has SHA-256", e);
    }
  }
}

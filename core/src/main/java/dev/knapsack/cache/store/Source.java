package dev.knapsack.cache.store;

import dev.knapsack.error.CacheFileException;
import dev.knapsack.error.CacheFileException.Problem;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.zip.CRC32C;

/** A saved cache that is read from its beginning to its end, in large pieces, with checksums. */
final class Source {
  private final Path file;
  private final FileChannel channel;
  private final MemorySegment memory;
  private final ByteBuffer buffer;
  private final CRC32C crc = new CRC32C();

  /** Up to where the checksum has seen the buffer. */
  private int seen;

  /** Bytes of the file. */
  private final long size;

  /** Bytes of the file that are not in the buffer yet. */
  private long unread;

  /** Bytes of the section's content that were not taken yet. */
  private long left;

  private String section = "header";

  Source(Path file, FileChannel channel, SegmentAllocator memory) throws IOException {
    this.file = file;
    this.channel = channel;
    this.size = channel.size();
    this.unread = size;
    this.memory = memory.allocate(Sink.PIECE, 64);
    this.buffer = this.memory.asByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
    buffer.limit(0);
  }

  CacheFileException damaged(String what) {
    return new CacheFileException(
        file, Problem.DAMAGED, "is damaged: the %s %s.".formatted(section, what));
  }

  private CacheFileException truncated(long whole) {
    return new CacheFileException(
        file,
        Problem.TRUNCATED,
        whole < 0
            ? "is cut off after %,d bytes.".formatted(size)
            : "is cut off: it has %,d of %,d bytes.".formatted(size, whole));
  }

  /** The next bytes are the header. */
  void beginHeader() {
    left = CacheFormat.HEADER - CacheFormat.CHECKSUM;
    begin();
  }

  /**
   * Checks the header, which has been taken.
   *
   * @param length bytes of the file, as it says
   */
  void checkHeader(long length) throws IOException {
    checkSection();
    if (size < length) {
      throw truncated(length);
    }
    if (size > length) {
      throw damaged("says %,d bytes, and the file has %,d".formatted(length, size));
    }
  }

  /**
   * A section begins.
   *
   * @param expected bytes of its content; -1 if that is not known
   * @return bytes of its content
   */
  long frame(int kind, int layer, int head, long expected) throws IOException {
    section =
        switch (kind) {
          case CacheFormat.FINGERPRINT -> "fingerprint";
          case CacheFormat.TOKENS -> "list of tokens";
          case CacheFormat.CHECKPOINTS -> "list of checkpoints";
          case CacheFormat.STATE -> "state of layer %d".formatted(layer);
          case CacheFormat.KEY -> "key";
          case CacheFormat.HEAD -> "section of layer %d, head %d".formatted(layer, head);
          default -> "part of pages";
        };
    left = CacheFormat.FRAME;
    begin();
    boolean right = nextInt() == kind;
    right &= nextInt() == layer;
    right &= nextInt() == head;
    right &= nextInt() == 0;
    long bytes = nextLong();
    if (!right || bytes < 0 || (expected >= 0 && bytes != expected)) {
      throw damaged("is not where it should be");
    }
    if (bytes > unread + buffer.remaining() - CacheFormat.CHECKSUM) {
      throw damaged("says %,d bytes, and the file ends before".formatted(bytes));
    }
    left = bytes;
    return bytes;
  }

  private void begin() {
    crc.reset();
    seen = buffer.position();
  }

  /** Checks the section, all of which has been taken. */
  void checkSection() throws IOException {
    if (left != 0) {
      throw damaged("has %,d bytes too many".formatted(left));
    }
    see();
    int sum = (int) crc.getValue();
    left = Integer.BYTES;
    if (nextInt() != sum) {
      throw damaged("has another checksum than was saved");
    }
  }

  /** Nothing may follow. */
  void checkEnd() {
    if (unread + buffer.remaining() > 0) {
      throw damaged("is the last, and %,d bytes follow".formatted(unread + buffer.remaining()));
    }
  }

  /** The section must have so many bytes more. */
  void checkRoom(long bytes) {
    if (bytes > left) {
      throw damaged("has %,d bytes too few".formatted(bytes - left));
    }
  }

  int nextInt() throws IOException {
    take(Integer.BYTES);
    return buffer.getInt();
  }

  long nextLong() throws IOException {
    take(Long.BYTES);
    return buffer.getLong();
  }

  byte[] next(int bytes) throws IOException {
    byte[] taken = new byte[bytes];
    take(bytes);
    buffer.get(taken);
    return taken;
  }

  /**
   * The number of records of so many bytes that lie at {@link #position}: at least one, at most
   * {@code most}.
   */
  int records(long bytes, int most) throws IOException {
    fill(bytes);
    return (int) Math.min(most, buffer.remaining() / bytes);
  }

  MemorySegment memory() {
    return memory;
  }

  int position() {
    return buffer.position();
  }

  /** Counts bytes that were taken from {@link #memory}. */
  void skip(long bytes) {
    checkRoom(bytes);
    left -= bytes;
    buffer.position(Math.toIntExact(buffer.position() + bytes));
  }

  private void take(int bytes) throws IOException {
    checkRoom(bytes);
    fill(bytes);
    left -= bytes;
  }

  private void see() {
    crc.update(buffer.duplicate().limit(buffer.position()).position(seen));
    seen = buffer.position();
  }

  /** Has at least so many bytes in the buffer. */
  private void fill(long bytes) throws IOException {
    if (buffer.remaining() >= bytes) {
      return;
    }
    see();
    buffer.compact();
    seen = 0;
    if (bytes > buffer.capacity()) {
      throw damaged("has a token of %,d bytes".formatted(bytes));
    }
    while (buffer.position() < bytes || (unread > 0 && buffer.hasRemaining())) {
      int n = channel.read(buffer);
      if (n < 0) {
        throw truncated(-1);
      }
      unread = Math.max(0, unread - n);
    }
    buffer.flip();
  }
}

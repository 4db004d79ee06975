package dev.knapsack.cache.store;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.util.zip.CRC32C;

/** A file that is written from its beginning to its end, in large pieces, with checksums. */
final class Sink {
  /** Bytes that are written or read at once. */
  static final int PIECE = 1 << 20;

  private final FileChannel channel;
  private final MemorySegment memory;
  private final ByteBuffer buffer;
  private final CRC32C crc = new CRC32C();

  /** Up to where the checksum has seen the buffer. */
  private int seen;

  private long written;

  Sink(FileChannel channel, SegmentAllocator memory) {
    this.channel = channel;
    this.memory = memory.allocate(PIECE, 64);
    this.buffer = this.memory.asByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
  }

  /** Bytes that have reached the file. */
  long written() {
    return written;
  }

  void putInt(int value) throws IOException {
    room(Integer.BYTES);
    buffer.putInt(value);
  }

  void putLong(long value) throws IOException {
    room(Long.BYTES);
    buffer.putLong(value);
  }

  void put(byte[] bytes) throws IOException {
    for (int from = 0; from < bytes.length; ) {
      room(1);
      int n = Math.min(bytes.length - from, buffer.remaining());
      buffer.put(bytes, from, n);
      from += n;
    }
  }

  /** The number of records of so many bytes that can be put at once: at least one. */
  int records(long bytes) throws IOException {
    room(bytes);
    return (int) (buffer.remaining() / bytes);
  }

  /** The place of the next bytes: {@link #memory} at this offset, then {@link #skip}. */
  int position() {
    return buffer.position();
  }

  MemorySegment memory() {
    return memory;
  }

  /** Counts bytes that were put into {@link #memory}. */
  void skip(long bytes) {
    buffer.position(Math.toIntExact(buffer.position() + bytes));
  }

  /** A checksum begins here. */
  void begin() {
    crc.reset();
    seen = buffer.position();
  }

  /** Puts the checksum of all since {@link #begin}. */
  void putChecksum() throws IOException {
    see();
    putInt((int) crc.getValue());
  }

  private void see() {
    crc.update(buffer.duplicate().flip().position(seen));
    seen = buffer.position();
  }

  private void room(long bytes) throws IOException {
    if (buffer.remaining() < bytes) {
      flush();
    }
    if (bytes > buffer.remaining()) {
      throw new IllegalArgumentException("No room for a token of %,d bytes".formatted(bytes));
    }
  }

  void flush() throws IOException {
    see();
    buffer.flip();
    while (buffer.hasRemaining()) {
      written += channel.write(buffer);
    }
    buffer.clear();
    seen = 0;
  }
}

package dev.knapsack.file;

import dev.knapsack.error.ModelFileException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/**
 * Reads a header front to back through a small buffer, never past the end of the file and never
 * past {@link #LIMIT}.
 *
 * <p>Every length is checked against what is left before anything of that length is allocated.
 */
final class HeaderInput {
  /** The largest header in bytes; real ones, with their vocabularies, have a tenth of this. */
  static final long LIMIT = 256L << 20;

  private static final int BUFFER = 1 << 16;

  /** Bytes at a position: a file, or an array in tests. */
  interface Source {
    long size();

    /** Reads at least one byte into {@code into}, or returns -1 at the end. */
    int read(ByteBuffer into, long position) throws IOException;
  }

  private final Path file;
  private final Source source;
  private final long end;
  private final ByteBuffer buffer = ByteBuffer.allocate(BUFFER).order(ByteOrder.LITTLE_ENDIAN);
  private long next;

  HeaderInput(Path file, Source source) {
    this.file = file;
    this.source = source;
    this.end = Math.min(source.size(), LIMIT);
    buffer.limit(0);
  }

  long position() {
    return next - buffer.remaining();
  }

  /** Bytes that may still be read. */
  long left() {
    return end - position();
  }

  ModelFileException error(String field, String problem) {
    return new ModelFileException(file, field, problem);
  }

  /** Throws unless {@code count} things of at least {@code bytesEach} bytes can still follow. */
  void expect(String field, long count, long bytesEach) {
    if (count < 0 || count > left() / bytesEach) {
      String what = bytesEach == 1 ? " bytes" : " entries of at least " + bytesEach + " bytes each";
      throw error(
          field,
          "needs "
              + Long.toUnsignedString(count)
              + what
              + " at byte "
              + position()
              + ", but "
              + (source.size() > LIMIT
                  ? "a header may have " + LIMIT + " bytes in all"
                  : "the file ends after " + source.size() + " (truncated or corrupt)"));
    }
  }

  int i32(String field) {
    fill(field, Integer.BYTES);
    return buffer.getInt();
  }

  long i64(String field) {
    fill(field, Long.BYTES);
    return buffer.getLong();
  }

  void bytes(String field, byte[] into, int at, int length) {
    expect(field, length, 1);
    int buffered = Math.min(length, buffer.remaining());
    buffer.get(into, at, buffered);
    int done = buffered;
    if (length - done > BUFFER) {
      ByteBuffer rest = ByteBuffer.wrap(into, at + done, length - done);
      while (rest.hasRemaining()) {
        next += read(field, rest);
      }
      return;
    }
    if (length > done) {
      fill(field, length - done);
      buffer.get(into, at + done, length - done);
    }
  }

  /** A string with a 64-bit length in front, of at most {@code most} bytes. */
  String string(String field, long most) {
    int length = stringLength(field, most);
    byte[] bytes = new byte[length];
    bytes(field, bytes, 0, length);
    return new String(bytes, StandardCharsets.UTF_8);
  }

  int stringLength(String field, long most) {
    long length = i64(field);
    if (length < 0 || length > most) {
      throw error(
          field,
          "a string of "
              + Long.toUnsignedString(length)
              + " bytes at byte "
              + position()
              + "; at most "
              + most
              + " are supported here");
    }
    expect(field, length, 1);
    return (int) length;
  }

  private void fill(String field, int needed) {
    if (buffer.remaining() >= needed) {
      return;
    }
    expect(field, needed, 1);
    buffer.compact();
    buffer.limit((int) Math.min(BUFFER, buffer.position() + (end - next)));
    while (buffer.position() < needed) {
      next += read(field, buffer);
    }
    buffer.flip();
  }

  private int read(String field, ByteBuffer into) {
    try {
      int read = source.read(into, next);
      if (read <= 0) {
        throw error(field, "the file ends at byte " + next + " although it had " + source.size());
      }
      return read;
    } catch (IOException e) {
      throw new ModelFileException(file, field, "cannot be read: " + e.getMessage(), e);
    }
  }
}

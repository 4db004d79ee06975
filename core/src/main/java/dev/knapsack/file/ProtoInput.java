package dev.knapsack.file;

import dev.knapsack.error.ModelFileException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/**
 * Reads a message in the wire format of Protocol Buffers front to back, through a small buffer:
 * what is long is a stretch of the file that is stepped over.
 */
final class ProtoInput {
  private static final int BUFFER = 1 << 16;

  /** The wire types that are in use. */
  private static final int VARINT = 0;

  private static final int FIXED64 = 1;
  private static final int LENGTH = 2;
  private static final int FIXED32 = 5;

  private final Path file;
  private final HeaderInput.Source source;
  private final ByteBuffer buffer =
      ByteBuffer.allocate(BUFFER).order(ByteOrder.LITTLE_ENDIAN).limit(0);

  /** The place in the file after the buffer. */
  private long next;

  private int field;
  private int wire;

  ProtoInput(Path file, HeaderInput.Source source) {
    this.file = file;
    this.source = source;
  }

  long size() {
    return source.size();
  }

  long position() {
    return next - buffer.remaining();
  }

  /** Goes to the next field of the message that ends there; false where it ends. */
  boolean next(long end) {
    if (position() >= end) {
      if (position() > end) {
        throw error("a field goes past the end of what holds it");
      }
      return false;
    }
    long tag = rawVarint();
    field = (int) (tag >>> 3);
    wire = (int) tag & 7;
    if (tag >>> 32 != 0 || field == 0) {
      throw error("there is no field here");
    }
    return true;
  }

  /** The number of the field that is next. */
  int field() {
    return field;
  }

  boolean isLong() {
    return wire == LENGTH;
  }

  long varint() {
    expect(VARINT);
    return rawVarint();
  }

  float real() {
    expect(FIXED32);
    fill(Float.BYTES);
    return buffer.getFloat();
  }

  /** Enters what has a length, and says where it ends. */
  long enter() {
    expect(LENGTH);
    long length = rawVarint();
    if (length < 0 || length > source.size() - position()) {
      throw error(
          "%s bytes are to follow, and the file ends after %,d (truncated or corrupt)"
              .formatted(Long.toUnsignedString(length), source.size()));
    }
    return position() + length;
  }

  String string(int most) {
    return new String(bytes(most), StandardCharsets.UTF_8);
  }

  byte[] bytes(int most) {
    long length = enter() - position();
    if (length > most) {
      throw error("%,d bytes, where at most %,d are expected".formatted(length, most));
    }
    return raw((int) length);
  }

  /** Bytes from here on. */
  byte[] raw(int length) {
    byte[] bytes = new byte[length];
    for (int done = 0; done < bytes.length; ) {
      fill(1);
      int part = Math.min(buffer.remaining(), bytes.length - done);
      buffer.get(bytes, done, part);
      done += part;
    }
    return bytes;
  }

  /** Steps over the field. */
  void skip() {
    switch (wire) {
      case VARINT -> rawVarint();
      case FIXED64 -> seek(position() + Long.BYTES);
      case LENGTH -> seek(enter());
      case FIXED32 -> seek(position() + Integer.BYTES);
      default -> throw error("wire type " + wire + " is not known");
    }
  }

  /** A number by itself, as in packed lists. */
  long rawVarint() {
    long value = 0;
    for (int shift = 0; shift < Long.SIZE; shift += 7) {
      fill(1);
      byte part = buffer.get();
      value |= (part & 0x7FL) << shift;
      if (part >= 0) {
        return value;
      }
    }
    throw error("a number has more than 64 bits");
  }

  void seek(long position) {
    long ahead = position - position();
    if (ahead >= 0 && ahead <= buffer.remaining()) {
      buffer.position(buffer.position() + (int) ahead);
    } else {
      buffer.limit(0);
      next = position;
    }
  }

  ModelFileException error(String problem) {
    return new ModelFileException(file, "byte " + position(), problem);
  }

  private void expect(int type) {
    if (wire != type) {
      throw error("field %d is of wire type %d, and not %d".formatted(field, wire, type));
    }
  }

  private void fill(int needed) {
    if (buffer.remaining() >= needed) {
      return;
    }
    buffer.compact();
    try {
      while (buffer.position() < needed) {
        int read = source.read(buffer, next);
        if (read <= 0) {
          throw new ModelFileException(
              file, "byte " + next, "the file ends within a field (truncated or corrupt)");
        }
        next += read;
      }
    } catch (IOException e) {
      throw new ModelFileException(file, "byte " + next, "cannot be read: " + e, e);
    }
    buffer.flip();
  }
}

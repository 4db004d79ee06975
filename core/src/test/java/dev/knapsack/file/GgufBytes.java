package dev.knapsack.file;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** A GGUF file put together by hand, so that any part of it can be wrong. */
final class GgufBytes {
  static final Path NAME = Path.of("hostile.gguf");

  private final ByteBuffer bytes = ByteBuffer.allocate(1 << 16).order(ByteOrder.LITTLE_ENDIAN);

  static GgufBytes header(long tensors, long keys) {
    return new GgufBytes().i32(GgufHeader.MAGIC).i32(3).i64(tensors).i64(keys);
  }

  GgufBytes i32(int value) {
    bytes.putInt(value);
    return this;
  }

  GgufBytes i64(long value) {
    bytes.putLong(value);
    return this;
  }

  GgufBytes string(String text) {
    byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
    bytes.putLong(utf8.length).put(utf8);
    return this;
  }

  /** The header's entry for a tensor. */
  GgufBytes tensor(String name, int type, long offset, long... shape) {
    string(name).i32(shape.length);
    for (long length : shape) {
      i64(length);
    }
    return i32(type).i64(offset);
  }

  GgufBytes zeros(int count) {
    bytes.put(new byte[count]);
    return this;
  }

  byte[] bytes() {
    byte[] file = new byte[bytes.position()];
    bytes.get(0, file);
    return file;
  }

  GgufHeader read() {
    return read(bytes());
  }

  static GgufHeader read(byte[] file) {
    return GgufHeader.read(NAME, source(file));
  }

  static HeaderInput.Source source(byte[] file) {
    return new HeaderInput.Source() {
      @Override
      public long size() {
        return file.length;
      }

      @Override
      public int read(ByteBuffer into, long position) {
        int length = (int) Math.min(into.remaining(), file.length - position);
        if (length <= 0) {
          return -1;
        }
        into.put(file, (int) position, length);
        return length;
      }
    };
  }
}

package dev.knapsack.text;

import java.util.Arrays;

/** A growing list of bytes that takes text as UTF-8. */
final class ByteList {
  private byte[] values;
  private int size;

  ByteList(int capacity) {
    values = new byte[Math.max(16, capacity)];
  }

  /** The backing array, valid until the next change; the first {@link #size()} bytes count. */
  byte[] array() {
    return values;
  }

  int size() {
    return size;
  }

  void clear() {
    size = 0;
  }

  void add(int value) {
    reserve(1);
    values[size++] = (byte) value;
  }

  void add(byte[] bytes) {
    reserve(bytes.length);
    System.arraycopy(bytes, 0, values, size, bytes.length);
    size += bytes.length;
  }

  /** Adds characters {@code from} (inclusive) to {@code to}; half a surrogate pair as U+FFFD. */
  void add(CharSequence text, int from, int to) {
    int at = from;
    while (at < to) {
      char first = text.charAt(at++);
      if (Character.isHighSurrogate(first)
          && at < to
          && Character.isLowSurrogate(text.charAt(at))) {
        addCodePoint(Character.toCodePoint(first, text.charAt(at++)));
      } else {
        addCodePoint(first);
      }
    }
  }

  /** Adds a character; half a surrogate pair as U+FFFD. */
  void addCodePoint(int character) {
    int c = character >> 11 == 0xD800 >> 11 ? 0xFFFD : character;
    reserve(4);
    if (c < 0x80) {
      values[size++] = (byte) c;
    } else if (c < 0x800) {
      values[size++] = (byte) (0xC0 | (c >> 6));
      values[size++] = (byte) (0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
      values[size++] = (byte) (0xE0 | (c >> 12));
      values[size++] = (byte) (0x80 | ((c >> 6) & 0x3F));
      values[size++] = (byte) (0x80 | (c & 0x3F));
    } else {
      values[size++] = (byte) (0xF0 | (c >> 18));
      values[size++] = (byte) (0x80 | ((c >> 12) & 0x3F));
      values[size++] = (byte) (0x80 | ((c >> 6) & 0x3F));
      values[size++] = (byte) (0x80 | (c & 0x3F));
    }
  }

  byte[] toArray() {
    return Arrays.copyOf(values, size);
  }

  private void reserve(int more) {
    if (more > values.length - size) {
      values = Arrays.copyOf(values, Math.max(Math.addExact(size, more), values.length * 2));
    }
  }
}

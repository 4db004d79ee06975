package dev.knapsack.file;

import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import dev.knapsack.error.ModelFileException;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The header of a safetensors file, before the tensor bytes: a 64-bit length and a JSON object with
 * the type, shape and byte range of each tensor.
 *
 * @param tensors by the name in the file
 */
record SafetensorsHeader(Map<String, Entry> tensors) {
  /** The largest header that the format allows. */
  static final long MOST_HEADER_BYTES = 100_000_000;

  private static final int MOST_TENSORS = 1 << 17;
  private static final int MOST_DIMENSIONS = 8;

  private static final Map<String, Integer> TYPE_BYTES =
      Map.ofEntries(
          Map.entry("F64", 8),
          Map.entry("F32", 4),
          Map.entry("F16", 2),
          Map.entry("BF16", 2),
          Map.entry("I64", 8),
          Map.entry("I32", 4),
          Map.entry("I16", 2),
          Map.entry("I8", 1),
          Map.entry("U64", 8),
          Map.entry("U32", 4),
          Map.entry("U16", 2),
          Map.entry("U8", 1),
          Map.entry("BOOL", 1),
          Map.entry("F8_E4M3", 1),
          Map.entry("F8_E5M2", 1),
          Map.entry("F8_E8M0", 1));

  /**
   * A tensor as the file has it.
   *
   * @param shape the last dimension runs fastest
   * @param offset from the start of the file
   */
  record Entry(String type, List<Long> shape, long offset, long bytes) {}

  static SafetensorsHeader read(Path file, HeaderInput.Source source) {
    return Json.guard(file, () -> new Reader(file, source).read());
  }

  private static final class Reader {
    private final Path file;
    private final HeaderInput.Source source;

    Reader(Path file, HeaderInput.Source source) {
      this.file = file;
      this.source = source;
    }

    SafetensorsHeader read() throws IOException {
      HeaderInput in = new HeaderInput(file, source);
      in.expect("header length", 8, 1);
      long length = in.i64("header length");
      if (length < 2 || length > Math.min(MOST_HEADER_BYTES, source.size() - 8)) {
        throw in.error(
            "header length",
            Long.toUnsignedString(length)
                + " bytes; the file has "
                + source.size()
                + ", and a header at most "
                + MOST_HEADER_BYTES
                + " (truncated, corrupt, or not a safetensors file)");
      }
      Map<String, Entry> tensors = new LinkedHashMap<>();
      try (JsonReader json =
          new JsonReader(
              new InputStreamReader(new Window(8, 8 + length), StandardCharsets.UTF_8))) {
        json.beginObject();
        while (json.hasNext()) {
          String name = json.nextName();
          if (name.equals("__metadata__")) {
            json.skipValue();
          } else if (tensors.put(name, entry(name, json, 8 + length)) != null) {
            throw error(name, "stands twice");
          } else if (tensors.size() > MOST_TENSORS) {
            throw error(name, "is one of more than " + MOST_TENSORS + " tensors");
          }
        }
        json.endObject();
      }
      checkOverlap(tensors);
      return new SafetensorsHeader(Collections.unmodifiableMap(tensors));
    }

    private Entry entry(String name, JsonReader json, long start) throws IOException {
      String type = "";
      List<Long> shape = List.of();
      List<Long> range = List.of();
      json.beginObject();
      while (json.hasNext()) {
        switch (json.nextName()) {
          case "dtype" -> type = json.nextString();
          case "shape" -> shape = integers(name, json, MOST_DIMENSIONS);
          case "data_offsets" -> range = integers(name, json, 2);
          default -> json.skipValue();
        }
      }
      json.endObject();
      Integer valueBytes = TYPE_BYTES.get(type);
      if (valueBytes == null) {
        throw error(name, "dtype '" + type + "' is not known");
      }
      long room = source.size() - start;
      if (range.size() != 2 || range.get(0) > range.get(1) || range.get(1) > room) {
        throw error(
            name, "data_offsets " + range + " do not lie in the file's %,d bytes".formatted(room));
      }
      long bytes = range.get(1) - range.get(0);
      long expected = valueBytes;
      for (long length : shape) {
        if (length == 0 || expected > Long.MAX_VALUE / length) {
          throw error(name, "shape " + shape + " is empty or larger than any file");
        }
        expected *= length;
      }
      if (expected != bytes) {
        throw error(
            name,
            "shape %s of %s needs %,d bytes, and data_offsets give %,d"
                .formatted(shape, type, expected, bytes));
      }
      return new Entry(type, List.copyOf(shape), start + range.get(0), bytes);
    }

    private List<Long> integers(String name, JsonReader json, int most) throws IOException {
      List<Long> values = new ArrayList<>();
      json.beginArray();
      while (json.peek() != JsonToken.END_ARRAY) {
        long value = json.nextLong();
        if (value < 0 || values.size() == most) {
          throw error(name, "shape and data_offsets must be short lists of positive numbers");
        }
        values.add(value);
      }
      json.endArray();
      return values;
    }

    private void checkOverlap(Map<String, Entry> tensors) {
      List<Map.Entry<String, Entry>> sorted = new ArrayList<>(tensors.entrySet());
      sorted.sort(Comparator.comparingLong(e -> e.getValue().offset));
      for (int i = 1; i < sorted.size(); i++) {
        Entry before = sorted.get(i - 1).getValue();
        if (before.offset + before.bytes > sorted.get(i).getValue().offset) {
          throw error(sorted.get(i).getKey(), "overlaps tensor " + sorted.get(i - 1).getKey());
        }
      }
    }

    private ModelFileException error(String tensor, String problem) {
      return new ModelFileException(file, tensor, problem);
    }

    /** A stretch of the file as a stream. */
    private final class Window extends InputStream {
      private final ByteBuffer buffer = ByteBuffer.allocate(1 << 16).limit(0);
      private final long end;
      private long next;

      Window(long from, long end) {
        this.next = from;
        this.end = end;
      }

      @Override
      public int read() throws IOException {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
      }

      @Override
      public int read(byte[] into, int at, int length) throws IOException {
        if (!buffer.hasRemaining()) {
          if (next >= end) {
            return -1;
          }
          buffer.clear().limit((int) Math.min(buffer.capacity(), end - next));
          int read = source.read(buffer, next);
          if (read <= 0) {
            throw error("header", "the file ends at byte " + next);
          }
          next += read;
          buffer.flip();
        }
        int taken = Math.min(length, buffer.remaining());
        buffer.get(into, at, taken);
        return taken;
      }
    }
  }
}

package dev.knapsack.file;

import dev.knapsack.error.ModelFileException;
import dev.knapsack.error.UnsupportedFormatException;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The header of a GGUF file, version 2 or 3, little-endian: all that stands before the tensor
 * bytes, which is metadata, and where each tensor is.
 *
 * <p>Parsing trusts nothing: counts and lengths are checked against the file before memory is
 * taken, and every tensor must lie inside the file, aligned, and apart from all others.
 *
 * @param tensors by name, in file order
 * @param offsets where each tensor starts, in bytes from the start of the file
 */
record GgufHeader(
    PackedMetadata metadata, Map<String, TensorInfo> tensors, Map<String, Long> offsets) {
  static final int MAGIC = 0x46554747;
  static final int DEFAULT_ALIGNMENT = 32;
  static final String ALIGNMENT = "general.alignment";

  private static final int MOST_ENTRIES = 1 << 17;
  private static final int MOST_NAME_BYTES = 0xFFFF;
  private static final int MOST_DIMENSIONS = 4;

  static GgufHeader read(Path file, HeaderInput.Source source) {
    return new Reader(new HeaderInput(file, source), file, source.size()).read();
  }

  private record Place(String name, long offset, long bytes) {}

  private record Reader(HeaderInput in, Path file, long size) {
    GgufHeader read() {
      in.expect("magic", 24, 1);
      int magic = in.i32("magic");
      if (magic != MAGIC) {
        throw in.error(
            "magic", "not a GGUF file: it starts with 0x%08x, not 'GGUF'".formatted(magic));
      }
      int version = in.i32("version");
      if ((version & 0xFFFF) == 0) {
        throw in.error("version", "the file is big-endian; only little-endian GGUF is supported");
      }
      if (version != 2 && version != 3) {
        throw in.error(
            "version",
            "GGUF version " + Integer.toUnsignedString(version) + "; 2 and 3 are supported");
      }
      long tensorCount = count("tensor_count", 24);
      long keyCount = count("metadata_kv_count", 13);
      Map<String, Object> values = new LinkedHashMap<>();
      Map<String, ValueType> types = new LinkedHashMap<>();
      metadata(keyCount, values, types);
      long alignment = alignment(values);
      return tensors(tensorCount, alignment, new PackedMetadata(file, values, types));
    }

    private long count(String field, int bytesEach) {
      long count = in.i64(field);
      in.expect(field, count, bytesEach);
      if (count > MOST_ENTRIES) {
        throw in.error(field, count + " entries; at most " + MOST_ENTRIES + " are supported");
      }
      return count;
    }

    private void metadata(long count, Map<String, Object> values, Map<String, ValueType> types) {
      for (long i = 0; i < count; i++) {
        String key = in.string("key " + i, MOST_NAME_BYTES);
        ValueType type = type(key);
        if (values.put(key, value(key, type)) != null) {
          throw in.error(key, "stands twice in the metadata");
        }
        if (type != ValueType.ARRAY) {
          types.put(key, type);
        }
      }
    }

    private ValueType type(String key) {
      int number = in.i32(key);
      ValueType type = ValueType.of(number);
      if (type == null) {
        throw in.error(
            key,
            "value type "
                + Integer.toUnsignedString(number)
                + " at byte "
                + in.position()
                + "; types 0 to 12 are supported");
      }
      return type;
    }

    private Object value(String key, ValueType type) {
      return switch (type) {
        case STRING -> in.string(key, HeaderInput.LIMIT);
        case ARRAY -> array(key);
        default -> numbers(key, type, 1).get(0);
      };
    }

    private Object array(String key) {
      ValueType type = type(key);
      long count = in.i64(key);
      in.expect(key, count, type.bytes);
      return switch (type) {
        case ARRAY -> throw in.error(key, "an array of arrays; only flat arrays are supported");
        case STRING -> {
          PackedStrings.Builder strings = new PackedStrings.Builder(count);
          for (long i = 0; i < count; i++) {
            strings.add(in, key, in.stringLength(key, HeaderInput.LIMIT));
          }
          yield strings.build();
        }
        default -> numbers(key, type, count);
      };
    }

    /** The caller has checked that the file holds {@code count} values. */
    private PackedNumbers numbers(String key, ValueType type, long count) {
      in.expect(key, count, type.bytes);
      byte[] bytes = new byte[Math.toIntExact(count * type.bytes)];
      in.bytes(key, bytes, 0, bytes.length);
      return new PackedNumbers(type, bytes);
    }

    private long alignment(Map<String, Object> values) {
      Object value = values.getOrDefault(ALIGNMENT, (long) DEFAULT_ALIGNMENT);
      if (value instanceof Long alignment
          && alignment > 0
          && alignment <= 1 << 30
          && Long.bitCount(alignment) == 1) {
        return alignment;
      }
      throw in.error(ALIGNMENT, "must be a power of two up to 2^30, and is " + value);
    }

    private GgufHeader tensors(long count, long alignment, PackedMetadata metadata) {
      Map<String, TensorInfo> tensors = new LinkedHashMap<>();
      List<Place> places = new ArrayList<>();
      for (long i = 0; i < count; i++) {
        String name = in.string("tensor " + i, MOST_NAME_BYTES);
        TensorInfo tensor = tensor(name);
        if (tensors.put(name, tensor) != null) {
          throw in.error(name, "stands twice among the tensors");
        }
        long offset = in.i64(name);
        if (offset < 0 || offset % alignment != 0) {
          throw in.error(
              name,
              "starts at offset "
                  + Long.toUnsignedString(offset)
                  + ", which is no multiple of the alignment "
                  + alignment);
        }
        places.add(new Place(name, offset, tensor.bytes()));
      }
      long dataStart = Math.ceilDiv(in.position(), alignment) * alignment;
      return new GgufHeader(
          metadata, Collections.unmodifiableMap(tensors), offsets(places, dataStart));
    }

    private TensorInfo tensor(String name) {
      int dimensions = in.i32(name);
      if (dimensions < 0 || dimensions > MOST_DIMENSIONS) {
        throw in.error(
            name,
            Integer.toUnsignedString(dimensions)
                + " dimensions; up to "
                + MOST_DIMENSIONS
                + " are supported");
      }
      List<Long> shape = new ArrayList<>(dimensions);
      long values = 1;
      for (int i = 0; i < dimensions; i++) {
        long length = in.i64(name);
        // Products stay below 2^62 so that no sum of offsets and bytes overflows.
        if (length <= 0
            || Math.multiplyHigh(values, length) != 0
            || values * length < 0
            || values * length > Long.MAX_VALUE / 2) {
          throw in.error(
              name,
              "dimension "
                  + i
                  + " is "
                  + Long.toUnsignedString(length)
                  + ": the tensor would be empty or larger than any file");
        }
        values *= length;
        shape.add(length);
      }
      // Writers differ in whether they keep dimensions of 1 at the end.
      while (shape.size() > 2 && shape.getLast() == 1) {
        shape.removeLast();
      }
      Format format = format(name, in.i32(name));
      long columns = shape.isEmpty() ? 1 : shape.getFirst();
      if (columns % format.blockValues() != 0) {
        throw in.error(
            name,
            "rows of "
                + columns
                + " values, but "
                + format.name()
                + " stores blocks of "
                + format.blockValues());
      }
      if (values / format.blockValues() > Long.MAX_VALUE / 4 / format.blockBytes()) {
        throw in.error(name, "has " + values + " values: larger than any file");
      }
      return new TensorInfo(name, format, shape);
    }

    private Format format(String name, int type) {
      try {
        return Formats.byGgufType(type);
      } catch (UnsupportedFormatException e) {
        throw new ModelFileException(file, name, String.valueOf(e.getMessage()), e);
      }
    }

    private Map<String, Long> offsets(List<Place> places, long dataStart) {
      Map<String, Long> offsets = new LinkedHashMap<>();
      for (Place place : places) {
        long room = size - dataStart - place.bytes;
        if (place.offset > room) {
          throw in.error(
              place.name,
              "needs %,d bytes at offset %,d of the tensor data, but the file has %,d bytes in all, of which the header takes %,d (truncated or corrupt)"
                  .formatted(place.bytes, place.offset, size, dataStart));
        }
        offsets.put(place.name, dataStart + place.offset);
      }
      places.sort(Comparator.comparingLong(Place::offset));
      for (int i = 1; i < places.size(); i++) {
        Place before = places.get(i - 1);
        if (before.offset + before.bytes > places.get(i).offset) {
          throw in.error(places.get(i).name, "overlaps tensor " + before.name);
        }
      }
      return Collections.unmodifiableMap(offsets);
    }
  }
}

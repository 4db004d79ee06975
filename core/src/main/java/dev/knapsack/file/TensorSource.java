package dev.knapsack.file;

import dev.knapsack.tensor.Format;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The source of a GGUF tensor's bytes when the file holds them otherwise.
 *
 * <p>What has to be converted passes through at most {@link #CHUNK} bytes of native memory at a
 * time.
 */
sealed interface TensorSource {
  /** Bytes that a conversion reads at once. */
  int CHUNK = 1 << 18;

  ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(java.nio.ByteOrder.LITTLE_ENDIAN);

  /** Fills {@code into} from byte {@code from} of the tensor. */
  void read(String name, long from, MemorySegment into);

  /** The address modulo 4096 at which byte {@code from} can be read without a copy. */
  default long alignment(long from) {
    return 0;
  }

  /** A way to read bytes from a place on. */
  interface Reader {
    void read(String name, long from, MemorySegment into);
  }

  /** A stretch of a file. */
  record Extent(OpenFile file, long offset, long bytes) {
    void read(String name, long from, MemorySegment into) {
      file.read(name, offset + from, into);
    }
  }

  /** As it stands in the files, piece after piece of equal size: a matrix, or the experts'. */
  record Pieces(List<Extent> extents) implements TensorSource {
    @Override
    public void read(String name, long from, MemorySegment into) {
      long size = extents.getFirst().bytes;
      for (long done = 0; done < into.byteSize(); ) {
        long at = from + done;
        long length = Math.min(into.byteSize() - done, size - at % size);
        extents.get((int) (at / size)).read(name, at % size, into.asSlice(done, length));
        done += length;
      }
    }

    @Override
    public long alignment(long from) {
      long size = extents.getFirst().bytes;
      int piece = (int) Math.min(from / size, extents.size() - 1);
      return (extents.get(piece).offset + from - piece * size) % 4096;
    }
  }

  /** A change of a number. */
  enum Change {
    NONE,
    PLUS_ONE,
    /** Of the logarithm of how fast something fades, the rate, which is below 0. */
    RATE;

    float of(float number) {
      return switch (this) {
        case NONE -> number;
        case PLUS_ONE -> number + 1;
        case RATE -> (float) -Math.exp(number);
      };
    }
  }

  /** Numbers as F32: number {@code i} is number {@code start + i · stride} of the file, changed. */
  record Numbers(Extent extent, Format format, int start, int stride, Change change)
      implements TensorSource {
    @Override
    public void read(String name, long from, MemorySegment into) {
      long first = from / Float.BYTES;
      long end = Math.ceilDiv(from + into.byteSize(), (long) Float.BYTES);
      int most = CHUNK / Float.BYTES / stride;
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment source = arena.allocate((long) most * stride * format.blockBytes());
        MemorySegment floats = arena.allocate((long) most * stride * Float.BYTES);
        for (long i = first; i < end; i += most) {
          int count = (int) Math.min(most, end - i);
          int taken = (count - 1) * stride + 1;
          long bytes = format.bytes(taken);
          extent.read(name, format.bytes(start + i * stride), source.asSlice(0, bytes));
          format.decode(source, 0, floats, 0, taken);
          for (int k = 0; k < count; k++) {
            float value = floats.get(FLOAT, (long) k * stride * Float.BYTES);
            floats.set(FLOAT, (long) k * Float.BYTES, change.of(value));
          }
          copyOverlap(floats, i * Float.BYTES, (long) count * Float.BYTES, into, from);
        }
      }
    }
  }

  /**
   * The columns of a matrix as rows.
   *
   * @param columns of the file's matrix: the rows here
   * @param rows of the file's matrix: the numbers of a row here
   * @param size bytes of a number
   * @param levels what codes of one byte stand for, which are read as F32; null for numbers
   */
  record Transposed(Extent extent, int columns, int rows, int size, @Nullable Levels levels)
      implements TensorSource {
    /** Bytes of a band of columns that are turned at once. */
    private static final long BAND = 4 << 20;

    private static final int TILE = 16;

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;

    @Override
    public void read(String name, long from, MemorySegment into) {
      long written = (levels == null ? size : Float.BYTES) * (long) rows;
      long end = Math.ceilDiv(from + into.byteSize(), written);
      int first = (int) (from / written);
      int band = (int) Math.clamp(BAND / written, 1, Math.max(1, end - first));
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment source = arena.allocate((long) band * size * rows);
        MemorySegment turned = arena.allocate(band * written);
        for (int column = first; column < end; column += band) {
          int count = (int) Math.min(band, end - column);
          load(name, column, count, source);
          for (int c = 0; c < count; c += TILE) {
            turn(source, c, Math.min(count, c + TILE), count, column, turned);
          }
          copyOverlap(turned, column * written, count * written, into, from);
        }
      }
    }

    private void load(String name, int column, int count, MemorySegment source) {
      if (count == columns) {
        extent.read(name, 0, source.asSlice(0, (long) columns * rows * size));
        return;
      }
      long bytes = (long) count * size;
      for (long row = 0; row < rows; row++) {
        extent.read(name, (row * columns + column) * size, source.asSlice(row * bytes, bytes));
      }
    }

    /** Turns some columns of a band, so few that rows are read and written in whole lines. */
    private void turn(
        MemorySegment source, int begin, int end, int count, int column, MemorySegment into) {
      for (int row = 0; row < rows; row++) {
        for (int c = begin; c < end; c++) {
          long from = ((long) row * count + c) * size;
          long to = (long) c * rows + row;
          if (levels != null) {
            byte code = source.get(ValueLayout.JAVA_BYTE, from);
            into.set(FLOAT, to * Float.BYTES, levels.of(code, column + c));
          } else if (size == Float.BYTES) {
            into.set(INT, to * size, source.get(INT, from));
          } else {
            MemorySegment.copy(source, from, into, to * size, size);
          }
        }
      }
    }
  }

  /**
   * The numbers that codes of one byte stand for, as ONNX's DequantizeLinear has it: (code − zero)
   * · scale.
   *
   * @param signed whether codes go from −128 or from 0
   * @param scales of each row here, or one for all
   * @param zeros of each row here, or one for all
   */
  record Levels(boolean signed, float[] scales, float[] zeros) {
    float of(byte code, int row) {
      int number = signed ? code : code & 0xFF;
      return (number - zeros[zeros.length == 1 ? 0 : row]) * scales[scales.length == 1 ? 0 : row];
    }
  }

  /** A table of codes of one byte, which all stand for the same, as F32. */
  record Table(Extent extent, Levels levels) implements TensorSource {
    @Override
    public void read(String name, long from, MemorySegment into) {
      long end = Math.ceilDiv(from + into.byteSize(), (long) Float.BYTES);
      int most = CHUNK / Float.BYTES;
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment codes = arena.allocate(most);
        MemorySegment floats = arena.allocate((long) most * Float.BYTES);
        for (long i = from / Float.BYTES; i < end; i += most) {
          int count = (int) Math.min(most, end - i);
          extent.read(name, i, codes.asSlice(0, count));
          for (int k = 0; k < count; k++) {
            byte code = codes.get(ValueLayout.JAVA_BYTE, k);
            floats.set(FLOAT, (long) k * Float.BYTES, levels.of(code, 0));
          }
          copyOverlap(floats, i * Float.BYTES, (long) count * Float.BYTES, into, from);
        }
      }
    }
  }

  /** A stretch of rows, all of which have the same factor. */
  record Factor(long rows, double factor) {}

  /**
   * A matrix times factors: the products are rounded as the file's numbers are.
   *
   * @param columns numbers in a row
   * @param factors of stretches of rows that follow each other
   */
  record Scaled(Extent extent, Format format, long columns, List<Factor> factors)
      implements TensorSource {
    @Override
    public void read(String name, long from, MemorySegment into) {
      int size = format.blockBytes();
      long end = Math.ceilDiv(from + into.byteSize(), (long) size);
      int most = CHUNK / Float.BYTES;
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment numbers = arena.allocate((long) most * size);
        MemorySegment floats = arena.allocate((long) most * Float.BYTES);
        for (long i = from / size; i < end; i += most) {
          int count = (int) Math.min(most, end - i);
          MemorySegment part = numbers.asSlice(0, (long) count * size);
          extent.read(name, i * size, part);
          format.decode(part, 0, floats, 0, count);
          multiply(floats, i, count);
          format.encode(floats, 0, part, 0, count);
          copyOverlap(part, i * size, part.byteSize(), into, from);
        }
      }
    }

    private void multiply(MemorySegment floats, long first, int count) {
      long begin = 0;
      for (Factor stretch : factors) {
        long end = begin + stretch.rows * columns;
        for (long i = Math.max(begin, first); i < Math.min(end, first + count); i++) {
          long place = (i - first) * Float.BYTES;
          floats.set(FLOAT, place, (float) (floats.get(FLOAT, place) * stretch.factor));
        }
        begin = end;
      }
    }
  }

  /**
   * Numbers of heads in another order. In the source, the heads of a group lie together; here, the
   * first heads of all groups come first, then the second. A tensor may have several stretches of
   * them, as where heads have columns.
   *
   * @param kept bytes at the beginning of a stretch that stay where they are
   * @param block bytes of a head
   */
  record Regrouped(TensorSource source, long stretch, long kept, long block, int groups)
      implements TensorSource {
    @Override
    public void read(String name, long from, MemorySegment into) {
      if (stretch > CHUNK) {
        pieces(name, source::read, from, into);
        return;
      }
      try (Arena arena = Arena.ofConfined()) {
        // Columns of heads are short: all that may be needed is read at once.
        long most = CHUNK / stretch * stretch;
        MemorySegment whole = arena.allocate(most);
        long end = from + into.byteSize();
        for (long at = from / stretch * stretch; at < end; at += most) {
          long bytes = Math.min(most, Math.ceilDiv(end - at, stretch) * stretch);
          source.read(name, at, whole.asSlice(0, bytes));
          long first = Math.max(at, from);
          long last = Math.min(at + bytes, end);
          long start = at;
          pieces(
              name,
              (n, place, piece) ->
                  MemorySegment.copy(whole, place - start, piece, 0, piece.byteSize()),
              first,
              into.asSlice(first - from, last - first));
        }
      }
    }

    private void pieces(String name, Reader reader, long from, MemorySegment into) {
      for (long done = 0; done < into.byteSize(); ) {
        long start = (from + done) / stretch * stretch;
        long place = from + done - start;
        long within = place < kept ? place : (place - kept) % block;
        long length = Math.min(into.byteSize() - done, (place < kept ? kept : block) - within);
        long original =
            place < kept ? place : kept + original((place - kept) / block) * block + within;
        reader.read(name, start + original, into.asSlice(done, length));
        done += length;
      }
    }

    private long original(long head) {
      long members = (stretch - kept) / block / groups;
      return head % groups * members + head / groups;
    }
  }

  /**
   * Rows of MXFP4 in GGUF's blocks, of 32 numbers in 17 bytes: the scale, then 16 bytes of which
   * the low halves are the first 16 numbers and the high halves the others. The hub keeps scales
   * apart, and neighbours in one byte. Row {@code r} is row {@code start + r · stride} of the file.
   */
  record Mxfp4Rows(Extent blocks, Extent scales, int rowBlocks, int start, int stride)
      implements TensorSource {
    private static final int BLOCK = 17;
    private static final int CODES = 16;

    @Override
    public void read(String name, long from, MemorySegment into) {
      long rowBytes = (long) rowBlocks * BLOCK;
      long end = Math.ceilDiv(from + into.byteSize(), rowBytes);
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment codes = arena.allocate((long) rowBlocks * CODES);
        MemorySegment scale = arena.allocate(rowBlocks);
        MemorySegment row = arena.allocate(rowBytes);
        for (long r = from / rowBytes; r < end; r++) {
          long source = start + r * stride;
          blocks.read(name, source * codes.byteSize(), codes);
          scales.read(name, source * scale.byteSize(), scale);
          for (int b = 0; b < rowBlocks; b++) {
            repack(codes, b * CODES, scale.get(ValueLayout.JAVA_BYTE, b), row, b * BLOCK);
          }
          copyOverlap(row, r * rowBytes, rowBytes, into, from);
        }
      }
    }

    private static void repack(
        MemorySegment codes, int at, byte scale, MemorySegment row, int target) {
      row.set(ValueLayout.JAVA_BYTE, target, scale);
      for (int j = 0; j < CODES; j++) {
        int low = code(codes, at, j);
        int high = code(codes, at, j + CODES);
        row.set(ValueLayout.JAVA_BYTE, target + 1 + j, (byte) (low | high << 4));
      }
    }

    private static int code(MemorySegment codes, int at, int index) {
      int pair = codes.get(ValueLayout.JAVA_BYTE, at + index / 2) & 0xFF;
      return index % 2 == 0 ? pair & 0xF : pair >> 4;
    }
  }

  /** Numbers that follow from the configuration. */
  record Constant(float[] values) implements TensorSource {
    @Override
    public void read(String name, long from, MemorySegment into) {
      MemorySegment all = MemorySegment.ofArray(new byte[values.length * Float.BYTES]);
      for (int i = 0; i < values.length; i++) {
        all.set(FLOAT, (long) i * Float.BYTES, values[i]);
      }
      MemorySegment.copy(all, from, into, 0, into.byteSize());
    }
  }

  /** Copies what a converted stretch at {@code position} and the wanted one have in common. */
  private static void copyOverlap(
      MemorySegment stretch, long position, long bytes, MemorySegment into, long from) {
    long begin = Math.max(position, from);
    long end = Math.min(position + bytes, from + into.byteSize());
    MemorySegment.copy(stretch, begin - position, into, begin - from, end - begin);
  }
}

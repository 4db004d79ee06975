package dev.knapsack.file;

import dev.knapsack.error.ModelFileException;
import dev.knapsack.tensor.Formats;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Writes a GGUF file, version 3: the header at once, then the bytes of the tensors as they come.
 *
 * <p>The bytes go to a file beside the target with {@code .part} behind its name, which becomes the
 * target in {@link #finish}; closed before that, the writer leaves nothing behind and a target that
 * was there before stays as it was.
 */
public final class GgufWriter implements AutoCloseable {
  private static final int MOST_AT_ONCE = 1 << 24;

  private final Path target;
  private final Path part;
  private final SeekableByteChannel channel;
  private final Map<String, Slot> slots = new LinkedHashMap<>();
  private final long end;
  private boolean closed;

  private static final class Slot {
    final TensorInfo tensor;
    final long offset;
    long written;

    Slot(TensorInfo tensor, long offset) {
      this.tensor = tensor;
      this.offset = offset;
    }
  }

  /** Makes the file. */
  @FunctionalInterface
  interface Opener {
    SeekableByteChannel open(Path path) throws IOException;
  }

  /**
   * Writes the header.
   *
   * @param metadata of a model file or from a {@link MetadataBuilder}; {@code general.alignment},
   *     if there, must be a power of two
   * @param tensors in the order in which the file holds them
   * @throws ModelFileException if the file cannot be written, such as for a full disk
   */
  public static GgufWriter create(Path target, Metadata metadata, Collection<TensorInfo> tensors) {
    return create(
        target,
        metadata,
        tensors,
        path ->
            FileChannel.open(
                path,
                StandardOpenOption.CREATE,
                StandardOpenOption.TRUNCATE_EXISTING,
                StandardOpenOption.WRITE));
  }

  static GgufWriter create(
      Path named, Metadata metadata, Collection<TensorInfo> tensors, Opener opener) {
    Path target = FilePlace.of(named);
    Path part = target.resolveSibling(target.getFileName() + ".part");
    PackedMetadata packed = (PackedMetadata) new MetadataBuilder(metadata).build(target);
    long alignment = packed.integer(GgufHeader.ALIGNMENT, GgufHeader.DEFAULT_ALIGNMENT);
    if (alignment <= 0 || Long.bitCount(alignment) != 1) {
      throw new IllegalArgumentException(
          GgufHeader.ALIGNMENT + " must be a power of two, not " + alignment);
    }
    SeekableByteChannel channel;
    try {
      channel = opener.open(part);
    } catch (NoSuchFileException e) {
      throw new ModelFileException(
          target, "file", "cannot be written: its folder is not there; make it first", e);
    } catch (IOException e) {
      throw new ModelFileException(target, "file", "cannot be written: " + e, e);
    }
    try {
      Header header = new Header(channel);
      header.metadata(packed, tensors.size());
      header.tensors(tensors, alignment);
      long start = Math.ceilDiv(channel.position(), alignment) * alignment;
      return new GgufWriter(target, part, channel, tensors, start, alignment);
    } catch (IOException e) {
      throw failed(target, part, channel, e);
    } catch (RuntimeException | Error e) {
      discard(part, channel);
      throw e;
    }
  }

  private GgufWriter(
      Path target,
      Path part,
      SeekableByteChannel channel,
      Collection<TensorInfo> tensors,
      long start,
      long alignment) {
    this.target = target;
    this.part = part;
    this.channel = channel;
    long offset = start;
    for (TensorInfo tensor : tensors) {
      if (slots.put(tensor.name(), new Slot(tensor, offset)) != null) {
        throw new IllegalArgumentException("Two tensors of the name " + tensor.name());
      }
      offset += Math.ceilDiv(tensor.bytes(), alignment) * alignment;
    }
    this.end = offset;
  }

  /**
   * Appends bytes to a tensor. Tensors may come in any order, and each in as many pieces as one
   * likes.
   *
   * @throws ModelFileException if the file cannot be written; nothing of it is left then
   */
  public void write(TensorInfo tensor, MemorySegment bytes) {
    Slot slot = slots.get(tensor.name());
    if (closed || slot == null || !slot.tensor.equals(tensor)) {
      throw new IllegalArgumentException(
          closed ? target + " is closed" : "No such tensor in the header: " + tensor);
    }
    if (bytes.byteSize() > tensor.bytes() - slot.written) {
      throw new IllegalArgumentException(
          "%,d bytes more for %s, which has %,d of %,d"
              .formatted(bytes.byteSize(), tensor.name(), slot.written, tensor.bytes()));
    }
    try {
      channel.position(slot.offset + slot.written);
      for (long done = 0; done < bytes.byteSize(); done += MOST_AT_ONCE) {
        long length = Math.min(MOST_AT_ONCE, bytes.byteSize() - done);
        writeAll(channel, bytes.asSlice(done, length).asByteBuffer());
      }
    } catch (IOException e) {
      closed = true;
      throw failed(target, part, channel, e);
    }
    slot.written += bytes.byteSize();
  }

  /**
   * Puts the whole file in its place.
   *
   * @throws IllegalStateException if a tensor is not complete
   * @throws ModelFileException if the file cannot be written
   */
  public void finish() {
    for (Slot slot : slots.values()) {
      if (slot.written != slot.tensor.bytes()) {
        throw new IllegalStateException(
            "%s has %,d of its %,d bytes"
                .formatted(slot.tensor.name(), slot.written, slot.tensor.bytes()));
      }
    }
    if (closed) {
      throw new IllegalStateException(target + " is closed");
    }
    closed = true;
    try (channel) {
      if (channel.size() < end) {
        channel.position(end - 1);
        writeAll(channel, ByteBuffer.allocate(1));
      }
      if (channel instanceof FileChannel file) {
        file.force(true);
      }
      channel.close();
      try {
        Files.move(part, target, StandardCopyOption.ATOMIC_MOVE);
      } catch (AtomicMoveNotSupportedException e) {
        Files.move(part, target, StandardCopyOption.REPLACE_EXISTING);
      }
    } catch (IOException e) {
      throw failed(target, part, channel, e);
    }
  }

  /** Throws away what was written unless {@link #finish} has put it in place. */
  @Override
  public void close() {
    if (!closed) {
      closed = true;
      discard(part, channel);
    }
  }

  private static void writeAll(SeekableByteChannel channel, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }

  private static ModelFileException failed(
      Path target, Path part, SeekableByteChannel channel, IOException cause) {
    discard(part, channel);
    return new ModelFileException(
        target,
        "file",
        "cannot be written, and nothing of it was left behind: " + cause.getMessage(),
        cause);
  }

  private static void discard(Path part, SeekableByteChannel channel) {
    try (channel) {
      Files.deleteIfExists(part);
    } catch (IOException e) {
      throw new ModelFileException(part, "file", "cannot be deleted: " + e, e);
    }
  }

  /** Writes the header through a buffer. */
  private static final class Header {
    private final SeekableByteChannel channel;
    private final ByteBuffer buffer = ByteBuffer.allocate(1 << 16).order(ByteOrder.LITTLE_ENDIAN);

    Header(SeekableByteChannel channel) {
      this.channel = channel;
    }

    void metadata(PackedMetadata metadata, int tensors) throws IOException {
      room(24).putInt(GgufHeader.MAGIC).putInt(3);
      buffer.putLong(tensors).putLong(metadata.all().size());
      for (Map.Entry<String, Object> entry : metadata.all().entrySet()) {
        string(entry.getKey().getBytes(StandardCharsets.UTF_8));
        value(entry.getValue(), metadata.types().get(entry.getKey()));
      }
    }

    private void value(Object value, @Nullable ValueType type) throws IOException {
      switch (value) {
        case PackedStrings strings -> {
          array(ValueType.STRING, strings.size());
          int at = 0;
          for (int i = 0; i < strings.size(); i++) {
            room(8).putLong(strings.length(i));
            bytes(strings.bytes(), at, strings.length(i));
            at += strings.length(i);
          }
        }
        case PackedNumbers numbers -> {
          array(numbers.type(), numbers.size());
          bytes(numbers.bytes(), 0, numbers.bytes().length);
        }
        case String text -> {
          room(4).putInt(ValueType.STRING.number);
          string(text.getBytes(StandardCharsets.UTF_8));
        }
        case Boolean flag -> {
          room(5).putInt(ValueType.BOOL.number).put((byte) (flag ? 1 : 0));
        }
        case Number number when type != null -> {
          room(12).putInt(type.number);
          type.put(buffer, number);
        }
        default -> throw new IllegalArgumentException("No metadata value: " + value);
      }
    }

    void tensors(Collection<TensorInfo> tensors, long alignment) throws IOException {
      long offset = 0;
      for (TensorInfo tensor : tensors) {
        string(tensor.name().getBytes(StandardCharsets.UTF_8));
        room(4 + 4 * 8 + 4 + 8).putInt(tensor.shape().size());
        tensor.shape().forEach(buffer::putLong);
        buffer.putInt(Formats.checkInFiles(tensor.format()).ggufType()).putLong(offset);
        offset += Math.ceilDiv(tensor.bytes(), alignment) * alignment;
      }
      flush();
    }

    private void array(ValueType type, int size) throws IOException {
      room(16).putInt(ValueType.ARRAY.number).putInt(type.number).putLong(size);
    }

    private void string(byte[] text) throws IOException {
      room(8).putLong(text.length);
      bytes(text, 0, text.length);
    }

    private void bytes(byte[] bytes, int from, int length) throws IOException {
      if (length <= buffer.remaining()) {
        buffer.put(bytes, from, length);
      } else {
        flush();
        writeAll(channel, ByteBuffer.wrap(bytes, from, length));
      }
    }

    private ByteBuffer room(int bytes) throws IOException {
      if (buffer.remaining() < bytes) {
        flush();
      }
      return buffer;
    }

    private void flush() throws IOException {
      writeAll(channel, buffer.flip());
      buffer.clear();
    }
  }
}

package dev.knapsack.eval;

import java.io.EOFException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * Logits of many positions on disk, to be read again in the order in which they were written: those
 * of a text are more than the budget has room for. The file is gone when it is closed.
 */
final class LogitsTape implements AutoCloseable {
  private final FileChannel file;
  private final byte[] row;

  /**
   * An empty tape.
   *
   * @param folder is made if it does not exist
   * @param positions rows that are going to be written
   * @throws TextException if the disk has no room for them
   */
  LogitsTape(Path folder, int vocabulary, long positions) throws IOException {
    Files.createDirectories(folder);
    row = new byte[Math.multiplyExact(vocabulary, Float.BYTES)];
    long bytes = Math.multiplyExact(positions, row.length);
    long free = Files.getFileStore(folder).getUsableSpace();
    if (bytes > free) {
      throw new TextException(
          "%,d positions of %,d logits take %,d bytes in %s, which has %,d free; measure along less text"
              .formatted(positions, vocabulary, bytes, folder, free));
    }
    Path path = Files.createTempFile(folder, "logits", ".f32");
    file =
        FileChannel.open(
            path,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE,
            StandardOpenOption.DELETE_ON_CLOSE);
  }

  /** Writes the logits of the next position: F32. */
  void write(MemorySegment logits) throws IOException {
    MemorySegment.copy(logits, 0, MemorySegment.ofArray(row), 0, row.length);
    ByteBuffer bytes = ByteBuffer.wrap(row);
    while (bytes.hasRemaining()) {
      file.write(bytes);
    }
  }

  /** The logits of the next position, valid until the next call. */
  MemorySegment read() throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(row);
    while (bytes.hasRemaining()) {
      if (file.read(bytes) < 0) {
        throw new EOFException("No more logits were written");
      }
    }
    return MemorySegment.ofArray(row);
  }

  /** Goes back to the first position. */
  void rewind() throws IOException {
    file.position(0);
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}

package dev.knapsack.file;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Map;

/** A GGUF file. */
final class GgufFile implements ModelFile {
  private final OpenFile file;
  private final GgufHeader header;

  private GgufFile(OpenFile file, GgufHeader header) {
    this.file = file;
    this.header = header;
  }

  /**
   * Reads and validates the header.
   *
   * @throws ModelFileException if the file cannot be read, or is no GGUF file that is supported
   */
  static GgufFile open(Path path) {
    OpenFile file = OpenFile.open(path);
    try {
      return new GgufFile(file, file.header(source -> GgufHeader.read(path, source)));
    } catch (RuntimeException | Error e) {
      file.close();
      throw e;
    }
  }

  @Override
  public Path path() {
    return file.path();
  }

  @Override
  public Metadata metadata() {
    return header.metadata();
  }

  @Override
  public Map<String, TensorInfo> tensors() {
    return header.tensors();
  }

  @Override
  public void read(TensorInfo tensor, long from, MemorySegment into) {
    file.read(tensor.name(), start(tensor, from, into.byteSize()), into);
  }

  @Override
  public long alignment(TensorInfo tensor, long from) {
    return start(tensor, from, 0) % 4096;
  }

  @Override
  public void close() {
    file.close();
  }

  private long start(TensorInfo tensor, long from, long bytes) {
    Long offset = header.offsets().get(tensor.name());
    if (offset == null || !tensor.equals(header.tensors().get(tensor.name()))) {
      throw new IllegalArgumentException(path() + " has no such tensor: " + tensor);
    }
    if (from < 0 || from > tensor.bytes() - bytes) {
      throw new IllegalArgumentException(
          "%,d bytes from byte %,d of %s, which has %,d"
              .formatted(bytes, from, tensor.name(), tensor.bytes()));
    }
    return offset + from;
  }
}

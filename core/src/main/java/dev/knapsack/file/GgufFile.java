package dev.knapsack.file;

import dev.knapsack.error.ModelFileException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * A GGUF model, in one file or in several.
 *
 * <p>Of several files, named {@code …-00001-of-00003.gguf} and so on, each has some of the tensors,
 * and the first has the metadata of all. Each says in {@code split.no} which it is, from 0, in
 * {@code split.count} how many there are, and in {@code split.tensors.count} how many tensors they
 * have together. Source: {@code gguf-split} of llama.cpp.
 */
final class GgufFile implements ModelFile {
  private static final String SPLIT = "split.";
  private static final String NUMBER = SPLIT + "no";
  private static final String COUNT = SPLIT + "count";
  private static final String TENSORS = SPLIT + "tensors.count";

  private final List<Part> parts;
  private final Metadata metadata;
  private final Map<String, TensorInfo> tensors;
  private final Map<String, Part> holders;

  /** One file of a model, and its header. */
  private record Part(OpenFile file, GgufHeader header) {
    static Part open(Path path, List<OpenFile> opened) {
      OpenFile file = OpenFile.open(path);
      opened.add(file);
      return new Part(file, file.header(source -> GgufHeader.read(path, source)));
    }

    long number(String key) {
      return header.metadata().integer(key);
    }

    ModelFileException error(String field, String problem) {
      return new ModelFileException(file.path(), field, problem);
    }
  }

  private GgufFile(
      List<Part> parts,
      Metadata metadata,
      Map<String, TensorInfo> tensors,
      Map<String, Part> holders) {
    this.parts = List.copyOf(parts);
    this.metadata = metadata;
    this.tensors = Collections.unmodifiableMap(tensors);
    this.holders = holders;
  }

  /**
   * Reads and validates the header; of a model in several files those of all, whichever is named.
   *
   * @throws ModelFileException if a file cannot be read, is no GGUF file that is supported, or is
   *     missing or another model's
   */
  static GgufFile open(Path path) {
    List<OpenFile> opened = new ArrayList<>();
    try {
      Part named = Part.open(path, opened);
      return whole(
          named.header.metadata().integer(COUNT, 0) > 1 ? all(named, opened) : List.of(named));
    } catch (RuntimeException | Error e) {
      opened.forEach(OpenFile::close);
      throw e;
    }
  }

  private static List<Part> all(Part named, List<OpenFile> opened) {
    Path path = named.file.path();
    long number = named.number(NUMBER);
    long count = named.number(COUNT);
    GgufName name = GgufName.of(path);
    if (name.parts() != count || name.part() != number + 1) {
      throw named.error(
          NUMBER,
          "it is part %d of %d of a model, and the others are found by its name, which must end in '-%05d-of-%05d.gguf'"
              .formatted(number + 1, count, number + 1, count));
    }
    List<Part> parts = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      Part part = named;
      if (i != number) {
        Path sibling = path.resolveSibling(name.part(i + 1).text());
        if (!Files.exists(sibling)) {
          throw new ModelFileException(
              sibling,
              "file",
              "there is no such file, and it is part %d of the %d that %s belongs to"
                  .formatted(i + 1, count, name.text()));
        }
        part = Part.open(sibling, opened);
        check(part, NUMBER, i, path);
        check(part, COUNT, count, path);
        check(part, TENSORS, named.number(TENSORS), path);
      }
      parts.add(part);
    }
    return parts;
  }

  private static void check(Part part, String key, long expected, Path named) {
    Metadata metadata = part.header.metadata();
    if (!metadata.has(key) || metadata.integer(key) != expected) {
      throw part.error(
          key,
          "%s, and must be %d to belong to the model of %s"
              .formatted(
                  metadata.has(key) ? "is " + metadata.integer(key) : "is missing",
                  expected,
                  named.getFileName()));
    }
  }

  private static GgufFile whole(List<Part> parts) {
    Map<String, TensorInfo> tensors = new LinkedHashMap<>();
    Map<String, Part> holders = new HashMap<>();
    for (Part part : parts) {
      tensors.putAll(part.header.tensors());
      for (String name : part.header.tensors().keySet()) {
        Part other = holders.put(name, part);
        if (other != null) {
          throw part.error(name, "is a tensor of " + other.file.path().getFileName() + " too");
        }
      }
    }
    Part first = parts.getFirst();
    if (parts.size() == 1) {
      return new GgufFile(parts, first.header.metadata(), tensors, holders);
    }
    if (tensors.size() != first.number(TENSORS)) {
      throw first.error(
          TENSORS,
          "says %,d, and the %,d parts have %,d; one is of another model"
              .formatted(first.number(TENSORS), parts.size(), tensors.size()));
    }
    return new GgufFile(parts, first.header.metadata().without(SPLIT), tensors, holders);
  }

  /** The file, or the first of several. */
  @Override
  public Path path() {
    return parts.getFirst().file.path();
  }

  @Override
  public List<Path> files() {
    return parts.stream().map(part -> part.file.path()).toList();
  }

  @Override
  public Metadata metadata() {
    return metadata;
  }

  @Override
  public Map<String, TensorInfo> tensors() {
    return tensors;
  }

  @Override
  public void read(TensorInfo tensor, long from, MemorySegment into) {
    Part part = holder(tensor, from, into.byteSize());
    part.file.read(tensor.name(), start(part, tensor) + from, into);
  }

  @Override
  public long alignment(TensorInfo tensor, long from) {
    return (start(holder(tensor, from, 0), tensor) + from) % 4096;
  }

  @Override
  public void close() {
    parts.forEach(part -> part.file.close());
  }

  private static long start(Part part, TensorInfo tensor) {
    return Objects.requireNonNull(part.header.offsets().get(tensor.name()));
  }

  private Part holder(TensorInfo tensor, long from, long bytes) {
    Part part = holders.get(tensor.name());
    if (part == null || !tensor.equals(tensors.get(tensor.name()))) {
      throw new IllegalArgumentException(path() + " has no such tensor: " + tensor);
    }
    if (from < 0 || from > tensor.bytes() - bytes) {
      throw new IllegalArgumentException(
          "%,d bytes from byte %,d of %s, which has %,d"
              .formatted(bytes, from, tensor.name(), tensor.bytes()));
    }
    return part;
  }
}

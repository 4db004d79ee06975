package dev.knapsack.file;

import dev.knapsack.error.ModelFileException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/**
 * A model on disk: metadata and tensors under their GGUF names, whatever the container.
 *
 * <p>Opening reads and validates the header alone. Tensor bytes are read on demand, from any
 * thread, and past the page cache where the file system allows it.
 */
public interface ModelFile extends AutoCloseable {
  /**
   * The key that says which rows of queries and keys are paired, {@code half} or {@code adjacent},
   * where it is not those that the architecture has in GGUF files.
   */
  String ROPE_PAIRS = "knapsack.rope.pairs";

  /** The key of the number of tokens at which an embedding model's own library cuts a text. */
  String EMBEDDED_TOKENS = "knapsack.embedding.max_tokens";

  /** The beginning of keys of texts to put before a text that is embedded: then what for. */
  String PROMPT = "knapsack.embedding.prompt.";

  /** The key of the name of the prompt that is meant where none is asked for. */
  String USUAL_PROMPT = "knapsack.embedding.usual_prompt";

  /** The file, or the first of its parts, or the directory of a safetensors model. */
  Path path();

  /** The files that hold the tensors. */
  default List<Path> files() {
    return List.of(path());
  }

  /** The header's metadata; the tokenizer is part of it unless it is a {@link #tokenizerJson()}. */
  Metadata metadata();

  /** The tokenizer of a directory, as the hub writes it. */
  default Optional<TokenizerJson> tokenizerJson() {
    return Optional.empty();
  }

  /**
   * The metadata that a GGUF file of this model has, with a tokenizer in its words.
   *
   * @throws ModelFileException if the tokenizer is one that GGUF has no words for
   */
  default Metadata ggufMetadata() {
    return metadata();
  }

  /** Sentences on what the tokenizer does that {@link #ggufMetadata()} cannot say. */
  default List<String> ggufNotes() {
    return List.of();
  }

  /** Chat templates, the default first; none is parsed. */
  default List<TemplateSource> templates() {
    return TemplateSource.of(path(), metadata());
  }

  /** Sentences on what is read otherwise than it stands in the files. */
  default List<String> notes() {
    return List.of();
  }

  /** Tensors by name, in file order. */
  Map<String, TensorInfo> tensors();

  /**
   * Reads {@code into.byteSize()} bytes of a tensor in its {@link TensorInfo#format()}, from byte
   * {@code from} of it, into native memory.
   *
   * <p>Fastest when {@code into.address()} equals {@link #alignment(TensorInfo, long)} modulo 4096:
   * then the disk writes straight into it.
   *
   * @throws ModelFileException if the file ends early, changed since it was opened, or cannot be
   *     read
   */
  void read(TensorInfo tensor, long from, MemorySegment into);

  /**
   * The address modulo 4096 at which byte {@code from} of the tensor can be read without a copy.
   */
  long alignment(TensorInfo tensor, long from);

  @Override
  void close();

  /**
   * Opens a model at a path, or one that is a resource of the program: {@code classpath:} and its
   * name.
   *
   * @param resources knows the program's resources
   * @throws ModelFileException as {@link #open(Path)} does, or if there is no such resource
   */
  static ModelFile open(String location, ClassLoader resources) {
    return ResourceModel.is(location)
        ? ResourceModel.open(location, resources)
        : open(Path.of(location));
  }

  /**
   * Opens a GGUF model, a safetensors model in a directory, or an encoder in an ONNX file; of a
   * model in several files, any of them may be named.
   *
   * @throws ModelFileException if it cannot be read, is damaged, or is of a kind that is not
   *     supported
   */
  static ModelFile open(Path path) {
    if (Files.isDirectory(path)) {
      return SafetensorsDirectory.open(path);
    }
    if (OnnxModel.is(path)) {
      return OnnxModel.open(path);
    }
    return SafetensorsDirectory.isPart(path)
        ? SafetensorsDirectory.open(Objects.requireNonNull(path.toAbsolutePath().getParent()))
        : GgufFile.open(path);
  }
}

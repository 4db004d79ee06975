package dev.knapsack.file;

import dev.knapsack.error.ModelFileException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;

/**
 * An encoder in an ONNX file, as sentence-transformers' models are exported and LangChain4j's
 * artifacts hold them, shown under GGUF's names.
 *
 * <p>The tokenizer lies beside it: {@code NAME-tokenizer.json} by {@code NAME.onnx}, or {@code
 * tokenizer.json} in its folder or the one above, where the hub keeps it. So do the settings of
 * sentence-transformers ({@link EncoderSettings}).
 */
final class OnnxModel {
  private static final String SUFFIX = ".onnx";

  private OnnxModel() {}

  /** Says whether a file is called so. */
  static boolean is(Path path) {
    return path.toString().toLowerCase(Locale.ROOT).endsWith(SUFFIX);
  }

  /** The name of a model in such a file. */
  static String name(String file) {
    return is(Path.of(file)) ? file.substring(0, file.length() - SUFFIX.length()) : file;
  }

  /** The names that a model's tokenizer can have beside it, the nearest first. */
  static List<String> tokenizers(String model) {
    List<String> names = new ArrayList<>(List.of(model + "-tokenizer.json"));
    if (model.endsWith("-q")) {
      names.add(model.substring(0, model.length() - 2) + "-tokenizer.json");
    }
    names.add("tokenizer.json");
    return names;
  }

  /**
   * Reads the graph; weights are read on demand.
   *
   * @throws ModelFileException if it is damaged, or is not of a kind that is known
   */
  static ModelFile open(Path path) {
    List<OpenFile> files = new ArrayList<>();
    try {
      files.add(OpenFile.open(path));
      return read(path, files);
    } catch (RuntimeException | Error e) {
      files.forEach(OpenFile::close);
      throw e;
    }
  }

  private static ModelFile read(Path path, List<OpenFile> files) {
    OnnxEncoder encoder = new OnnxEncoder(OnnxGraph.read(files.getFirst(), files));
    String name = name(String.valueOf(path.getFileName()));
    List<String> notes = new ArrayList<>();
    if (encoder.quantized()) {
      notes.add(
          "weights are codes of 8 bits, and are read as the numbers that they stand for, in F32;"
              + " the model's other file, with weights in F32, gives better vectors");
    }
    Path directory = Objects.requireNonNull(path.toAbsolutePath().getParent());
    MetadataBuilder metadata = new MetadataBuilder();
    metadata.string("general.architecture", "bert");
    metadata.string("general.type", "model");
    metadata.string("general.name", name);
    encoder.put(metadata);
    Optional<HubTokenizer> tokenizer =
        tokenizer(directory, name)
            .map(file -> HubTokenizer.ofEncoder(metadata, file, encoder.vocabulary()));
    EncoderSettings settings = EncoderSettings.besideOrAbove(directory);
    Json.guard(
        path,
        () -> {
          settings.put(metadata, "bert", tokenizer, notes);
          return path;
        });
    return new ConvertedModel(
        path, metadata.build(path), tokenizer, encoder.parts(), List.of(), files, notes);
  }

  private static Optional<Path> tokenizer(Path directory, String name) {
    List<Path> candidates = new ArrayList<>();
    tokenizers(name).forEach(file -> candidates.add(directory.resolve(file)));
    if (directory.getParent() != null) {
      candidates.add(directory.resolveSibling("tokenizer.json"));
    }
    return candidates.stream().filter(Files::exists).findFirst();
  }
}

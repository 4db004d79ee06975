package dev.knapsack.file;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import dev.knapsack.error.ModelFileException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.BiConsumer;
import java.util.regex.Pattern;

/**
 * A model as the hub keeps it: a directory with {@code config.json}, {@code tokenizer.json} and one
 * or more safetensors files, shown under GGUF's names.
 *
 * <p>Rows of queries and keys stay in the hub's order; the metadata say so in {@code
 * knapsack.rope.pairs}.
 */
final class SafetensorsDirectory {
  private static final String SINGLE = "model.safetensors";
  private static final String INDEX = "model.safetensors.index.json";
  private static final long MOST_INDEX_BYTES = 64 << 20;
  private static final Pattern FILE_NAME = Pattern.compile("[\\w.-]{1,200}\\.safetensors");

  private SafetensorsDirectory() {}

  /** Says whether a file is one of those in such a directory. */
  static boolean isPart(Path path) {
    String name = String.valueOf(path.getFileName());
    return (FILE_NAME.matcher(name).matches() || name.equals(INDEX)) && Files.isRegularFile(path);
  }

  /**
   * Reads the configuration, the tokenizer and the headers of all files.
   *
   * @throws ModelFileException if one is missing, damaged, or of a kind that is not supported
   */
  static ModelFile open(Path path) {
    List<OpenFile> files = new ArrayList<>();
    try {
      return Json.guard(path, () -> read(path, files));
    } catch (RuntimeException | Error e) {
      files.forEach(OpenFile::close);
      throw e;
    }
  }

  private static ModelFile read(Path path, List<OpenFile> files) {
    Path file = path.resolve("config.json");
    Optional<EncoderConfig> encoder =
        EncoderConfig.find(file, Json.object(file, HubConfig.MOST_BYTES));
    if (encoder.isPresent()) {
      return encoder(path, encoder.get(), files);
    }
    HubConfig config = HubConfig.read(path);
    MetadataBuilder metadata = new MetadataBuilder();
    config.put(metadata, String.valueOf(path.toAbsolutePath().normalize().getFileName()));
    Optional<HubTokenizer> tokenizer = HubTokenizer.put(metadata, path, config);
    List<TemplateSource> templates = HubTemplates.of(path);
    HubTemplates.put(metadata, templates);
    config.putPooling(metadata, tokenizer);
    HubTensors tensors = new HubTensors(config);
    config.factors().forEach(tensors::add);
    weights(path, files, tensors::add);
    dense(config, metadata, files, tensors);
    return new ConvertedModel(
        path, metadata.build(path), tokenizer, tensors.build(), templates, files, config.notes());
  }

  /** Reads the headers of the files with weights. */
  private static void weights(
      Path path, List<OpenFile> files, BiConsumer<OpenFile, SafetensorsHeader> tensors) {
    Map<Path, Set<String>> weights = weightFiles(path);
    for (Map.Entry<Path, Set<String>> part : weights.entrySet()) {
      Path name = part.getKey();
      OpenFile file = open(name, weights.size());
      files.add(file);
      SafetensorsHeader header = file.header(source -> SafetensorsHeader.read(name, source));
      tensors.accept(file, header);
      check(name, part.getValue(), header.tensors().keySet());
    }
  }

  /** Reads the matrices that follow pooling, each in a folder of its own. */
  private static void dense(
      HubConfig config, MetadataBuilder metadata, List<OpenFile> files, HubTensors tensors) {
    int number = 2;
    for (Path folder : config.dense()) {
      Path settings = folder.resolve("config.json");
      JsonObject json = Json.object(settings, HubConfig.MOST_BYTES);
      String activation = String.valueOf(json.get("activation_function"));
      if (json.has("activation_function") && !activation.contains("Identity")) {
        throw new ModelFileException(
            settings, "activation_function", activation + "; Identity is supported");
      }
      Path name = folder.resolve(SINGLE);
      OpenFile file = OpenFile.open(name);
      files.add(file);
      SafetensorsHeader header = file.header(source -> SafetensorsHeader.read(name, source));
      String dense = "dense_" + number++;
      List<Long> shape = tensors.addDense(dense + ".weight", file, header);
      metadata.integer(config.key(dense + "_feat_in"), shape.getFirst());
      metadata.integer(config.key(dense + "_feat_out"), shape.getLast());
    }
  }

  private static ModelFile encoder(Path path, EncoderConfig config, List<OpenFile> files) {
    MetadataBuilder metadata = new MetadataBuilder();
    List<String> notes = new ArrayList<>();
    config.put(metadata, String.valueOf(path.toAbsolutePath().normalize().getFileName()));
    Path file = path.resolve("tokenizer.json");
    Optional<HubTokenizer> tokenizer =
        Files.exists(file)
            ? Optional.of(HubTokenizer.ofEncoder(metadata, file, config.vocabulary()))
            : Optional.empty();
    EncoderSettings settings = EncoderSettings.of(path);
    if (!settings.dense().isEmpty()) {
      throw new ModelFileException(
          path, "modules.json", "matrices after pooling are supported in EmbeddingGemma alone");
    }
    if (!config.judges()) {
      settings.put(metadata, config.family().architecture(), tokenizer, notes);
    }
    EncoderTensors tensors = new EncoderTensors(config);
    weights(path, files, tensors::add);
    return new ConvertedModel(
        path, metadata.build(path), tokenizer, tensors.build(path), List.of(), files, notes);
  }

  private static OpenFile open(Path part, int parts) {
    if (!Files.exists(part)) {
      throw new ModelFileException(
          part,
          "file",
          "there is no such file, and it is one of the %,d that hold the weights".formatted(parts));
    }
    return OpenFile.open(part);
  }

  /** Checks that a file has the tensors that the index has in it. */
  private static void check(Path part, Set<String> expected, Set<String> found) {
    for (String name : expected) {
      if (!found.contains(name)) {
        throw new ModelFileException(
            part, name, "is not in this file, where " + INDEX + " has it; is it another model's?");
      }
    }
  }

  /** The files with weights, and the tensors that must be in each. */
  private static Map<Path, Set<String>> weightFiles(Path path) {
    Path single = path.resolve(SINGLE);
    if (Files.exists(single)) {
      return Map.of(single, Set.of());
    }
    Path index = path.resolve(INDEX);
    if (!Files.exists(index)) {
      throw new ModelFileException(
          path, "directory", "has neither " + SINGLE + " nor " + INDEX + "; it is no whole model");
    }
    JsonObject map = Json.object(index, MOST_INDEX_BYTES).getAsJsonObject("weight_map");
    if (map == null || map.isEmpty()) {
      throw new ModelFileException(index, "weight_map", "is missing or empty");
    }
    Map<Path, Set<String>> files = new TreeMap<>();
    for (Map.Entry<String, JsonElement> entry : map.entrySet()) {
      String name = entry.getValue().getAsString();
      if (!FILE_NAME.matcher(name).matches()) {
        throw new ModelFileException(
            index, "weight_map", "'" + name + "' is no safetensors file of this directory");
      }
      files.computeIfAbsent(path.resolve(name), _ -> new TreeSet<>()).add(entry.getKey());
    }
    return files;
  }
}

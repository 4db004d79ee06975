package dev.knapsack.file;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import dev.knapsack.error.ModelFileException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Pattern;

/**
 * A model as the hub keeps it: a directory with {@code config.json}, {@code tokenizer.json} and one
 * or more safetensors files, shown under GGUF's names.
 *
 * <p>Rows of queries and keys stay in the hub's order; the metadata say so in {@code
 * knapsack.rope.pairs}.
 */
final class SafetensorsDirectory implements ModelFile {
  private static final String SINGLE = "model.safetensors";
  private static final String INDEX = "model.safetensors.index.json";
  private static final long MOST_INDEX_BYTES = 64 << 20;
  private static final Pattern FILE_NAME = Pattern.compile("[\\w.-]{1,200}\\.safetensors");

  private final Path path;
  private final Metadata metadata;
  private final Optional<HubTokenizer> tokenizer;
  private final Map<String, HubTensors.Part> parts;
  private final Map<String, TensorInfo> tensors;
  private final List<TemplateSource> templates;
  private final List<OpenFile> files;
  private final List<String> notes;

  private SafetensorsDirectory(
      Path path,
      Metadata metadata,
      Optional<HubTokenizer> tokenizer,
      Map<String, HubTensors.Part> parts,
      List<TemplateSource> templates,
      List<OpenFile> files,
      List<String> notes) {
    this.path = path;
    this.notes = List.copyOf(notes);
    this.metadata = metadata;
    this.tokenizer = tokenizer;
    this.parts = parts;
    this.templates = templates;
    this.files = files;
    Map<String, TensorInfo> infos = new LinkedHashMap<>();
    parts.forEach((name, part) -> infos.put(name, part.info()));
    this.tensors = Collections.unmodifiableMap(infos);
  }

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
  static SafetensorsDirectory open(Path path) {
    List<OpenFile> files = new ArrayList<>();
    try {
      return Json.guard(path, () -> read(path, files));
    } catch (RuntimeException | Error e) {
      files.forEach(OpenFile::close);
      throw e;
    }
  }

  private static SafetensorsDirectory read(Path path, List<OpenFile> files) {
    HubConfig config = HubConfig.read(path);
    MetadataBuilder metadata = new MetadataBuilder();
    config.put(metadata, String.valueOf(path.toAbsolutePath().normalize().getFileName()));
    Optional<HubTokenizer> tokenizer = HubTokenizer.put(metadata, path, config);
    List<TemplateSource> templates = HubTemplates.of(path);
    HubTemplates.put(metadata, templates);
    HubTensors tensors = new HubTensors(config);
    config.factors().forEach(tensors::add);
    Map<Path, Set<String>> weights = weightFiles(path);
    for (Map.Entry<Path, Set<String>> part : weights.entrySet()) {
      Path name = part.getKey();
      OpenFile file = open(name, weights.size());
      files.add(file);
      SafetensorsHeader header = file.header(source -> SafetensorsHeader.read(name, source));
      tensors.add(file, header);
      check(name, part.getValue(), header.tensors().keySet());
    }
    return new SafetensorsDirectory(
        path, metadata.build(path), tokenizer, tensors.build(), templates, files, config.notes());
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

  @Override
  public Path path() {
    return path;
  }

  @Override
  public List<Path> files() {
    return files.stream().map(OpenFile::path).toList();
  }

  @Override
  public Metadata metadata() {
    return metadata;
  }

  @Override
  public Optional<TokenizerJson> tokenizerJson() {
    return tokenizer.map(HubTokenizer::json);
  }

  @Override
  public Metadata ggufMetadata() {
    MetadataBuilder all = new MetadataBuilder(metadata);
    tokenizer.ifPresent(one -> one.putGguf(all, metadata));
    return all.build(path);
  }

  @Override
  public List<String> ggufNotes() {
    return tokenizerJson().map(GgufTokenizer::notes).orElse(List.of());
  }

  @Override
  public List<TemplateSource> templates() {
    return templates;
  }

  @Override
  public List<String> notes() {
    return notes;
  }

  @Override
  public Map<String, TensorInfo> tensors() {
    return tensors;
  }

  @Override
  public void read(TensorInfo tensor, long from, MemorySegment into) {
    if (into.byteSize() > 0) {
      source(tensor, from, into.byteSize()).read(tensor.name(), from, into);
    }
  }

  @Override
  public long alignment(TensorInfo tensor, long from) {
    return source(tensor, from, 0).alignment(from);
  }

  @Override
  public void close() {
    files.forEach(OpenFile::close);
  }

  private TensorSource source(TensorInfo tensor, long from, long bytes) {
    HubTensors.Part part = parts.get(tensor.name());
    if (part == null || !part.info().equals(tensor)) {
      throw new IllegalArgumentException(path + " has no such tensor: " + tensor);
    }
    if (from < 0 || from > tensor.bytes() - bytes) {
      throw new IllegalArgumentException(
          "%,d bytes from byte %,d of %s, which has %,d"
              .formatted(bytes, from, tensor.name(), tensor.bytes()));
    }
    return part.source();
  }
}

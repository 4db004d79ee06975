package dev.knapsack.file;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** A model whose files are of another kind than GGUF, shown under GGUF's names. */
final class ConvertedModel implements ModelFile {
  private final Path path;
  private final Metadata metadata;
  private final Optional<HubTokenizer> tokenizer;
  private final Map<String, HubTensors.Part> parts;
  private final Map<String, TensorInfo> tensors;
  private final List<TemplateSource> templates;
  private final List<OpenFile> files;
  private final List<String> notes;

  /**
   * @param parts the tensors by name
   * @param files all that the tensors are read from; they are closed with the model
   */
  ConvertedModel(
      Path path,
      Metadata metadata,
      Optional<HubTokenizer> tokenizer,
      Map<String, HubTensors.Part> parts,
      List<TemplateSource> templates,
      List<OpenFile> files,
      List<String> notes) {
    this.path = path;
    this.metadata = metadata;
    this.tokenizer = tokenizer;
    this.parts = parts;
    this.templates = templates;
    this.files = List.copyOf(files);
    this.notes = List.copyOf(notes);
    Map<String, TensorInfo> infos = new LinkedHashMap<>();
    parts.forEach((name, part) -> infos.put(name, part.info()));
    this.tensors = Collections.unmodifiableMap(infos);
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

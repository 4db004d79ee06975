package dev.knapsack.file;

import dev.knapsack.error.ModelFileException;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.MemorySegment;
import java.net.JarURLConnection;
import java.net.URISyntaxException;
import java.net.URL;
import java.net.URLConnection;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * A model that is a resource of a program, in a jar on its class path or module path.
 *
 * <p>A jar has it compressed, and weights are read where they are needed: so it is unpacked once
 * into a temporary folder, which goes when the model is closed. That costs its bytes on disk and
 * none of memory; {@code java.io.tmpdir} says where. A resource that is a file already is opened
 * where it is.
 */
final class ResourceModel implements ModelFile {
  private static final String PREFIX = "classpath:";

  private final ModelFile model;
  private final Path folder;

  private ResourceModel(ModelFile model, Path folder) {
    this.model = model;
    this.folder = folder;
  }

  /** Says whether a location is one of a resource. */
  static boolean is(String location) {
    return location.startsWith(PREFIX);
  }

  /**
   * Unpacks and opens a model.
   *
   * @param location such as {@code classpath:all-minilm-l6-v2.onnx}
   * @param resources knows the program's resources
   */
  static ModelFile open(String location, ClassLoader resources) {
    String name = location.substring(PREFIX.length()).replaceFirst("^/+", "");
    Path shown = Path.of(name);
    URL url = name.isEmpty() ? null : resources.getResource(name);
    if (url == null) {
      throw new ModelFileException(
          shown,
          "resource",
          "there is no such resource on the class path or module path; is the jar that has it"
              + " among the program's dependencies?");
    }
    try {
      if (url.getProtocol().equals("file")) {
        return ModelFile.open(Path.of(url.toURI()));
      }
      return unpack(name, url, resources);
    } catch (IOException | URISyntaxException e) {
      throw new ModelFileException(
          shown,
          "resource",
          "cannot be unpacked into "
              + System.getProperty("java.io.tmpdir")
              + " (java.io.tmpdir): "
              + e,
          e);
    }
  }

  private static ModelFile unpack(String name, URL url, ClassLoader resources) throws IOException {
    Path folder = Files.createTempDirectory("knapsack-");
    try {
      String file = name.substring(name.lastIndexOf('/') + 1);
      Path target = copy(url, folder.resolve(file));
      String parent = name.substring(0, name.length() - file.length());
      for (String beside : OnnxModel.tokenizers(OnnxModel.name(file))) {
        Optional<URL> tokenizer = sameJar(url, resources, parent + beside);
        if (tokenizer.isPresent() && OnnxModel.is(target)) {
          copy(tokenizer.get(), folder.resolve(beside));
          break;
        }
      }
      return new ResourceModel(ModelFile.open(target), folder);
    } catch (IOException | RuntimeException | Error e) {
      delete(folder);
      throw e;
    }
  }

  private static Path copy(URL from, Path to) throws IOException {
    try (InputStream bytes = connection(from).getInputStream()) {
      Files.copy(bytes, to);
    }
    return to;
  }

  /** A connection that leaves no open jar behind in the JDK's own cache. */
  private static URLConnection connection(URL url) throws IOException {
    URLConnection connection = url.openConnection();
    connection.setUseCaches(false);
    return connection;
  }

  /** A resource that lies where another does: another jar's tokenizer is another model's. */
  private static Optional<URL> sameJar(URL of, ClassLoader resources, String name)
      throws IOException {
    String home = home(of);
    for (URL found : Collections.list(resources.getResources(name))) {
      if (home(found).equals(home)) {
        return Optional.of(found);
      }
    }
    return Optional.empty();
  }

  private static String home(URL url) throws IOException {
    return url.openConnection() instanceof JarURLConnection jar
        ? jar.getJarFileURL().toString()
        : url.toString().substring(0, url.toString().lastIndexOf('/'));
  }

  private static void delete(Path folder) {
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.toList()) {
        Files.deleteIfExists(file);
      }
      Files.deleteIfExists(folder);
    } catch (IOException e) {
      throw new ModelFileException(folder, "folder", "cannot be removed: " + e, e);
    }
  }

  @Override
  public Path path() {
    return model.path();
  }

  @Override
  public List<Path> files() {
    return model.files();
  }

  @Override
  public Metadata metadata() {
    return model.metadata();
  }

  @Override
  public Optional<TokenizerJson> tokenizerJson() {
    return model.tokenizerJson();
  }

  @Override
  public Metadata ggufMetadata() {
    return model.ggufMetadata();
  }

  @Override
  public List<String> ggufNotes() {
    return model.ggufNotes();
  }

  @Override
  public List<TemplateSource> templates() {
    return model.templates();
  }

  @Override
  public List<String> notes() {
    return model.notes();
  }

  @Override
  public Map<String, TensorInfo> tensors() {
    return model.tensors();
  }

  @Override
  public void read(TensorInfo tensor, long from, MemorySegment into) {
    model.read(tensor, from, into);
  }

  @Override
  public long alignment(TensorInfo tensor, long from) {
    return model.alignment(tensor, from);
  }

  @Override
  public void close() {
    try {
      model.close();
    } finally {
      delete(folder);
    }
  }
}

package dev.knapsack.file;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * The models on this machine: a directory of whole models, each under the address it came from.
 *
 * <p>Below the directory lie {@code hf/owner/repo/file.gguf}, {@code hf/owner/repo/safetensors/…}
 * and {@code web/host/path/file.gguf}. What is still on its way ends in {@code .part} and is no
 * model.
 */
public final class ModelStore {
  private static final String SET = "safetensors";

  private final StoreSettings settings;

  public ModelStore(StoreSettings settings) {
    this.settings = settings;
  }

  public StoreSettings settings() {
    return settings;
  }

  /**
   * All whole models, by name.
   *
   * @throws UncheckedIOException if the store cannot be read
   */
  public List<StoredModel> list() {
    if (!Files.isDirectory(settings.directory())) {
      return List.of();
    }
    try (Stream<Path> paths = Files.walk(settings.directory())) {
      List<StoredModel> models = new ArrayList<>();
      for (Path path : (Iterable<Path>) paths::iterator) {
        Optional<String> name = name(path);
        if (name.isPresent()) {
          FileTime fetched = Files.getLastModifiedTime(path);
          models.add(new StoredModel(name.get(), path, bytes(path), fetched.toInstant()));
        }
      }
      models.sort(Comparator.comparing(StoredModel::name));
      return models;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * The model of this name or address. The file may be left out, or be a part of a file's name, and
   * a name may be the end of a longer one, as long as only one model is meant.
   *
   * @throws IllegalArgumentException if several models are meant
   */
  public Optional<StoredModel> find(String name) {
    String wanted = name.replaceFirst("^https?://([^?#]*).*", "$1");
    List<StoredModel> all = list();
    for (StoredModel model : all) {
      if (model.name().equals(wanted)) {
        return Optional.of(model);
      }
    }
    List<StoredModel> matching = all.stream().filter(m -> means(wanted, m)).toList();
    if (matching.size() > 1) {
      throw new IllegalArgumentException(
          "'%s' could be %s"
              .formatted(
                  name, String.join(" or ", matching.stream().map(StoredModel::name).toList())));
    }
    return matching.stream().findFirst();
  }

  /**
   * Deletes a model.
   *
   * @return the model that was there
   * @throws IllegalArgumentException if there is none of this name
   */
  public StoredModel remove(String name) throws IOException {
    StoredModel model =
        find(name)
            .orElseThrow(() ->
                new IllegalArgumentException(
                    "There is no model '" + name + "' in " + settings.directory()));
    if (Files.isDirectory(model.path())) {
      List<Path> files;
      try (Stream<Path> found = Files.walk(model.path())) {
        files = found.sorted(Comparator.reverseOrder()).toList();
      }
      for (Path file : files) {
        Files.delete(file);
      }
    } else {
      Files.delete(model.path());
    }
    return model;
  }

  /**
   * Fetches a model, unless it is here.
   *
   * @param address {@code hf:owner/repo}, {@code hf:owner/repo:file} or {@code https://host/file}
   * @param sha256 what the file must have, if the user knows it
   * @return the GGUF file, or the directory of a safetensors model
   * @throws IllegalArgumentException if the address is none
   * @throws DownloadException if it cannot be fetched; what has come is kept, and resumed next time
   */
  public Path pull(String address, Optional<String> sha256, DownloadProgress progress)
      throws InterruptedException {
    ModelAddress parsed = ModelAddress.parse(address);
    Optional<StoredModel> here = find(address);
    if (here.isPresent()) {
      return here.get().path();
    }
    try (HttpAccess http = new HttpAccess(settings)) {
      return switch (parsed) {
        case ModelAddress.Web web -> pull(http, web.uri(), path(web), sha256, progress);
        case ModelAddress.Hub hub -> pull(http, hub, sha256, progress);
      };
    }
  }

  private Path pull(
      HttpAccess http, ModelAddress.Hub hub, Optional<String> sha256, DownloadProgress progress)
      throws InterruptedException {
    HubListing listing = HubListing.fetch(http, settings, hub);
    List<HubListing.Entry> files = listing.choose();
    Path repository =
        settings.directory().resolve("hf").resolve(hub.owner()).resolve(hub.repository());
    boolean set = !files.getFirst().name().endsWith(".gguf");
    Path directory = set ? repository.resolve(SET + ".part") : repository;
    Path last = repository;
    for (HubListing.Entry file : files) {
      Path target = directory.resolve(ModelAddress.relative(hub.toString(), file.name()));
      Optional<String> expected = sha256.isPresent() && !set ? sha256 : file.sha256();
      last = pull(http, listing.location(settings, file), target, expected, progress);
    }
    return set ? place(directory, repository.resolve(SET)) : last;
  }

  private Path pull(
      HttpAccess http, URI uri, Path target, Optional<String> sha256, DownloadProgress progress)
      throws InterruptedException {
    if (!Files.exists(target)) {
      new Download(http, settings, uri, target, sha256, progress).run();
    }
    return target;
  }

  private static Path place(Path part, Path whole) {
    try {
      return Files.move(part, whole, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      throw new DownloadException(whole.toString(), "cannot be put in its place: " + e, e);
    }
  }

  private Path path(ModelAddress.Web web) {
    URI uri = web.uri();
    String host = uri.getPort() < 0 ? uri.getHost() : uri.getHost() + "_" + uri.getPort();
    return settings
        .directory()
        .resolve("web")
        .resolve(ModelAddress.relative(uri.toString(), host + uri.getPath()));
  }

  /** The name of the model at a path, if it is one. */
  private Optional<String> name(Path path) {
    Path relative = settings.directory().relativize(path);
    int parts = relative.getNameCount();
    String root = relative.getName(0).toString();
    String last = relative.getName(parts - 1).toString();
    if (root.equals("web") && parts > 2 && !last.endsWith(".part") && Files.isRegularFile(path)) {
      return Optional.of(text(relative.subpath(1, parts)).replaceFirst("_(\\d+)/", ":$1/"));
    }
    if (!root.equals("hf") || parts < 4) {
      return Optional.empty();
    }
    String repository = "hf:" + text(relative.subpath(1, 3));
    if (parts == 4 && last.equals(SET) && Files.isDirectory(path)) {
      return Optional.of(repository);
    }
    return last.endsWith(".gguf") && Files.isRegularFile(path)
        ? Optional.of(repository + ":" + text(relative.subpath(3, parts)))
        : Optional.empty();
  }

  private static String text(Path relative) {
    List<String> names = new ArrayList<>();
    relative.forEach(name -> names.add(name.toString()));
    return String.join("/", names);
  }

  private static boolean means(String wanted, StoredModel model) {
    String name = model.name();
    if (wanted.startsWith("hf:")) {
      int colon = wanted.indexOf(':', 3);
      String repository = colon < 0 ? wanted : wanted.substring(0, colon);
      String file = colon < 0 ? "" : wanted.substring(colon + 1);
      boolean whole = file.endsWith(".gguf"); // and not a part of a name
      return !whole
          && name.startsWith(repository + ":")
          && name.substring(repository.length() + 1)
              .toUpperCase(Locale.ROOT)
              .contains(file.toUpperCase(Locale.ROOT));
    }
    return name.endsWith("/" + wanted) || name.endsWith(":" + wanted);
  }

  private static long bytes(Path path) throws IOException {
    try (Stream<Path> files = Files.walk(path)) {
      long bytes = 0;
      for (Path file : (Iterable<Path>) files.filter(Files::isRegularFile)::iterator) {
        bytes += Files.size(file);
      }
      return bytes;
    }
  }
}

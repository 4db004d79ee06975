package dev.knapsack.file;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/**
 * The models on this machine: a directory of whole models, each under the address it came from.
 *
 * <p>Below the directory lie {@code hf/owner/repo/file.gguf}, {@code hf/owner/repo/safetensors/…}
 * and {@code web/host/path/file.gguf}. What is still on its way ends in {@code .part} and is no
 * model, and neither are some parts of a model without the others.
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
   * All whole models, by name; what cannot be read is left out.
   *
   * @throws UncheckedIOException if the store cannot be read
   */
  public List<StoredModel> list() {
    if (!Files.isDirectory(settings.directory())) {
      return List.of();
    }
    List<StoredModel> models = new ArrayList<>();
    for (Path path : Folder.all(settings.directory())) {
      Optional<String> name = name(path);
      if (name.isPresent()) {
        stored(name.get(), path).ifPresent(models::add);
      }
    }
    models.sort(Comparator.comparing(StoredModel::name));
    return models;
  }

  /** Empty if it is not whole, or has just been removed. */
  private static Optional<StoredModel> stored(String name, Path path) {
    try {
      Instant fetched = Instant.MIN;
      long bytes = 0;
      for (Path file : files(path)) {
        Instant modified = Files.getLastModifiedTime(file).toInstant();
        fetched = modified.isAfter(fetched) ? modified : fetched;
        bytes += Files.isDirectory(file) ? 0 : Files.size(file);
      }
      return Optional.of(new StoredModel(name, path, bytes, fetched));
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  /** All that a model is made of, a folder after what is in it. */
  private static List<Path> files(Path path) {
    return Files.isDirectory(path)
        ? Folder.all(path).reversed()
        : GgufName.of(path).all().stream().map(n -> path.resolveSibling(n.text())).toList();
  }

  /**
   * The model of this name or address. The file may be left out, or said by how it stores numbers,
   * and a name may be the end of a longer one, as long as only one model is meant.
   *
   * @throws IllegalArgumentException if several models are meant
   */
  public Optional<StoredModel> find(String name) {
    List<StoredModel> matching = StoredNames.meant(name, list());
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
   * @throws NoSuchModelException if there is none of this name
   * @throws IllegalArgumentException if several models are meant
   */
  public StoredModel remove(String name) throws IOException {
    StoredModel model =
        find(name).orElseThrow(() -> new NoSuchModelException(name, settings.directory()));
    for (Path file : files(model.path())) {
      Files.deleteIfExists(file);
    }
    return model;
  }

  /**
   * Fetches a model, unless it is here.
   *
   * @param address {@code hf:owner/repo}, {@code hf:owner/repo:file} or {@code https://host/file}
   * @param sha256 what the file must have, if the user knows it
   * @return the GGUF file, or the first of its parts, or the directory of a safetensors model
   * @throws IllegalArgumentException if the address is none, or a model of several files is to have
   *     one checksum
   * @throws DownloadException if it cannot be fetched, or is here and has another checksum; what
   *     has come is kept, and resumed next time
   */
  public Path pull(String address, Optional<String> sha256, DownloadProgress progress)
      throws InterruptedException {
    ModelAddress parsed = ModelAddress.parse(address);
    sha256.ifPresent(Sha256::check);
    Optional<StoredModel> here = find(address);
    if (here.isPresent()) {
      checkHere(
          address, files(here.get().path()).stream().filter(Files::isRegularFile).toList(), sha256);
      return here.get().path();
    }
    try (HttpAccess http = new HttpAccess(settings)) {
      return switch (parsed) {
        case ModelAddress.Web web -> pull(http, web, sha256, progress);
        case ModelAddress.Hub hub -> pull(http, hub, sha256, progress);
      };
    }
  }

  private Path pull(
      HttpAccess http, ModelAddress.Web web, Optional<String> sha256, DownloadProgress progress)
      throws InterruptedException {
    if (web.isOneOfSet()) {
      throw new DownloadException(
          web.toString(),
          "only a GGUF file is a model by itself; hf:OWNER/REPO fetches all of a safetensors"
              + " model");
    }
    List<ModelAddress.Web> parts = web.parts();
    checkOneFile(web.toString(), parts.size(), sha256);
    for (ModelAddress.Web part : parts) {
      new Download(http, settings, part.uri(), path(part), sha256, progress).run();
    }
    return path(parts.getFirst());
  }

  private Path path(ModelAddress.Web web) {
    return settings.directory().resolve("web").resolve(web.path());
  }

  private Path pull(
      HttpAccess http, ModelAddress.Hub hub, Optional<String> sha256, DownloadProgress progress)
      throws InterruptedException {
    HubListing listing = HubListing.fetch(http, settings, hub);
    List<HubListing.Entry> files = listing.choose();
    checkOneFile(hub.toString(), files.size(), sha256);
    Path repository =
        settings.directory().resolve("hf").resolve(hub.owner()).resolve(hub.repository());
    if (GgufName.is(files.getFirst().name())) {
      return pull(http, listing, files, repository, sha256, progress);
    }
    Path whole = repository.resolve(SET);
    try (PartFile _ = PartFile.open(repository.resolve(SET + ".folder"))) {
      if (!Files.exists(whole)) {
        Path folder = repository.resolve(SET + ".part");
        pull(http, listing, files, folder, sha256, progress);
        Files.move(folder, whole, StandardCopyOption.ATOMIC_MOVE);
      }
      return whole;
    } catch (IOException e) {
      throw new DownloadException(whole.toString(), "cannot be put in its place: " + e, e);
    }
  }

  /** Fetches files into a directory; returns the place of the first. */
  private Path pull(
      HttpAccess http,
      HubListing listing,
      List<HubListing.Entry> files,
      Path directory,
      Optional<String> sha256,
      DownloadProgress progress)
      throws InterruptedException {
    List<Path> targets = new ArrayList<>();
    for (HubListing.Entry file : files) {
      targets.add(
          directory.resolve(ModelAddress.relative(listing.address().toString(), file.name())));
    }
    for (int i = 0; i < files.size(); i++) {
      HubListing.Entry file = files.get(i);
      Path target = targets.get(i);
      if (Files.exists(target)) {
        checkHere(file.name(), List.of(target), sha256);
      } else {
        Optional<String> expected = sha256.isPresent() ? sha256 : file.sha256();
        URI uri = listing.location(settings, file);
        new Download(http, settings, uri, target, expected, progress).run();
      }
    }
    return targets.getFirst();
  }

  private static void checkOneFile(String address, int files, Optional<String> sha256) {
    if (sha256.isPresent() && files > 1) {
      throw new IllegalArgumentException(
          "%s is a model of %,d files, which have no SHA-256 together; leave it out."
              .formatted(address, files));
    }
  }

  private static void checkHere(String address, List<Path> files, Optional<String> sha256) {
    if (sha256.isEmpty()) {
      return;
    }
    checkOneFile(address, files.size(), sha256);
    try {
      String found = Sha256.of(files.getFirst());
      if (!found.equalsIgnoreCase(sha256.get())) {
        throw new DownloadException(
            address,
            "is here as %s, whose SHA-256 is %s and not %s. Remove it to fetch it anew"
                .formatted(files.getFirst(), found, sha256.get()));
      }
    } catch (IOException e) {
      throw new DownloadException(
          address, "is here as " + files.getFirst() + ", which cannot be read: " + e, e);
    }
  }

  /** The name of the model at a path, if it is one, or the first part of one. */
  private Optional<String> name(Path path) {
    Path relative = settings.directory().relativize(path);
    int parts = relative.getNameCount();
    String root = relative.getName(0).toString();
    String last = relative.getName(parts - 1).toString();
    boolean set = root.equals("hf") && parts == 4 && last.equals(SET);
    if (set ? !Files.isDirectory(path) : !Files.isRegularFile(path) || !isFirst(last)) {
      return Optional.empty();
    }
    if (root.equals("web") && parts > 2 && !last.endsWith(".part")) {
      return Optional.of(ModelAddress.Web.name(relative.subpath(1, parts)));
    }
    if (!root.equals("hf") || parts < 4 || !(set || GgufName.is(last))) {
      return Optional.empty();
    }
    String repository = "hf:" + text(relative.subpath(1, 3));
    return Optional.of(set ? repository : repository + ":" + text(relative.subpath(3, parts)));
  }

  private static boolean isFirst(String file) {
    return new GgufName(file).part() == 1;
  }

  private static String text(Path relative) {
    List<String> names = new ArrayList<>();
    relative.forEach(name -> names.add(name.toString()));
    return String.join("/", names);
  }
}

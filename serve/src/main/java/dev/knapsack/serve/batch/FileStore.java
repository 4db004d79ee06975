package dev.knapsack.serve.batch;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.knapsack.serve.FileFolder;
import dev.knapsack.serve.Ids;
import dev.knapsack.serve.http.Json;
import dev.knapsack.serve.http.Refusal;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Stream;

/**
 * Files in a folder, each with a description as the API has it, and for the key that it is of. What
 * is there when the server begins is there again.
 */
final class FileStore {
  private static final String KEY = "knapsack_key";

  private final FileFolder folder;

  FileStore(FileFolder folder) {
    this.folder = folder;
    try {
      Files.createDirectories(folder.folder());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  Path folder() {
    return folder.folder();
  }

  /** A number for a file that is yet to be. */
  static String newId() {
    return Ids.next("file-");
  }

  /** The place of a file's bytes. */
  Path data(String id) {
    return folder.folder().resolve(id + ".data");
  }

  /** Descriptions of a kind, by what their numbers begin with; the newest first. */
  List<JsonObject> described(String tenant, String prefix) {
    return described(prefix, description -> tenant(description).equals(tenant));
  }

  private List<JsonObject> described(String prefix, Predicate<JsonObject> wanted) {
    try (Stream<Path> paths = Files.list(folder.folder())) {
      return paths
          .filter(path -> name(path).startsWith(prefix) && name(path).endsWith(".json"))
          .map(FileStore::read)
          .filter(wanted)
          .sorted(
              Comparator.comparingLong((JsonObject d) -> d.get("created_at").getAsLong())
                  .thenComparing(d -> d.get("id").getAsString())
                  .reversed())
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Batches of all keys whose status is none of these, the oldest first. */
  List<JsonObject> unended(Set<String> ends) {
    return described("batch_", description -> true).stream()
        .filter(batch -> !ends.contains(batch.get("status").getAsString()))
        .toList()
        .reversed();
  }

  private static String name(Path path) {
    return path.getFileName().toString();
  }

  private static JsonObject read(Path path) {
    try {
      return JsonParser.parseString(Files.readString(path)).getAsJsonObject();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The description of this number; empty if there is none, or it is another key's. */
  Optional<JsonObject> find(String tenant, String id) {
    Path path = folder.folder().resolve(id + ".json");
    // What comes from a path is no path of ours.
    if (!id.matches("[a-z]+[-_][0-9a-z]+") || !Files.exists(path)) {
      return Optional.empty();
    }
    JsonObject description = read(path);
    return tenant(description).equals(tenant) ? Optional.of(description) : Optional.empty();
  }

  /** Writes the description of something that has a number. */
  void describe(String tenant, JsonObject description) {
    description.addProperty(KEY, tenant);
    String id = description.get("id").getAsString();
    Path path = folder.folder().resolve(id + ".json");
    Path fresh = folder.folder().resolve(id + ".fresh");
    try {
      Files.writeString(fresh, description.toString());
      Files.move(fresh, path, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Describes a file whose bytes are in their place. */
  JsonObject describeFile(String tenant, String id, String name, String purpose) {
    try {
      JsonObject description =
          Json.object(
              "id",
              id,
              "object",
              "file",
              "bytes",
              Files.size(data(id)),
              "created_at",
              Instant.now().getEpochSecond(),
              "filename",
              name,
              "purpose",
              purpose,
              "status",
              "processed");
      describe(tenant, description);
      return description;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The description as clients see it. */
  static JsonObject shown(JsonObject description) {
    JsonObject shown = description.deepCopy();
    shown.remove(KEY);
    return shown;
  }

  /** The key that something is of. */
  static String tenant(JsonObject description) {
    return description.get(KEY).getAsString();
  }

  void delete(String id) {
    try {
      Files.deleteIfExists(folder.folder().resolve(id + ".json"));
      Files.deleteIfExists(data(id));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Makes sure of room for bytes.
   *
   * @throws Refusal if the folder may not have so many more
   */
  void checkRoom(long bytes) {
    long used = 0;
    try (Stream<Path> paths = Files.list(folder.folder())) {
      for (Path path : paths.filter(p -> name(p).endsWith(".data")).toList()) {
        used += Files.size(path);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    if (used + bytes > folder.bytes()) {
      throw Refusal.of(
          Refusal.Kind.TOO_LARGE,
          "files_full",
          "The file has %,d bytes, and files here may have %,d together, of which %,d are used; delete some."
              .formatted(bytes, folder.bytes(), used));
    }
  }
}

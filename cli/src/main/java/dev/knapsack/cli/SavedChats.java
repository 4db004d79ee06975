package dev.knapsack.cli;

import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import dev.knapsack.cache.store.CacheStore;
import dev.knapsack.memory.Budget;
import dev.knapsack.text.Message;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;

/**
 * Chats that the user has given names: what was said, among the user's data, and what the model had
 * cached of it, among what can be made again.
 */
final class SavedChats {
  /** Says how many bytes the caches may have; what was said is small and always kept. */
  static final String LIMIT = "KNAPSACK_SESSIONS_MAX";

  private static final String SUFFIX = ".json";

  /**
   * A chat.
   *
   * @param messages how many there are
   * @param cached bytes of its cache; 0 if it has none any more
   * @param used when something was last said
   */
  record Entry(String name, int messages, long cached, Instant used) {}

  private final Path directory;
  private final CacheStore caches;

  SavedChats(Host host) {
    this.directory = host.data().resolve("sessions");
    String limit = host.variables().getOrDefault(LIMIT, "");
    long most = limit.isBlank() ? CacheStore.USUAL_BYTES : Budget.parseSize(limit);
    this.caches = new CacheStore(host.cache().resolve("sessions"), most);
  }

  /** What the model had cached. */
  CacheStore caches() {
    return caches;
  }

  Path directory() {
    return directory;
  }

  private Path file(String name) {
    return directory.resolve(CacheStore.checkName(name) + SUFFIX);
  }

  /** All chats, the last used first. */
  List<Entry> list() throws IOException {
    if (!Files.isDirectory(directory)) {
      return List.of();
    }
    List<Entry> entries = new ArrayList<>();
    try (Stream<Path> files = Files.list(directory)) {
      for (Path file : (Iterable<Path>) files::iterator) {
        String fileName = Objects.requireNonNull(file.getFileName()).toString();
        if (fileName.endsWith(SUFFIX)) {
          String name = fileName.substring(0, fileName.length() - SUFFIX.length());
          long cached = caches.find(name).map(CacheStore.Entry::bytes).orElse(0L);
          entries.add(
              new Entry(
                  name, read(name).size(), cached, Files.getLastModifiedTime(file).toInstant()));
        }
      }
    }
    entries.sort((a, b) -> b.used().compareTo(a.used()));
    return entries;
  }

  /**
   * What was said; nothing in a chat that is new.
   *
   * @throws UnusableFileException if the file is damaged
   */
  List<Message> read(String name) throws IOException {
    Path file = file(name);
    if (!Files.exists(file)) {
      return List.of();
    }
    try {
      List<Message> messages = new ArrayList<>();
      for (JsonElement element : JsonParser.parseString(Files.readString(file)).getAsJsonArray()) {
        JsonObject message = element.getAsJsonObject();
        messages.add(
            new Message(
                message.get("role").getAsString(), message.get("content").getAsString(), Map.of()));
      }
      return messages;
    } catch (JsonParseException
        | IllegalStateException
        | UnsupportedOperationException
        | NullPointerException
        | CharacterCodingException e) {
      throw new UnusableFileException(
          "%s: is no conversation that Knapsack has saved. 'knapsack sessions --remove %s' removes it; another --session NAME begins a new one."
              .formatted(file, name),
          e);
    }
  }

  /** Keeps what was said, in place of what was kept before. */
  void write(String name, List<Message> messages) throws IOException {
    JsonArray array = new JsonArray();
    for (Message message : messages) {
      JsonObject object = new JsonObject();
      object.addProperty("role", message.role());
      object.addProperty("content", String.valueOf(message.content()));
      array.add(object);
    }
    Files.createDirectories(directory);
    Path unfinished = Files.createTempFile(directory, name, ".tmp");
    try {
      Files.writeString(unfinished, new Gson().toJson(array));
      Files.move(
          unfinished,
          file(name),
          StandardCopyOption.ATOMIC_MOVE,
          StandardCopyOption.REPLACE_EXISTING);
    } finally {
      Files.deleteIfExists(unfinished);
    }
  }

  /**
   * Deletes a chat.
   *
   * @return whether there was one
   */
  boolean remove(String name) throws IOException {
    boolean cached = caches.remove(name);
    return Files.deleteIfExists(file(name)) || cached;
  }
}

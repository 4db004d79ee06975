package dev.knapsack.cli;

import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import dev.knapsack.cache.store.CacheStore;
import dev.knapsack.memory.Budget;
import dev.knapsack.message.Message;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
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

  /** More than any context holds, and little enough for the heap. */
  private static final long MOST_BYTES = 16 << 20;

  /**
   * A chat.
   *
   * @param messages how many there are
   * @param cached bytes of its cache; 0 if it has none any more
   * @param used when something was last said
   */
  record Entry(String name, int messages, long cached, Instant used) {}

  /**
   * A file among the chats, or among what is cached of them, that is damaged or no such thing.
   *
   * @param problem what is wrong with it
   */
  record Other(Path file, long bytes, String problem) {}

  /**
   * The chats that there are, and other files beside them.
   *
   * @param chats the last used first
   */
  record Listing(List<Entry> chats, List<Other> others) {}

  private final Path directory;
  private final CacheStore caches;

  SavedChats(Environment environment) {
    this.directory = environment.data().resolve("sessions");
    String limit = environment.variables().getOrDefault(LIMIT, "");
    long most = limit.isBlank() ? CacheStore.USUAL_BYTES : Budget.parseSize(limit);
    this.caches = new CacheStore(environment.cache().resolve("sessions"), most);
  }

  /** The store of what the model had cached. */
  CacheStore caches() {
    return caches;
  }

  Path directory() {
    return directory;
  }

  private Path file(String name) {
    return directory.resolve(CacheStore.checkName(name) + SUFFIX);
  }

  /** All chats, and what else lies beside them. */
  Listing list() throws IOException {
    Map<String, Long> cached = new HashMap<>();
    List<Other> others = new ArrayList<>();
    for (CacheStore.Entry cache : caches.list()) {
      cached.put(cache.name(), cache.bytes());
      caches
          .problem(cache)
          .ifPresent(problem -> others.add(new Other(cache.file(), cache.bytes(), problem)));
    }
    List<Entry> chats = new ArrayList<>();
    for (Path file : files()) {
      String fileName = Objects.requireNonNull(file.getFileName()).toString();
      try {
        String name = name(fileName);
        int messages = parse(file).size();
        Instant used = Files.getLastModifiedTime(file).toInstant();
        chats.add(new Entry(name, messages, cached.getOrDefault(name, 0L), used));
      } catch (UnusableFileException e) {
        others.add(new Other(file, bytes(file), String.valueOf(e.getMessage())));
      } catch (NoSuchFileException e) {
        others.add(new Other(file, 0, "leads to no file"));
      } catch (IOException e) {
        others.add(new Other(file, bytes(file), "cannot be read: " + e));
      }
    }
    chats.sort((a, b) -> b.used().compareTo(a.used()));
    others.sort(Comparator.comparing(Other::file));
    return new Listing(chats, others);
  }

  private List<Path> files() throws IOException {
    if (!Files.isDirectory(directory)) {
      return List.of();
    }
    try (Stream<Path> files = Files.list(directory)) {
      return files.toList();
    }
  }

  private static long bytes(Path file) {
    try {
      return Files.isRegularFile(file) ? Files.size(file) : 0;
    } catch (IOException e) {
      return 0;
    }
  }

  /** The chat whose file has this name. */
  private static String name(String fileName) {
    if (fileName.endsWith(".tmp")) {
      throw new UnusableFileException("was left unfinished");
    }
    if (!fileName.endsWith(SUFFIX)) {
      throw new UnusableFileException("is no session: those end in " + SUFFIX);
    }
    try {
      return CacheStore.checkName(fileName.substring(0, fileName.length() - SUFFIX.length()));
    } catch (IllegalArgumentException e) {
      throw new UnusableFileException("is no session: " + e.getMessage(), e);
    }
  }

  /**
   * The messages of a chat; none in a chat that is new.
   *
   * @throws UnusableFileException if the file is damaged
   */
  List<Message> read(String name) throws IOException {
    Path file = file(name);
    if (!Files.exists(file)) {
      return List.of();
    }
    try {
      return parse(file);
    } catch (UnusableFileException e) {
      throw new UnusableFileException(
          "%s: %s. 'knapsack sessions --remove %s' removes it; another --session NAME begins a new one."
              .formatted(file, e.getMessage(), name),
          e);
    }
  }

  private static List<Message> parse(Path file) throws IOException {
    if (Files.isDirectory(file)) {
      throw new UnusableFileException("is a folder, and no conversation");
    }
    if (Files.size(file) > MOST_BYTES) {
      throw new UnusableFileException(
          "has %,d bytes, and a conversation at most %,d".formatted(Files.size(file), MOST_BYTES));
    }
    try {
      List<Message> messages = new ArrayList<>();
      for (JsonElement element : JsonParser.parseString(Files.readString(file)).getAsJsonArray()) {
        messages.add(MessageJson.read(element));
      }
      return messages;
    } catch (JsonParseException
        | IllegalStateException
        | IllegalArgumentException
        | UnsupportedOperationException
        | NullPointerException
        | CharacterCodingException e) {
      throw new UnusableFileException("is no conversation that Knapsack has saved", e);
    }
  }

  /** Keeps what was said, in place of what was kept before. */
  void write(String name, List<Message> messages) throws IOException {
    JsonArray array = new JsonArray();
    for (Message message : messages) {
      array.add(MessageJson.write(message));
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

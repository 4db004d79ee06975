package dev.knapsack.file;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.gson.stream.JsonReader;
import dev.knapsack.error.ModelFileException;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/** JSON files that others wrote: of bounded size, and whatever is wrong in them has one type. */
public final class Json {
  /** Reads a document or a part of one. */
  @FunctionalInterface
  public interface Reading<T> {
    T run() throws IOException;
  }

  private Json() {}

  /** A whole file of at most {@code most} bytes, which must hold an object. */
  public static JsonObject object(Path file, long most) {
    return guard(
        file,
        () -> {
          checkSize(file, most);
          JsonElement root = JsonParser.parseReader(new StringReader(Files.readString(file)));
          if (root instanceof JsonObject object) {
            return object;
          }
          throw new ModelFileException(file, "content", "is not a JSON object");
        });
  }

  /** Reads a file of at most {@code most} bytes piece by piece. */
  static void stream(Path file, long most, StreamReading reading) {
    guard(
        file,
        () -> {
          checkSize(file, most);
          try (BufferedReader text = Files.newBufferedReader(file, StandardCharsets.UTF_8);
              JsonReader reader = new JsonReader(text)) {
            reading.run(reader);
          }
          return file;
        });
  }

  /** A reading of a stream. */
  @FunctionalInterface
  interface StreamReading {
    void run(JsonReader reader) throws IOException;
  }

  /** Turns what a parser throws into an error about the file. */
  public static <T> T guard(Path file, Reading<T> reading) {
    try {
      return reading.run();
    } catch (NoSuchFileException e) {
      throw new ModelFileException(file, "file", "there is no such file", e);
    } catch (IOException
        | JsonParseException
        | IllegalStateException
        | UnsupportedOperationException
        | NumberFormatException
        | ClassCastException e) {
      throw new ModelFileException(file, "content", "cannot be read as JSON: " + e.getMessage(), e);
    }
  }

  /** A member that must be there. */
  public static JsonElement member(JsonObject object, String name) {
    JsonElement member = object.get(name);
    if (member == null) {
      throw new IllegalStateException("an object without '" + name + "'");
    }
    return member;
  }

  private static void checkSize(Path file, long most) throws IOException {
    long size = Files.size(file);
    if (size > most) {
      throw new ModelFileException(
          file, "size", "%,d bytes; at most %,d are supported".formatted(size, most));
    }
  }
}

package dev.knapsack.serve.batch;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A file of requests, a JSON object a line, as OpenAI's batches have them: {@code custom_id},
 * {@code method}, {@code url} and {@code body}. Of each line only its place and its id are held in
 * memory.
 */
final class RequestFile implements AutoCloseable {
  private record Line(String id, long offset, int length) {}

  private final FileChannel channel;
  private final List<Line> lines;
  private final Set<String> ids;

  private RequestFile(FileChannel channel, List<Line> lines, Set<String> ids) {
    this.channel = channel;
    this.lines = lines;
    this.ids = ids;
  }

  /**
   * Opens a file.
   *
   * @throws BatchFileException if a line is no JSON object with an id that no other has, or there
   *     is no line
   */
  static RequestFile open(Path path) throws IOException {
    List<Line> lines = new ArrayList<>();
    Set<String> ids = new HashSet<>();
    try (Lines in = new Lines(path)) {
      for (byte[] line = in.next(); line != null; line = in.next()) {
        String text = new String(line, StandardCharsets.UTF_8);
        if (!text.isBlank()) {
          String id = id(path, in.number(), text);
          if (!ids.add(id)) {
            throw new BatchFileException(
                in.number(),
                "%s: line %,d has the custom_id '%s' of an earlier line; each needs its own"
                    .formatted(path, in.number(), id));
          }
          lines.add(new Line(id, in.offset(), line.length));
        }
      }
    }
    if (lines.isEmpty()) {
      throw new BatchFileException(0, path + ": has no requests; give one JSON object a line");
    }
    return new RequestFile(FileChannel.open(path), lines, ids);
  }

  /** The id of a line, which is a request or a result. */
  static String id(Path path, int number, String text) throws BatchFileException {
    JsonElement line;
    try {
      line = JsonParser.parseString(text);
    } catch (JsonParseException e) {
      throw new BatchFileException(
          number, "%s: line %,d is not JSON; give one JSON object a line".formatted(path, number));
    }
    if (line instanceof JsonObject object
        && object.get("custom_id") instanceof JsonPrimitive id
        && id.isString()) {
      return id.getAsString();
    }
    throw new BatchFileException(
        number,
        "%s: line %,d has no custom_id; each line needs one, a string that no other has"
            .formatted(path, number));
  }

  /** Reads lines and where they are; the last may lack its end. */
  static final class Lines implements AutoCloseable {
    private final InputStream in;
    private long offset;
    private long next;
    private int number;
    private boolean whole;

    Lines(Path path) throws IOException {
      in = new BufferedInputStream(Files.newInputStream(path), 1 << 16);
    }

    /** The next line without its end; null after the last. */
    byte @Nullable [] next() throws IOException {
      ByteArrayOutputStream line = new ByteArrayOutputStream();
      offset = next;
      whole = false;
      for (int b = in.read(); b >= 0; b = in.read()) {
        next++;
        if (b == '\n') {
          whole = true;
          break;
        }
        line.write(b);
      }
      if (next == offset) {
        return null;
      }
      number++;
      return line.toByteArray();
    }

    /** The number of the line that was read last, from 1. */
    int number() {
      return number;
    }

    long offset() {
      return offset;
    }

    /** Says whether the line that was read last has its end. */
    boolean isWhole() {
      return whole;
    }

    @Override
    public void close() throws IOException {
      in.close();
    }
  }

  int size() {
    return lines.size();
  }

  String id(int line) {
    return lines.get(line).id;
  }

  boolean has(String id) {
    return ids.contains(id);
  }

  /** The request of a line; by any thread. */
  JsonObject request(int line) {
    Line at = lines.get(line);
    ByteBuffer bytes = ByteBuffer.allocate(at.length);
    try {
      while (bytes.hasRemaining()) {
        if (channel.read(bytes, at.offset + bytes.position()) < 0) {
          throw new IOException("the file of requests was cut while it was answered");
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return JsonParser.parseString(new String(bytes.array(), StandardCharsets.UTF_8))
        .getAsJsonObject();
  }

  /** Bytes that are held of a line while the file is open. */
  static long held(String id) {
    return 96 + 2L * id.length();
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}

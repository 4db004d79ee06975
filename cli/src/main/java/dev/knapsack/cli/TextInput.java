package dev.knapsack.cli;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Texts that a command reads, one after the other: lines, or a field of JSON lines. */
final class TextInput {
  private final Environment environment;

  @Option(
      names = "--text",
      paramLabel = "TEXT",
      description = "A text; may be given several times, in place of --input.")
  private List<String> texts = new ArrayList<>();

  @Option(
      names = {"-i", "--input"},
      paramLabel = "FILE",
      description =
          "A file of texts: one a line or, where its name ends in .jsonl, one in each object"
              + " (default: lines of standard input).")
  private @Nullable Path file;

  @Option(
      names = "--field",
      paramLabel = "NAME",
      description = "The field that texts are in, of input in JSON lines (default: text).")
  private @Nullable String field;

  TextInput(Environment environment) {
    this.environment = environment;
  }

  /** Has {@code use} read the texts; they are read as it asks for them. */
  void read(Use use) throws IOException {
    if (!texts.isEmpty()) {
      use.accept(texts.iterator());
      return;
    }
    try (BufferedReader reader = reader();
        Stream<String> lines = reader.lines()) {
      boolean json = field != null || (file != null && file.toString().endsWith(".jsonl"));
      use.accept(json ? new Fields(lines.iterator()) : lines.iterator());
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  /** A use of texts. */
  interface Use {
    void accept(Iterator<String> texts) throws IOException;
  }

  private BufferedReader reader() throws IOException {
    return file == null
        ? new BufferedReader(
            new InputStreamReader(environment.streams().in(), StandardCharsets.UTF_8))
        : Files.newBufferedReader(file);
  }

  /** The texts of JSON lines; blank lines are left out. */
  private final class Fields implements Iterator<String> {
    private final Iterator<String> lines;
    private int number;
    private @Nullable String next;

    Fields(Iterator<String> lines) {
      this.lines = lines;
    }

    @Override
    public boolean hasNext() {
      while (next == null && lines.hasNext()) {
        String line = lines.next();
        number++;
        if (!line.isBlank()) {
          next = text(line);
        }
      }
      return next != null;
    }

    @Override
    public String next() {
      if (!hasNext()) {
        throw new NoSuchElementException();
      }
      String text = String.valueOf(next);
      next = null;
      return text;
    }

    private String text(String line) {
      String name = field == null ? "text" : field;
      try {
        JsonElement row = JsonParser.parseString(line);
        JsonElement text = row instanceof JsonObject object ? object.get(name) : row;
        if (text != null && text.isJsonPrimitive() && text.getAsJsonPrimitive().isString()) {
          return text.getAsString();
        }
      } catch (JsonParseException _) {
        // said below
      }
      throw new UnusableFileException(
          "Line %,d of %s is no JSON object with a text in the field '%s'; --field names another."
              .formatted(number, file == null ? "standard input" : file, name));
    }
  }
}

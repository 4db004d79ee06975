package dev.knapsack.eval;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.MalformedInputException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Reads questions: a JSON object a line, with the prompt in {@code context}, the exact {@code
 * answer}, and, where there are, an {@code id}, a {@code kind}, and what else a {@link Question}
 * has: {@code split}, {@code context_id}, {@code depth}.
 */
public final class Questions {
  /** A line is a prompt: none is longer than the longest context in the field. */
  private static final int LONGEST_LINE = 4 << 20;

  private Questions() {}

  /**
   * The questions of a file.
   *
   * @param most at most so many, from the first
   * @throws TextException if it holds none, or a line is no question: says which, and what is wrong
   */
  public static List<Question> read(Path file, int most) throws IOException {
    try (BufferedReader lines = Files.newBufferedReader(file)) {
      return read(lines, file.toString(), most);
    } catch (MalformedInputException e) {
      throw new TextException(file + ": is no UTF-8; questions are JSON objects, one a line", e);
    }
  }

  /**
   * Questions for the notes model, which it answers rightly with a full cache: what is lost is the
   * cache's.
   */
  public static List<Question> ofNotes(int most) throws IOException {
    try (InputStream in = Questions.class.getResourceAsStream("notes-questions.jsonl")) {
      if (in == null) {
        throw new IOException("this build of Knapsack has no questions inside; name a file");
      }
      BufferedReader lines = new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8));
      return read(lines, "the questions inside", most);
    }
  }

  private static List<Question> read(BufferedReader lines, String name, int most)
      throws IOException {
    List<Question> questions = new ArrayList<>();
    long heap = Runtime.getRuntime().maxMemory() / 16;
    int number = 0;
    for (String line = next(lines, name, 1);
        line != null && questions.size() < most;
        line = next(lines, name, number + 1)) {
      number++;
      heap -= 2L * line.length();
      if (heap < 0) {
        throw new TextException(
            "%s: the first %,d questions are all that the heap of this budget takes; give --limit %d"
                .formatted(name, questions.size(), questions.size()));
      }
      if (!line.isBlank()) {
        questions.add(question(line, name, number));
      }
    }
    if (questions.isEmpty()) {
      throw new TextException(name + " holds no questions: JSON objects, one a line");
    }
    return List.copyOf(questions);
  }

  /** The next line, or null; a line without end is not read to its end. */
  private static @Nullable String next(BufferedReader lines, String name, int number)
      throws IOException {
    StringBuilder line = new StringBuilder();
    for (int c = lines.read(); c != '\n'; c = lines.read()) {
      if (c < 0) {
        return line.isEmpty() ? null : line.toString();
      }
      line.append((char) c);
      if (line.length() > LONGEST_LINE) {
        throw new TextException(
            "%s, line %d: is longer than %,d characters; questions are JSON objects, one a line"
                .formatted(name, number, LONGEST_LINE));
      }
    }
    return line.toString();
  }

  private static Question question(String line, String name, int number) {
    JsonObject json;
    try {
      json = JsonParser.parseString(line).getAsJsonObject();
    } catch (JsonParseException | IllegalStateException e) {
      throw new TextException(
          "%s, line %d: is no JSON object; questions are JSON objects, one a line"
              .formatted(name, number),
          e);
    }
    String prompt = string(json, "context", null, name, number);
    String answer = string(json, "answer", null, name, number).strip();
    if (prompt.isEmpty() || answer.isEmpty()) {
      throw new TextException(
          "%s, line %d: 'context' and 'answer' must not be empty".formatted(name, number));
    }
    return new Question(
        string(json, "id", "line " + number, name, number),
        prompt,
        answer,
        string(json, "kind", "", name, number),
        split(json, prompt, name, number),
        string(json, "context_id", "", name, number),
        integer(json, "depth", name, number),
        Question.Match.EXACT);
  }

  private static int split(JsonObject json, String prompt, String name, int number) {
    int split = integer(json, "split", name, number);
    if (split > prompt.length()) {
      throw new TextException(
          "%s, line %d: 'split' is %,d; it must be a place in 'context', 0 to %,d"
              .formatted(name, number, split, prompt.length()));
    }
    return split;
  }

  /** A field's whole number; -1 if there is none. */
  private static int integer(JsonObject json, String field, String name, int number) {
    JsonElement value = json.get(field);
    if (value == null || value.isJsonNull()) {
      return -1;
    }
    if (!value.isJsonPrimitive() || !value.getAsString().matches("\\d{1,9}")) {
      throw new TextException(
          "%s, line %d: '%s' is %s; it must be a whole number, 0 or more"
              .formatted(name, number, field, value));
    }
    return value.getAsInt();
  }

  private static String string(
      JsonObject json, String field, @Nullable String otherwise, String name, int number) {
    JsonElement value = json.get(field);
    if (value == null && otherwise != null) {
      return otherwise;
    }
    if (value == null || !value.isJsonPrimitive()) {
      throw new TextException(
          "%s, line %d: '%s' is %s; it must be a string"
              .formatted(name, number, field, value == null ? "missing" : "none"));
    }
    return value.getAsString();
  }
}

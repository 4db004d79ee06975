package dev.knapsack;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Objects;

/**
 * A conversation of about 240 tokens that ends with a question, and the answer that the notes model
 * is known to give.
 *
 * @param context the prompt with its markers, from {@code <|bos|>} to {@code <|assistant|>}
 * @param answer the exact answer, without the space with which it begins
 * @param contextTokens how many tokens the context has
 */
public record NotesQuestion(String id, String context, String answer, int contextTokens) {

  /** All questions of the fixture: twenty, of every kind that the model knows well. */
  public static List<NotesQuestion> all() throws IOException {
    try (BufferedReader lines =
        new BufferedReader(
            new InputStreamReader(
                Objects.requireNonNull(
                    NotesQuestion.class.getResourceAsStream("notes-questions.jsonl")),
                StandardCharsets.UTF_8))) {
      return lines.lines().map(NotesQuestion::parse).toList();
    }
  }

  private static NotesQuestion parse(String line) {
    JsonObject json = JsonParser.parseString(line).getAsJsonObject();
    return new NotesQuestion(
        json.get("id").getAsString(),
        json.get("context").getAsString(),
        json.get("answer").getAsString(),
        json.get("context_tokens").getAsInt());
  }
}

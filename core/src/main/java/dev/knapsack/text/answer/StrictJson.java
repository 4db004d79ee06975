package dev.knapsack.text.answer;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonElement;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.gson.Strictness;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import java.io.IOException;
import java.io.StringReader;
import java.util.Optional;

/** JSON as its standard has it, in texts of models and clients. */
public final class StrictJson {
  private static final Gson GSON =
      new GsonBuilder().disableHtmlEscaping().serializeNulls().create();

  private StrictJson() {}

  /** The value that a whole text is; empty where it is none, or too deep. */
  public static Optional<JsonElement> parse(String text) {
    try (JsonReader reader = new JsonReader(new StringReader(text))) {
      reader.setStrictness(Strictness.STRICT);
      JsonElement element = JsonParser.parseReader(reader);
      return reader.peek() == JsonToken.END_DOCUMENT ? Optional.of(element) : Optional.empty();
    } catch (JsonParseException | IOException _) {
      return Optional.empty();
    }
  }

  /** The text of a value, without blanks. */
  public static String write(Object value) {
    return GSON.toJson(value);
  }
}

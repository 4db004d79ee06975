package dev.knapsack.file;

import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import dev.knapsack.error.ModelFileException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * A {@code tokenizer.json} as it stands: the vocabulary and the merges packed, all else as JSON.
 *
 * <p>The file is read as a stream: a vocabulary of 262,000 tokens with 514,000 merges costs some 15
 * MB of heap and never more than a few MB besides. Added tokens get the ids that the hub's {@code
 * tokenizers} gives them: of the vocabulary, if it has their text, and otherwise the next that is
 * free, which is what the file says too.
 */
public final class TokenizerJson {
  private static final long MOST_BYTES = 256 << 20;
  private static final int MOST_TOKENS = 1 << 22;

  /**
   * A token that is found in text before any other.
   *
   * @param special steers the model and is no text
   * @param singleWord only between characters that are no part of a word
   * @param leftStrip blanks before it belong to it
   * @param rightStrip blanks after it belong to it
   * @param normalized looked for after the text was normalised, as it looks then
   */
  public record Added(
      int id,
      String content,
      boolean special,
      boolean singleWord,
      boolean leftStrip,
      boolean rightStrip,
      boolean normalized) {
    private Added withId(int other) {
      return new Added(other, content, special, singleWord, leftStrip, rightStrip, normalized);
    }
  }

  private final Path file;
  private final Map<String, JsonElement> sections;
  private final JsonObject model;
  private final List<Added> added;
  private final PackedTokens tokens;
  private final BitSet onlyAdded;
  private final double[] scores;
  private final boolean hasMerges;
  private final int[] left;
  private final int[] right;

  private TokenizerJson(Reading reading, PackedTokens tokens) {
    file = reading.file;
    sections = Map.copyOf(reading.sections);
    model = reading.model;
    added = List.copyOf(reading.added);
    this.tokens = tokens;
    onlyAdded = reading.onlyAdded;
    scores = reading.scores;
    hasMerges = reading.hasMerges;
    left = reading.left;
    right = reading.right;
  }

  /** Reads a file. */
  static TokenizerJson read(Path file) {
    Reading reading = new Reading(file);
    Json.stream(file, MOST_BYTES, reading::document);
    if (reading.mergesPassed) {
      Json.stream(file, MOST_BYTES, reading::mergesAgain);
    }
    return Json.guard(file, reading::finish);
  }

  public Path file() {
    return file;
  }

  /** All tokens: the model's and the added ones. */
  public PackedTokens tokens() {
    return tokens;
  }

  /** Says whether a token is one of the model's, not only an added one. */
  public boolean isModelToken(int id) {
    return !onlyAdded.get(id) && tokens.length(id) > 0;
  }

  /** The type of the model; where an old file does not say, what its fields tell. */
  public String type() {
    JsonElement type = model.get("type");
    if (type != null) {
      return type.getAsString();
    }
    return hasMerges
        ? "BPE"
        : scores.length > 0
            ? "Unigram"
            : model.has("max_input_chars_per_word") ? "WordPiece" : "WordLevel";
  }

  /** The fields of the model but the vocabulary and the merges. */
  public JsonObject model() {
    return model;
  }

  /**
   * The normalizer, pre_tokenizer, post_processor, decoder or truncation; JSON's null if there is
   * none.
   */
  public JsonElement section(String name) {
    return sections.getOrDefault(name, JsonNull.INSTANCE);
  }

  /** The added tokens, in the file's order. */
  public List<Added> added() {
    return added;
  }

  /** Scores by id, where the model has them. */
  public double[] scores() {
    return scores;
  }

  /** Says whether the model is one with merges. */
  public boolean hasMerges() {
    return hasMerges;
  }

  /** The left tokens of all merges, by rank. */
  public int[] left() {
    return left;
  }

  /** The right tokens of all merges, by rank. */
  public int[] right() {
    return right;
  }

  /**
   * The tokens that merges make, by rank.
   *
   * @param without bytes at the beginning of a right token that are not part of the whole
   */
  public int[] joined(int without) {
    int[] joined = new int[left.length];
    for (int rank = 0; rank < joined.length; rank++) {
      joined[rank] = tokens.joined(left[rank], right[rank], without);
      if (joined[rank] < 0 || !isModelToken(joined[rank])) {
        throw noToken(file, tokens.text(left[rank]) + " " + tokens.text(right[rank]));
      }
    }
    return joined;
  }

  private static ModelFileException noToken(Path file, String pair) {
    return new ModelFileException(
        file,
        "model.merges",
        "'" + pair + "' joins or makes a token that the vocabulary does not have");
  }

  /** A file that is being read. */
  private static final class Reading {
    private final Path file;
    private final Map<String, JsonElement> sections = new HashMap<>();
    private final JsonObject model = new JsonObject();
    private final List<Added> added = new ArrayList<>();
    private final BitSet onlyAdded = new BitSet();
    private @Nullable PackedTokens tokens;

    /** Tokens that the model's own vocabulary has. */
    private int own;

    private double[] scores = new double[0];
    private int[] left = new int[0];
    private int[] right = new int[0];
    private int mergeCount;
    private boolean hasMerges;
    private boolean mergesPassed;

    Reading(Path file) {
      this.file = file;
    }

    private void document(JsonReader json) throws IOException {
      json.beginObject();
      while (json.hasNext()) {
        String name = json.nextName();
        switch (name) {
          case "model" -> model(json);
          case "added_tokens" -> addedTokens(json);
          case "normalizer", "pre_tokenizer", "post_processor", "decoder", "truncation" ->
              sections.put(name, JsonParser.parseReader(json));
          default -> json.skipValue();
        }
      }
      json.endObject();
    }

    private void model(JsonReader json) throws IOException {
      json.beginObject();
      while (json.hasNext()) {
        String name = json.nextName();
        switch (name) {
          case "vocab" -> vocabulary(json);
          case "merges" -> {
            hasMerges = true;
            if (tokens != null) {
              merges(json);
            } else {
              mergesPassed = true;
              json.skipValue();
            }
          }
          default -> model.add(name, JsonParser.parseReader(json));
        }
      }
      json.endObject();
    }

    private void vocabulary(JsonReader json) throws IOException {
      if (tokens != null) {
        throw new ModelFileException(file, "model.vocab", "there are two");
      }
      PackedTokens.Builder vocabulary = new PackedTokens.Builder();
      if (json.peek() == JsonToken.BEGIN_ARRAY) {
        json.beginArray();
        scores = new double[256];
        while (json.hasNext()) {
          json.beginArray();
          int id = id(vocabulary.count());
          vocabulary.add(id, json.nextString());
          if (id == scores.length) {
            scores = Arrays.copyOf(scores, id + id / 2);
          }
          scores[id] = json.nextDouble();
          json.endArray();
        }
        json.endArray();
        scores = Arrays.copyOf(scores, vocabulary.count());
      } else {
        json.beginObject();
        while (json.hasNext()) {
          String text = json.nextName();
          vocabulary.add(id(json.nextLong()), text);
        }
        json.endObject();
      }
      own = vocabulary.count();
      tokens = vocabulary.build(vocabulary.largest() + 1);
    }

    private void mergesAgain(JsonReader json) throws IOException {
      json.beginObject();
      while (json.hasNext()) {
        if (!json.nextName().equals("model")) {
          json.skipValue();
          continue;
        }
        json.beginObject();
        while (json.hasNext()) {
          if (json.nextName().equals("merges")) {
            merges(json);
          } else {
            json.skipValue();
          }
        }
        json.endObject();
      }
      json.endObject();
    }

    /** Pairs as one string with a blank between, or as two strings. */
    private void merges(JsonReader json) throws IOException {
      json.beginArray();
      left = new int[1024];
      right = new int[1024];
      while (json.hasNext()) {
        if (json.peek() == JsonToken.STRING) {
          String pair = json.nextString();
          if (pair.startsWith("#version")) {
            continue;
          }
          int blank = pair.indexOf(' ');
          if (blank < 0 || blank != pair.lastIndexOf(' ')) {
            throw new ModelFileException(
                file, "model.merges", "'" + pair + "' is not two tokens with a space between");
          }
          merge(pair.substring(0, blank), pair.substring(blank + 1));
        } else {
          json.beginArray();
          merge(json.nextString(), json.nextString());
          json.endArray();
        }
      }
      json.endArray();
      left = Arrays.copyOf(left, mergeCount);
      right = Arrays.copyOf(right, mergeCount);
    }

    private void merge(String leftText, String rightText) {
      if (mergeCount == left.length) {
        left = Arrays.copyOf(left, mergeCount + mergeCount / 2);
        right = Arrays.copyOf(right, left.length);
      }
      left[mergeCount] = known().find(leftText);
      right[mergeCount] = known().find(rightText);
      if (left[mergeCount] < 0 || right[mergeCount] < 0) {
        throw noToken(file, leftText + " " + rightText);
      }
      mergeCount++;
    }

    private int id(long id) {
      if (id < 0 || id >= MOST_TOKENS) {
        throw new ModelFileException(file, "vocab", "token id " + id + " is out of range");
      }
      return (int) id;
    }

    /** Adds the added tokens. */
    private TokenizerJson finish() {
      if (own == 0) {
        throw new ModelFileException(file, "model.vocab", "the vocabulary is empty");
      }
      int next = own;
      Map<String, Integer> given = new HashMap<>();
      SortedMap<Integer, String> more = new TreeMap<>();
      for (int i = 0; i < added.size(); i++) {
        String content = added.get(i).content();
        int id = given.getOrDefault(content, known().find(content));
        if (id < 0) {
          id = id(next++);
          onlyAdded.set(id);
          more.put(id, content);
        } else if (id >= own) {
          next = Math.max(next, id + 1);
        }
        given.put(content, id);
        added.set(i, added.get(i).withId(id));
      }
      return new TokenizerJson(this, more.isEmpty() ? known() : known().with(more));
    }

    private PackedTokens known() {
      if (tokens == null) {
        throw new ModelFileException(file, "model.vocab", "there is none");
      }
      return tokens;
    }

    /** The library gives added tokens ids of its own; the file's are only looked at. */
    private void addedTokens(JsonReader json) throws IOException {
      added.clear();
      if (json.peek() != JsonToken.BEGIN_ARRAY) {
        json.skipValue();
        return;
      }
      json.beginArray();
      while (json.hasNext()) {
        JsonObject token = JsonParser.parseReader(json).getAsJsonObject();
        String content = Json.member(token, "content").getAsString();
        if (!content.isEmpty()) {
          boolean special = flag(token, "special", false);
          added.add(
              new Added(
                  id(Json.member(token, "id").getAsLong()),
                  content,
                  special,
                  flag(token, "single_word", false),
                  flag(token, "lstrip", false),
                  flag(token, "rstrip", false),
                  flag(token, "normalized", !special)));
        }
      }
      json.endArray();
    }

    private static boolean flag(JsonObject token, String name, boolean otherwise) {
      JsonElement flag = token.get(name);
      return (flag == null || flag.isJsonNull()) ? otherwise : flag.getAsBoolean();
    }
  }
}

package dev.knapsack.text;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.knapsack.file.HandMadeMetadata;
import dev.knapsack.file.Metadata;
import dev.knapsack.file.TokenizerJson;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Files {@code tokenizer.json} small enough to work out by hand what a text becomes. */
final class TinyPipelines {
  private final JsonObject root = new JsonObject();

  private TinyPipelines() {
    root.addProperty("version", "1.0");
    root.add("added_tokens", new JsonArray());
  }

  /**
   * Pieces of SentencePiece with bytes as the last resort: unknown, begin and end (0 to 2), {@code
   * [INST]} (3), a space (4), the letters a to z (5 to 30), {@code ▁h} (31), {@code he} (32),
   * {@code ▁he} (33), a line feed (34), then the bytes from 35 on.
   */
  static TinyPipelines pieces() {
    Map<String, Integer> vocabulary = new LinkedHashMap<>();
    for (String special : List.of("<unk>", "<s>", "</s>", "[INST]", "\u2581")) {
      vocabulary.put(special, vocabulary.size());
    }
    for (char c = 'a'; c <= 'z'; c++) {
      vocabulary.put(String.valueOf(c), vocabulary.size());
    }
    for (String piece : List.of("\u2581h", "he", "\u2581he", "\n")) {
      vocabulary.put(piece, vocabulary.size());
    }
    for (int b = 0; b < 256; b++) {
      vocabulary.put(ByteTokens.name(b), vocabulary.size());
    }
    TinyPipelines pieces = new TinyPipelines();
    JsonObject model = object("{'type': 'BPE', 'unk_token': '<unk>', 'byte_fallback': true}");
    model.add("vocab", vocabulary(vocabulary));
    model.add("merges", JsonParser.parseString("[['h', 'e'], ['\u2581', 'he'], ['\u2581', 'h']]"));
    pieces.root.add("model", model);
    for (String token : List.of("<unk>", "<s>", "</s>", "[INST]")) {
      pieces.added(token, vocabulary.get(token), true, "");
    }
    return pieces.with(
        "decoder",
        """
        {'type': 'Sequence', 'decoders': [
          {'type': 'Replace', 'pattern': {'String': '\u2581'}, 'content': ' '},
          {'type': 'ByteFallback'}, {'type': 'Fuse'}]}
        """);
  }

  /** The bytes by value (0 to 255), {@code he} (256), {@code ll} (257), {@code <|end|>} (258). */
  static TinyPipelines bytes() {
    Map<String, Integer> vocabulary = new LinkedHashMap<>();
    for (int b = 0; b < 256; b++) {
      vocabulary.put(String.valueOf(ByteAlphabet.character(b)), b);
    }
    vocabulary.put("he", 256);
    vocabulary.put("ll", 257);
    TinyPipelines bytes = new TinyPipelines();
    JsonObject model = object("{'type': 'BPE'}");
    model.add("vocab", vocabulary(vocabulary));
    model.add("merges", JsonParser.parseString("['h e', 'l l']"));
    bytes.root.add("model", model);
    bytes.added("<|end|>", 258, true, "");
    return bytes
        .with("pre_tokenizer", "{'type': 'ByteLevel', 'add_prefix_space': false}")
        .with("decoder", "{'type': 'ByteLevel'}");
  }

  /** A vocabulary of words with an unknown one (0), in the order given from 1 on. */
  static TinyPipelines words(String... words) {
    Map<String, Integer> vocabulary = new LinkedHashMap<>();
    vocabulary.put("[UNK]", 0);
    for (String word : words) {
      vocabulary.put(word, vocabulary.size());
    }
    TinyPipelines made = new TinyPipelines();
    JsonObject model = object("{'type': 'WordLevel', 'unk_token': '[UNK]'}");
    model.add("vocab", vocabulary(vocabulary));
    made.root.add("model", model);
    return made;
  }

  /** The byte pairs of a GGUF file. */
  static TinyPipelines bytePairs(Metadata gguf) {
    List<String> tokens = gguf.strings("tokenizer.ggml.tokens");
    TinyPipelines made = new TinyPipelines();
    JsonObject model = object("{'type': 'BPE'}");
    JsonObject vocabulary = new JsonObject();
    for (int id = 0; id < tokens.size(); id++) {
      vocabulary.addProperty(tokens.get(id), id);
    }
    JsonArray merges = new JsonArray();
    gguf.strings("tokenizer.ggml.merges").forEach(merges::add);
    model.add("vocab", vocabulary);
    model.add("merges", merges);
    made.root.add("model", model);
    return made;
  }

  /** The word pieces of a GGUF file, which writes what begins a word with a mark before it. */
  static TinyPipelines wordPieces(Metadata gguf) {
    List<String> tokens = gguf.strings("tokenizer.ggml.tokens");
    TinyPipelines made = new TinyPipelines();
    JsonObject model =
        object(
            "{'type': 'WordPiece', 'unk_token': '[UNK]', 'continuing_subword_prefix': '##',"
                + " 'max_input_chars_per_word': 100}");
    JsonObject vocabulary = new JsonObject();
    for (int id = 0; id < tokens.size(); id++) {
      String token = tokens.get(id);
      boolean special = token.startsWith("[") && token.length() > 1;
      vocabulary.addProperty(
          token.startsWith("\u2581") ? token.substring(1) : special ? token : "##" + token, id);
    }
    model.add("vocab", vocabulary);
    made.root.add("model", model);
    return made;
  }

  private static JsonObject vocabulary(Map<String, Integer> vocabulary) {
    JsonObject json = new JsonObject();
    vocabulary.forEach(json::addProperty);
    return json;
  }

  private static JsonObject object(String json) {
    return JsonParser.parseString(json).getAsJsonObject();
  }

  /** Sets a part; JSON with single quotes will do. */
  TinyPipelines with(String part, String json) {
    root.add(part, JsonParser.parseString(json));
    return this;
  }

  /** Sets a field of the model. */
  TinyPipelines model(String field, String json) {
    root.getAsJsonObject("model").add(field, JsonParser.parseString(json));
    return this;
  }

  /** Moves the vocabulary behind the merges, and both before the added tokens. */
  TinyPipelines vocabularyLast() {
    JsonObject model = root.getAsJsonObject("model");
    model.add("vocab", model.remove("vocab"));
    model.remove("type");
    root.add("added_tokens", root.remove("added_tokens"));
    return this;
  }

  /** Adds a token, or gives one that was added other flags. */
  TinyPipelines added(String content, int id, boolean special, String flags) {
    JsonArray others = new JsonArray();
    root.getAsJsonArray("added_tokens")
        .forEach(token -> {
          if (!token.getAsJsonObject().get("content").getAsString().equals(content)) {
            others.add(token);
          }
        });
    JsonObject token = new JsonObject();
    token.addProperty("id", id);
    token.addProperty("content", content);
    token.addProperty("special", special);
    for (String flag : List.of("single_word", "lstrip", "rstrip", "normalized")) {
      token.addProperty(flag, flags.contains(flag));
    }
    others.add(token);
    root.add("added_tokens", others);
    return this;
  }

  Tokenizer tokenizer() {
    try {
      Path file = Files.createTempFile("tiny", ".json");
      try {
        Files.writeString(file, root.toString());
        TokenizerJson json = HandMadeMetadata.tokenizer(file);
        return Tokenizers.of(HandMadeMetadata.of(file, Map.of()), json, file);
      } finally {
        Files.delete(file);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}

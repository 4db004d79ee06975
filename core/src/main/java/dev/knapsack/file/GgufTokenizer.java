package dev.knapsack.file;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.knapsack.error.ModelFileException;
import java.util.AbstractList;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A {@code tokenizer.json} in GGUF's words, for files that are written: no tokenizer is made of
 * them here.
 *
 * <p>Byte pair encoding over bytes becomes {@code gpt2}; over characters with bytes to fall back on
 * it is SentencePiece's, and becomes {@code llama}: a token's score is then less the later it is
 * merged, which orders merges as the file does. WordPiece becomes {@code bert}. What GGUF has no
 * words for is refused.
 */
final class GgufTokenizer {
  private static final String PREFIX = "tokenizer.ggml.";

  /** The mark before a piece that goes on a word in tokenizer.json. */
  private static final String CONTINUING = "##";

  /** The mark before a piece that begins a word in GGUF. */
  private static final String BEGINNING = "\u2581";

  /** GGUF's types of tokens. */
  private static final int NORMAL = 1;

  private static final int UNKNOWN = 2;
  private static final int CONTROL = 3;
  private static final int USER_DEFINED = 4;
  private static final int UNUSED = 5;
  private static final int BYTE = 6;

  private final TokenizerJson json;
  private final PackedTokens tokens;
  private final int size;
  private final boolean overBytes;

  private GgufTokenizer(TokenizerJson json, int size) {
    this.json = json;
    this.size = size;
    tokens = json.tokens();
    overBytes = mentions("pre_tokenizer", "ByteLevel") || mentions("decoder", "ByteLevel");
  }

  /**
   * Adds the tokenizer's keys to those that are there.
   *
   * @param size tokens that there are to be: those that the vocabulary lacks are not used
   * @throws ModelFileException if GGUF has no words for it
   */
  static void put(MetadataBuilder metadata, TokenizerJson json, int size, Metadata known) {
    new GgufTokenizer(json, size).put(metadata, known);
  }

  /** Sentences on what is lost. */
  static List<String> notes(TokenizerJson json) {
    List<String> notes = new ArrayList<>();
    List<String> flagged =
        json.added().stream()
            .filter(token -> token.leftStrip() || token.rightStrip() || token.singleWord())
            .map(TokenizerJson.Added::content)
            .toList();
    if (!flagged.isEmpty()) {
      notes.add(
          "GGUF has no words for blanks and words beside %s%s: who reads the file may tokenize text beside %s otherwise"
              .formatted(
                  String.join(", ", flagged.subList(0, Math.min(3, flagged.size()))),
                  flagged.size() > 3 ? " and %d more".formatted(flagged.size() - 3) : "",
                  flagged.size() == 1 ? "it" : "them"));
    }
    if (String.valueOf(json.section("normalizer")).contains("\"NFC\"")) {
      notes.add(
          "GGUF has no words for the normalizer NFC: letters with accents of their own stay so");
    }
    return notes;
  }

  private void put(MetadataBuilder metadata, Metadata known) {
    if (json.type().equals("WordPiece")) {
      wordPiece(metadata);
      return;
    }
    if (!json.type().equals("BPE")) {
      throw inexpressible("model.type", "'" + json.type() + "'; BPE and WordPiece can");
    }
    if (!overBytes && !flag(json.model(), "byte_fallback")) {
      throw inexpressible("model", "byte pairs neither of bytes nor with byte_fallback");
    }
    for (String affix : List.of("continuing_subword_prefix", "end_of_word_suffix")) {
      if (json.model().get(affix) instanceof JsonPrimitive text && !text.getAsString().isEmpty()) {
        throw inexpressible("model." + affix, "'" + text.getAsString() + "'");
      }
    }
    normalizers(json.section("normalizer"));
    metadata.string(PREFIX + "model", overBytes ? "gpt2" : "llama");
    metadata.string(PREFIX + "pre", overBytes ? preTokenizer() : "default");
    metadata.strings(PREFIX + "tokens", texts());
    metadata.integers(PREFIX + "token_type", types());
    if (overBytes) {
      metadata.strings(PREFIX + "merges", merges());
    } else {
      metadata.reals(PREFIX + "scores", scores());
      metadata.flag(PREFIX + "add_space_prefix", addsSpace());
    }
    addsToken(metadata, known, "bos", 0);
    addsToken(metadata, known, "eos", -1);
  }

  /** BERT's pieces: in GGUF, those that begin a word are marked, and not those that go on. */
  private void wordPiece(MetadataBuilder metadata) {
    JsonElement prefix = json.model().get("continuing_subword_prefix");
    if (prefix instanceof JsonPrimitive text && !text.getAsString().equals(CONTINUING)) {
      throw inexpressible("model.continuing_subword_prefix", "'" + text.getAsString() + "'");
    }
    JsonElement most = json.model().get("max_input_chars_per_word");
    if (most instanceof JsonPrimitive number && number.getAsInt() != 100) {
      throw inexpressible("model.max_input_chars_per_word", number + " characters");
    }
    if (!mentions("pre_tokenizer", "BertPreTokenizer")
        || !(json.section("normalizer") instanceof JsonObject normalizer)
        || !(normalizer.get("type") instanceof JsonPrimitive type)
        || !type.getAsString().equals("BertNormalizer")) {
      throw inexpressible("normalizer", "WordPiece with another than BERT's own");
    }
    for (String usual : List.of("clean_text", "handle_chinese_chars")) {
      if (normalizer.get(usual) instanceof JsonPrimitive set && !set.getAsBoolean()) {
        throw inexpressible("normalizer." + usual, "false");
      }
    }
    metadata.string(PREFIX + "model", "bert");
    metadata.string(PREFIX + "pre", "bert-bge"); // readers need one; for WordPiece it says nothing
    metadata.strings(PREFIX + "tokens", pieces());
    metadata.integers(PREFIX + "token_type", types());
    boolean lowers =
        !(normalizer.get("lowercase") instanceof JsonPrimitive set) || set.getAsBoolean();
    if (!lowers) {
      metadata.flag(PREFIX + "normalizer.lowercase", false);
    }
    if (normalizer.get("strip_accents") instanceof JsonPrimitive strips
        && strips.getAsBoolean() != lowers) {
      metadata.flag(PREFIX + "normalizer.strip_accents", strips.getAsBoolean());
    }
  }

  private List<String> pieces() {
    Set<Integer> special =
        json.added().stream().map(TokenizerJson.Added::id).collect(Collectors.toSet());
    List<String> texts = texts();
    return new AbstractList<>() {
      @Override
      public String get(int id) {
        String text = texts.get(id);
        if (isHole(id) || special.contains(id)) {
          return text;
        }
        return text.startsWith(CONTINUING) && text.length() > CONTINUING.length()
            ? text.substring(CONTINUING.length())
            : BEGINNING + text;
      }

      @Override
      public int size() {
        return size;
      }
    };
  }

  private void normalizers(JsonElement normalizer) {
    Set<String> expressible = overBytes ? Set.of("NFC") : Set.of("Prepend", "Replace");
    if (!(normalizer instanceof JsonObject object)) {
      return;
    }
    String type = object.get("type") instanceof JsonPrimitive name ? name.getAsString() : "?";
    if (type.equals("Sequence") && object.get("normalizers") instanceof JsonArray all) {
      all.forEach(this::normalizers);
    } else if (!expressible.contains(type)) {
      throw inexpressible("normalizer", type);
    }
  }

  private ModelFileException inexpressible(String field, String what) {
    return new ModelFileException(
        json.file(),
        field,
        what + " cannot be written in a GGUF file. The directory itself can be run");
  }

  private void addsToken(MetadataBuilder metadata, Metadata known, String name, int index) {
    String flag = PREFIX + "add_" + name + "_token";
    if (!known.has(flag)) {
      String id = PREFIX + name + "_token_id";
      metadata.flag(flag, known.has(id) && processed(index).equals(text(known.integer(id))));
    }
  }

  private Optional<String> text(long id) {
    return id < tokens.size() ? Optional.of(tokens.text((int) id)) : Optional.empty();
  }

  private boolean isHole(int id) {
    return id >= tokens.size() || tokens.length(id) == 0;
  }

  private List<String> texts() {
    return new AbstractList<>() {
      @Override
      public String get(int id) {
        return isHole(id) ? "[PAD" + id + "]" : tokens.text(id);
      }

      @Override
      public int size() {
        return size;
      }
    };
  }

  private List<String> merges() {
    return new AbstractList<>() {
      @Override
      public String get(int rank) {
        return tokens.text(json.left()[rank]) + " " + tokens.text(json.right()[rank]);
      }

      @Override
      public int size() {
        return json.left().length;
      }
    };
  }

  private int[] types() {
    int[] types = new int[size];
    for (int id = 0; id < types.length; id++) {
      types[id] =
          isHole(id)
              ? UNUSED
              : !overBytes && tokens.text(id).matches("<0x[0-9A-F]{2}>") ? BYTE : NORMAL;
    }
    json.added().forEach(token -> types[token.id()] = token.special() ? CONTROL : USER_DEFINED);
    boolean wordPiece = json.type().equals("WordPiece");
    if (!overBytes
        && !wordPiece
        && json.model().get("unk_token") instanceof JsonPrimitive unknown) {
      int id = tokens.find(unknown.getAsString());
      if (id >= 0) {
        types[id] = UNKNOWN;
      }
    }
    return types;
  }

  /** A token's score: less the rank of the first merge that makes it. */
  private float[] scores() {
    float[] scores = new float[size];
    int[] made = json.joined(0);
    for (int rank = made.length - 1; rank >= 0; rank--) {
      scores[made[rank]] = -(rank + 1);
    }
    return scores;
  }

  /**
   * The cuts of text before pairs are merged, by name: told by the regex, where families share a
   * name.
   */
  private String preTokenizer() {
    String regex = String.valueOf(json.section("pre_tokenizer"));
    if (regex.contains("\"add_prefix_space\":true")) {
      throw inexpressible("pre_tokenizer", "a space before a text");
    }
    if (regex.contains("\\\\p{Lu}")) {
      return regex.contains("(?i:'s") || regex.contains("'s|") ? "gpt-4o" : "tekken";
    }
    if (regex.contains("(?i:'s") && regex.contains("\\\\p{N}{1,3}")) {
      return flag(json.model(), "ignore_merges") ? "llama-bpe" : "dbrx";
    }
    if (regex.contains("(?i:'s") && regex.contains("|\\\\p{N}|")) {
      return "qwen2";
    }
    if (!regex.contains("\"Regex\"")) {
      return regex.contains("\"Digits\"") ? "refact" : "gpt-2";
    }
    throw inexpressible(
        "pre_tokenizer", regex.length() > 300 ? regex.substring(0, 300) + "…" : regex);
  }

  private boolean addsSpace() {
    JsonElement pre = json.section("pre_tokenizer");
    if (pre instanceof JsonObject object
        && object.get("prepend_scheme") instanceof JsonPrimitive p) {
      return !p.getAsString().equals("never");
    }
    return mentions("normalizer", "Prepend")
        || (pre instanceof JsonObject object && flag(object, "add_prefix_space"));
  }

  /** The special token that the post-processor puts first (0) or last (-1) around one text. */
  private Optional<String> processed(int index) {
    JsonElement processor = json.section("post_processor");
    JsonArray all = new JsonArray();
    if (processor instanceof JsonObject object && object.get("processors") instanceof JsonArray a) {
      all = a;
    } else {
      all.add(processor);
    }
    for (JsonElement one : all) {
      if (one instanceof JsonObject object
          && object.get("single") instanceof JsonArray single
          && !single.isEmpty()
          && single.get(index < 0 ? single.size() - 1 : index) instanceof JsonObject piece
          && piece.get("SpecialToken") instanceof JsonObject special) {
        return Optional.of(Json.member(special, "id").getAsString());
      }
      // RoBERTa's and BERT's own processors: [text, id].
      if (one instanceof JsonObject object
          && object.get(index < 0 ? "sep" : "cls") instanceof JsonArray token
          && !token.isEmpty()) {
        return Optional.of(token.get(0).getAsString());
      }
    }
    return Optional.empty();
  }

  private boolean mentions(String section, String kind) {
    return String.valueOf(json.section(section)).contains("\"" + kind + "\"");
  }

  private static boolean flag(@Nullable JsonObject object, String name) {
    return object != null && object.get(name) instanceof JsonPrimitive flag && flag.getAsBoolean();
  }
}

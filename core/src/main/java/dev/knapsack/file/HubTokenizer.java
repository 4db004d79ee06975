package dev.knapsack.file;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A model's {@code tokenizer.json} and {@code tokenizer_config.json} in GGUF's words.
 *
 * <p>Byte pair encoding over bytes becomes {@code gpt2}; over characters with bytes to fall back on
 * it is SentencePiece's, and becomes {@code llama}: a token's score is then less the later it is
 * merged, which orders merges as the file does.
 */
final class HubTokenizer {
  private static final long MOST_BYTES = 256 << 20;
  private static final long MOST_CONFIG_BYTES = 16 << 20;
  private static final int MOST_TOKENS = 1 << 22;
  private static final String PREFIX = "tokenizer.ggml.";

  /** GGUF's types of tokens. */
  private static final int NORMAL = 1;

  private static final int UNKNOWN = 2;
  private static final int CONTROL = 3;
  private static final int USER_DEFINED = 4;
  private static final int UNUSED = 5;
  private static final int BYTE = 6;

  private final Path file;
  private final Map<String, Integer> ids = new HashMap<>();
  private final Map<Integer, Boolean> added = new HashMap<>();
  private final Map<String, JsonElement> sections = new HashMap<>();
  private final PackedStrings.Builder merges = new PackedStrings.Builder(0);
  private String type = "BPE";
  private boolean byteFallback;
  private @Nullable String unknown;

  private HubTokenizer(Path file) {
    this.file = file;
  }

  /** Puts the tokenizer's keys, if the directory has one. */
  static void put(MetadataBuilder metadata, Path directory, HubConfig config) {
    JsonObject settings = settings(directory);
    Path file = directory.resolve("tokenizer.json");
    if (Files.exists(file)) {
      HubTokenizer tokenizer = new HubTokenizer(file);
      Json.stream(file, MOST_BYTES, tokenizer::read);
      tokenizer.put(metadata, settings, config);
    }
  }

  private static JsonObject settings(Path directory) {
    Path file = directory.resolve("tokenizer_config.json");
    return Files.exists(file) ? Json.object(file, MOST_CONFIG_BYTES) : new JsonObject();
  }

  private void read(JsonReader json) throws IOException {
    json.beginObject();
    while (json.hasNext()) {
      switch (json.nextName()) {
        case "model" -> readModel(json);
        case "added_tokens" -> {
          for (JsonElement token : JsonParser.parseReader(json).getAsJsonArray()) {
            JsonObject one = token.getAsJsonObject();
            int id = id(Json.member(one, "id").getAsLong());
            ids.put(Json.member(one, "content").getAsString(), id);
            added.put(id, one.has("special") && one.get("special").getAsBoolean());
          }
        }
        case "normalizer" -> sections.put("normalizer", JsonParser.parseReader(json));
        case "pre_tokenizer" -> sections.put("pre_tokenizer", JsonParser.parseReader(json));
        case "post_processor" -> sections.put("post_processor", JsonParser.parseReader(json));
        case "decoder" -> sections.put("decoder", JsonParser.parseReader(json));
        default -> json.skipValue();
      }
    }
    json.endObject();
  }

  private void readModel(JsonReader json) throws IOException {
    json.beginObject();
    while (json.hasNext()) {
      String name = json.nextName();
      if (json.peek() == JsonToken.NULL) {
        json.nextNull();
        continue;
      }
      switch (name) {
        case "type" -> type = json.nextString();
        case "byte_fallback" -> byteFallback = json.nextBoolean();
        case "unk_token" -> unknown = json.nextString();
        case "vocab" -> {
          if (json.peek() != JsonToken.BEGIN_OBJECT) {
            json.skipValue(); // a list with scores: another type of model, refused below
          } else {
            json.beginObject();
            while (json.hasNext()) {
              ids.put(json.nextName(), id(json.nextLong()));
            }
            json.endObject();
          }
        }
        case "merges" -> {
          json.beginArray();
          while (json.hasNext()) {
            merges.add(merge(json));
          }
          json.endArray();
        }
        default -> json.skipValue();
      }
    }
    json.endObject();
  }

  /** A pair as one string with a blank between, or as two strings. */
  private static String merge(JsonReader json) throws IOException {
    if (json.peek() == JsonToken.STRING) {
      return json.nextString();
    }
    json.beginArray();
    String pair = json.nextString() + " " + json.nextString();
    json.endArray();
    return pair;
  }

  private int id(long id) {
    if (id < 0 || id >= MOST_TOKENS) {
      throw new ModelFileException(file, "vocab", "token id " + id + " is out of range");
    }
    return (int) id;
  }

  private void put(MetadataBuilder metadata, JsonObject settings, HubConfig config) {
    if (!type.equals("BPE") || ids.isEmpty()) {
      throw new ModelFileException(
          file,
          "model.type",
          ids.isEmpty() && type.equals("BPE")
              ? "the vocabulary is empty"
              : "'" + type + "'; BPE is supported. Take the model's GGUF file");
    }
    boolean overBytes = mentions("pre_tokenizer", "ByteLevel") || mentions("decoder", "ByteLevel");
    if (!overBytes && !byteFallback) {
      throw new ModelFileException(
          file, "model", "byte pair encoding neither over bytes nor with byte_fallback");
    }
    int largest = ids.values().stream().mapToInt(Integer::intValue).max().orElse(0);
    int size = (int) Math.max(largest + 1L, Math.min(config.vocabulary().orElse(0L), MOST_TOKENS));
    String[] tokens = new String[size];
    ids.forEach((token, id) -> tokens[id] = token);
    metadata.string(PREFIX + "model", overBytes ? "gpt2" : "llama");
    metadata.string(PREFIX + "pre", overBytes ? preTokenizer() : "default");
    metadata.integers(PREFIX + "token_type", types(tokens, overBytes));
    PackedStrings packedMerges = merges.build();
    if (overBytes) {
      metadata.strings(PREFIX + "merges", packedMerges);
    } else {
      metadata.reals(PREFIX + "scores", scores(packedMerges, size));
      metadata.flag(PREFIX + "add_space_prefix", addsSpace());
    }
    metadata.strings(PREFIX + "tokens", padded(tokens));
    specials(metadata, settings, config);
  }

  private int[] types(String[] tokens, boolean overBytes) {
    int[] types = new int[tokens.length];
    for (int id = 0; id < types.length; id++) {
      String token = tokens[id];
      Boolean special = added.get(id);
      if (token == null) {
        types[id] = UNUSED;
      } else if (!overBytes && token.equals(unknown)) {
        types[id] = UNKNOWN;
      } else if (special != null) {
        types[id] = special ? CONTROL : USER_DEFINED;
      } else {
        types[id] = !overBytes && token.matches("<0x[0-9A-F]{2}>") ? BYTE : NORMAL;
      }
    }
    return types;
  }

  /** A token's score: less the rank of the first merge that makes it. */
  private float[] scores(PackedStrings pairs, int size) {
    float[] scores = new float[size];
    boolean[] set = new boolean[size];
    for (int rank = 0; rank < pairs.size(); rank++) {
      String pair = pairs.get(rank);
      int blank = pair.indexOf(' ', 1);
      Integer id = blank < 0 ? null : ids.get(pair.substring(0, blank) + pair.substring(blank + 1));
      if (id == null) {
        throw new ModelFileException(
            file, "merges", "'" + pair + "' makes no token of the vocabulary");
      }
      if (!set[id]) {
        set[id] = true;
        scores[id] = -(rank + 1);
      }
    }
    return scores;
  }

  private static List<String> padded(String[] tokens) {
    for (int id = 0; id < tokens.length; id++) {
      if (tokens[id] == null) {
        tokens[id] = "[PAD" + id + "]";
      }
    }
    return Arrays.asList(tokens);
  }

  /** How text is cut before pairs are merged: told by the regex, where families share a name. */
  private String preTokenizer() {
    String regex = String.valueOf(sections.get("pre_tokenizer"));
    if (regex.contains("\\\\p{Lu}")) {
      return regex.contains("(?i:'s") || regex.contains("'s|") ? "gpt-4o" : "tekken";
    }
    if (regex.contains("(?i:'s") && regex.contains("\\\\p{N}{1,3}")) {
      return "llama-bpe";
    }
    if (regex.contains("(?i:'s") && regex.contains("|\\\\p{N}|")) {
      return "qwen2";
    }
    if (!regex.contains("\"Regex\"")) {
      return regex.contains("\"Digits\"") ? "refact" : "gpt-2";
    }
    throw new ModelFileException(
        file,
        "pre_tokenizer",
        "this way of cutting text is not known: "
            + (regex.length() > 300 ? regex.substring(0, 300) + "…" : regex));
  }

  private boolean addsSpace() {
    JsonElement pre = sections.get("pre_tokenizer");
    if (pre instanceof JsonObject object
        && object.get("prepend_scheme") instanceof JsonPrimitive p) {
      return !p.getAsString().equals("never");
    }
    return mentions("normalizer", "Prepend")
        || (pre instanceof JsonObject object
            && object.get("add_prefix_space") instanceof JsonPrimitive add
            && add.getAsBoolean());
  }

  private void specials(MetadataBuilder metadata, JsonObject settings, HubConfig config) {
    Optional<Integer> bos = token(settings, "bos_token", config);
    Optional<Integer> eos = token(settings, "eos_token", config);
    bos.ifPresent(id -> metadata.integer(PREFIX + "bos_token_id", id));
    ends(metadata, eos, config);
    token(settings, "unk_token", config)
        .ifPresent(id -> metadata.integer(PREFIX + "unknown_token_id", id));
    token(settings, "pad_token", config)
        .ifPresent(id -> metadata.integer(PREFIX + "padding_token_id", id));
    boolean addBos =
        settings.get("add_bos_token") instanceof JsonPrimitive flag
            ? flag.getAsBoolean()
            : bos.isPresent() && processed(0).equals(text(settings.get("bos_token")));
    metadata.flag(PREFIX + "add_bos_token", addBos);
    boolean addEos =
        settings.get("add_eos_token") instanceof JsonPrimitive flag
            ? flag.getAsBoolean()
            : eos.isPresent() && processed(-1).equals(text(settings.get("eos_token")));
    metadata.flag(PREFIX + "add_eos_token", addEos);
  }

  /** The tokens that end an answer: that of the tokenizer first, then what the model adds. */
  private static void ends(MetadataBuilder metadata, Optional<Integer> eos, HubConfig config) {
    Set<Long> ends = new LinkedHashSet<>();
    eos.ifPresent(id -> ends.add(id.longValue()));
    ends.addAll(config.ends());
    if (ends.isEmpty()) {
      config.usualEnd().ifPresent(ends::add);
    }
    long[] all = ends.stream().mapToLong(Long::longValue).filter(id -> id >= 0).toArray();
    if (all.length > 0) {
      metadata.integer(PREFIX + "eos_token_id", all[0]);
    }
    if (all.length > 1) {
      metadata.integers(PREFIX + "eos_token_ids", all);
      metadata.integer(PREFIX + "eot_token_id", all[1]); // for readers that know no list
    }
  }

  private Optional<Integer> token(JsonObject settings, String key, HubConfig config) {
    Optional<Integer> named = text(settings.get(key)).map(ids::get);
    return named.isPresent()
        ? named
        : config.token(key + "_id").filter(id -> id >= 0 && id < MOST_TOKENS).map(Long::intValue);
  }

  private static Optional<String> text(@Nullable JsonElement token) {
    return switch (token) {
      case JsonPrimitive text -> Optional.of(text.getAsString());
      case JsonObject object when object.get("content") instanceof JsonPrimitive text ->
          Optional.of(text.getAsString());
      case null, default -> Optional.empty();
    };
  }

  /** The special token that the post-processor puts first (0) or last (-1) around one text. */
  private Optional<String> processed(int index) {
    JsonElement processor = sections.getOrDefault("post_processor", JsonNull.INSTANCE);
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
    }
    return Optional.empty();
  }

  private boolean mentions(String section, String kind) {
    return String.valueOf(sections.get(section)).contains("\"" + kind + "\"");
  }
}

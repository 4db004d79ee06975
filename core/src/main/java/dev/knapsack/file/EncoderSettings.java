package dev.knapsack.file;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import dev.knapsack.error.ModelFileException;
import java.io.IOException;
import java.io.StringReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * The settings of sentence-transformers beside an encoder: what follows the last layer ({@code
 * modules.json}, {@code 1_Pooling}, {@code 2_Dense}), how long texts are ({@code
 * sentence_bert_config.json}) and what stands before them ({@code
 * config_sentence_transformers.json}).
 */
final class EncoderSettings {
  private static final String MODULES = "modules.json";
  private static final String POOLING = "1_Pooling";
  private static final long MOST_BYTES = 1 << 20;

  /** GGUF's numbers for ways to make one vector of those of all tokens. */
  private static final int MEAN = 1;

  private static final int CLS = 2;
  private static final int LAST = 3;

  private static final Map<String, Integer> POOLINGS =
      Map.of(
          "pooling_mode_mean_tokens", MEAN,
          "pooling_mode_cls_token", CLS,
          "pooling_mode_lasttoken", LAST);

  private static final Map<String, Integer> NAMED_POOLINGS =
      Map.of("mean", MEAN, "cls", CLS, "lasttoken", LAST);

  private final Path directory;
  private @Nullable Path pooling;
  private final List<Path> dense = new ArrayList<>();
  private final boolean known;

  private EncoderSettings(Path directory) {
    this.directory = directory;
    Path usual = directory.resolve(POOLING).resolve("config.json");
    pooling = Files.exists(usual) ? usual : null;
    Path modules = directory.resolve(MODULES);
    known = Files.exists(modules);
    if (known) {
      Json.guard(modules, () -> read(modules));
    }
  }

  /** The settings in a directory; none if it has none. */
  static EncoderSettings of(Path directory) {
    return new EncoderSettings(directory);
  }

  /** The settings of a file in a folder, which the hub keeps above that. */
  static EncoderSettings besideOrAbove(Path directory) {
    EncoderSettings beside = new EncoderSettings(directory);
    Path above = directory.getParent();
    return beside.known || beside.pooling != null || above == null
        ? beside
        : new EncoderSettings(above);
  }

  /** Says whether a directory says that it is an embedding model's. */
  boolean known() {
    return known;
  }

  /** The folders of the matrices that follow pooling, in turn. */
  List<Path> dense() {
    return dense;
  }

  private Path read(Path file) throws IOException {
    if (Files.size(file) > MOST_BYTES) {
      throw new ModelFileException(file, "size", "more than 1 MiB");
    }
    pooling = null;
    for (JsonElement element :
        JsonParser.parseReader(new StringReader(Files.readString(file))).getAsJsonArray()) {
      JsonObject module = element.getAsJsonObject();
      String type = Json.member(module, "type").getAsString();
      String path = module.get("path") instanceof JsonPrimitive text ? text.getAsString() : "";
      if (!path.matches("[\\w-]{0,100}")) {
        throw new ModelFileException(file, "path", "'" + path + "' is no folder beside it");
      }
      switch (type.substring(type.lastIndexOf('.') + 1)) {
        case "Transformer" -> {
          if (!path.isEmpty()) {
            throw new ModelFileException(
                file, "path", "weights in the folder '" + path + "' are not supported");
          }
        }
        case "Pooling" -> pooling = directory.resolve(path).resolve("config.json");
        case "Dense" -> dense.add(directory.resolve(path));
        case "Normalize" -> {} // whoever asks for a vector says whether it is to have length 1
        default ->
            throw new ModelFileException(
                file,
                "type",
                "'" + type + "'; supported are Transformer, Pooling, Dense and Normalize");
      }
    }
    return file;
  }

  /**
   * Puts how a text becomes a vector.
   *
   * @param tokenizer may say how long texts are, where nothing else does
   * @param notes takes sentences on what is guessed
   */
  void put(
      MetadataBuilder metadata,
      String architecture,
      Optional<HubTokenizer> tokenizer,
      List<String> notes) {
    String key = architecture + ".pooling_type";
    if (pooling != null) {
      metadata.integer(key, pooling(pooling, notes));
    } else {
      metadata.integer(key, MEAN);
      notes.add(
          "nothing says how the vectors of tokens become one (1_Pooling/config.json does, where it"
              + " is there); their mean is taken");
    }
    length(tokenizer).ifPresent(length -> metadata.integer(ModelFile.EMBEDDED_TOKENS, length));
    prompts(metadata);
  }

  private static int pooling(Path file, List<String> notes) {
    JsonObject json = Json.object(file, MOST_BYTES);
    if (json.get("include_prompt") instanceof JsonPrimitive include
        && include.isBoolean()
        && !include.getAsBoolean()) {
      notes.add("its own library leaves a prompt's tokens out of the mean; here they count");
    }
    if (json.get("pooling_mode") instanceof JsonPrimitive named) {
      Integer type = NAMED_POOLINGS.get(named.getAsString());
      if (type != null) {
        return type;
      }
      throw new ModelFileException(
          file, "pooling_mode", named + "; supported are cls, lasttoken and mean");
    }
    Set<String> modes = new TreeSet<>();
    for (Map.Entry<String, JsonElement> entry : json.entrySet()) {
      if (entry.getKey().startsWith("pooling_mode_")
          && entry.getValue() instanceof JsonPrimitive flag
          && flag.isBoolean()
          && flag.getAsBoolean()) {
        modes.add(entry.getKey());
      }
    }
    Integer type = modes.size() == 1 ? POOLINGS.get(modes.iterator().next()) : null;
    if (type == null) {
      throw new ModelFileException(
          file,
          "pooling",
          modes + "; one alone is supported of " + new TreeSet<>(POOLINGS.keySet()));
    }
    return type;
  }

  /** The tokens at which the model's own library cuts a text. */
  private Optional<Long> length(Optional<HubTokenizer> tokenizer) {
    Path file = directory.resolve("sentence_bert_config.json");
    JsonElement length =
        Files.exists(file) ? Json.object(file, MOST_BYTES).get("max_seq_length") : null;
    if (length instanceof JsonPrimitive number && number.isNumber() && number.getAsLong() > 0) {
      return Optional.of(number.getAsLong());
    }
    return tokenizer
        .map(one -> one.json().section("truncation"))
        .filter(JsonObject.class::isInstance)
        .map(cut -> Json.member(cut.getAsJsonObject(), "max_length").getAsLong());
  }

  private void prompts(MetadataBuilder metadata) {
    Path file = directory.resolve("config_sentence_transformers.json");
    if (!Files.exists(file)) {
      return;
    }
    JsonObject json = Json.object(file, MOST_BYTES);
    if (json.get("prompts") instanceof JsonObject prompts) {
      prompts
          .asMap()
          .forEach((name, text) -> {
            if (text instanceof JsonPrimitive prompt) {
              metadata.string(ModelFile.PROMPT + name, prompt.getAsString());
            }
          });
    }
    if (json.get("default_prompt_name") instanceof JsonPrimitive name) {
      metadata.string(ModelFile.USUAL_PROMPT, name.getAsString());
    }
  }
}

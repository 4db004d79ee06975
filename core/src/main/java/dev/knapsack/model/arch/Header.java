package dev.knapsack.model.arch;

import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.Metadata;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.kernel.Rope;
import dev.knapsack.model.Diffusion;
import dev.knapsack.model.ModelSpec;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/**
 * The hyperparameters in a model file's header, each checked to be a number that a model can have.
 *
 * <p>Keys are written without the architecture: {@code block_count} for {@code llama.block_count}.
 */
final class Header {
  private static final int MOST_LAYERS = 4096;
  private static final int MOST_HEADS = 65_536;
  static final int MOST_COLUMNS = 1 << 24;
  private static final int MOST_TAPS = 64;
  private static final int MOST_TOKENS = 1 << 28;

  // These two have no architecture before them.
  private static final String MASK = "tokenizer.ggml.mask_token_id";
  private static final String SHIFTED = "diffusion.shift_logits";

  private final ModelFile file;
  private final Metadata metadata;
  private final String architecture;
  private final int blocks;
  private final int layers;
  private final Map<String, Rope> ropes = new HashMap<>();

  Header(ModelFile file, String architecture) {
    this.file = file;
    this.metadata = file.metadata();
    this.architecture = architecture;
    this.blocks = count("block_count", MOST_LAYERS);
    this.layers = blocks - blocksThatPredict();
  }

  String architecture() {
    return architecture;
  }

  String name() {
    return metadata.findString("general.name").orElse(architecture);
  }

  /**
   * Layers that a token goes through: all blocks but those at the end that predict further ones.
   */
  int layers() {
    return layers;
  }

  private int blocksThatPredict() {
    String key = "nextn_predict_layers";
    return has(key) ? checked(key, metadata.integer(key(key)), 0, blocks - 1) : 0;
  }

  int width() {
    return columns("embedding_length");
  }

  /** Tokens of the vocabulary: rows of the embedding. */
  int vocabulary() {
    return rows(ModelSpec.EMBEDDING);
  }

  /** Tokens the model was trained to handle. */
  int context() {
    return count("context_length", MOST_TOKENS);
  }

  int heads(int layer) {
    return perLayer("attention.head_count", layer, MOST_HEADS);
  }

  int kvHeads(int layer) {
    int heads = heads(layer);
    if (!has("attention.head_count_kv")) {
      return heads;
    }
    int kvHeads = perLayer("attention.head_count_kv", layer, MOST_HEADS);
    if (heads % kvHeads != 0) {
      throw wrong(
          "attention.head_count_kv",
          "%d query heads cannot share %d key and value heads evenly".formatted(heads, kvHeads));
    }
    return kvHeads;
  }

  /** Says whether a layer has attention, where a file says so by its heads. */
  boolean hasKvHeads(int layer) {
    return perLayer("attention.head_count_kv", layer, 0, MOST_HEADS) > 0;
  }

  /** Says whether a layer has an MLP, where a file says so by its width. */
  boolean hasFeedForward(int layer) {
    return perLayer("feed_forward_length", layer, 0, MOST_COLUMNS) > 0;
  }

  int keySize(int layer) {
    return headSize("attention.key_length", layer);
  }

  int valueSize(int layer) {
    return headSize("attention.value_length", layer);
  }

  int headSize(String key, int layer) {
    int size = has(key) ? columns(key) : evenHeadSize(layer);
    if ((long) size * heads(layer) > MOST_COLUMNS) {
      throw wrong(key, "%d heads of %d numbers are too many".formatted(heads(layer), size));
    }
    return size;
  }

  private int evenHeadSize(int layer) {
    if (width() % heads(layer) != 0) {
      throw wrong(
          "attention.head_count",
          "%d heads do not divide a width of %d, and there is no %s.attention.key_length"
              .formatted(heads(layer), width(), architecture));
    }
    return width() / heads(layer);
  }

  /** Numbers in a key of latent attention: files say them by another name than what is cached. */
  int latentKeySize(int layer) {
    return headSize(latent("key_length"), layer);
  }

  int latentValueSize(int layer) {
    return headSize(latent("value_length"), layer);
  }

  private String latent(String length) {
    String own = "attention." + length + "_mla";
    return has(own) ? own : "attention." + length;
  }

  /** Numbers that the keys and values of latent attention are projections of. */
  int latentContent(int layer) {
    String key = "attention.kv_lora_rank";
    int content = columns(key);
    if ((long) heads(layer) * (content + columns("rope.dimension_count")) > MOST_COLUMNS) {
      throw wrong(key, "%d numbers are too many for %d heads".formatted(content, heads(layer)));
    }
    return content;
  }

  boolean has(String key) {
    return metadata.has(key(key));
  }

  String text(String key, String otherwise) {
    return metadata.findString(key(key)).orElse(otherwise);
  }

  /** A required number of columns. */
  int columns(String key) {
    return count(key, MOST_COLUMNS);
  }

  int columns(String key, int otherwise) {
    return has(key) ? columns(key) : otherwise;
  }

  /** A number of columns that may be 0 or absent, for none. */
  int optionalColumns(String key) {
    return has(key) ? checked(key, metadata.integer(key(key)), 0, MOST_COLUMNS) : 0;
  }

  /** The same of a layer; files may hold one for each. */
  int optionalColumns(String key, int layer) {
    return has(key) ? perLayer(key, layer, 0, MOST_COLUMNS) : 0;
  }

  /** The feed-forward width of a layer; files may hold one for each layer. */
  int columns(String key, int layer, int otherwise) {
    return has(key) ? perLayer(key, layer, MOST_COLUMNS) : otherwise;
  }

  /** A number of tokens that may be 0 or absent, for none. */
  int tokens(String key, int otherwise) {
    return has(key) ? checked(key, metadata.integer(key(key)), 0, MOST_TOKENS) : otherwise;
  }

  /** A number of things that may be 0 or absent, for none. */
  int optionalCount(String key) {
    return has(key) ? checked(key, metadata.integer(key(key)), 0, MOST_HEADS) : 0;
  }

  /** The same of a layer; files may hold one for each. */
  int optionalCount(String key, int layer) {
    return has(key) ? perLayer(key, layer, 0, MOST_HEADS) : 0;
  }

  /** A required number of heads, or of groups of them. */
  int heads(String key) {
    return count(key, MOST_HEADS);
  }

  /** The taps of a convolution. */
  int taps(String key) {
    return count(key, MOST_TAPS);
  }

  /** A required number of things, at least one. */
  private int count(String key, int most) {
    return checked(key, metadata.integer(key(key)), 1, most);
  }

  private int perLayer(String key, int layer, int most) {
    return perLayer(key, layer, 1, most);
  }

  private int perLayer(String key, int layer, int least, int most) {
    long[] values = metadata.integers(key(key));
    if (values.length != 1 && values.length != blocks) {
      throw wrong(key, "%d values for %d layers".formatted(values.length, blocks));
    }
    return checked(key, values[values.length == 1 ? 0 : layer], least, most);
  }

  private int checked(String key, long value, long least, long most) {
    if (value < least || value > most) {
      throw wrong(key, "must be between %d and %d, and is %d".formatted(least, most, value));
    }
    return (int) value;
  }

  /** A required number above 0. */
  float positive(String key) {
    double value = metadata.real(key(key));
    // As a float it must still be above 0 and finite; NaN is neither.
    if (!((float) value > 0 && (float) value < Float.POSITIVE_INFINITY)) {
      throw wrong(key, "must be a number above 0, and is " + value);
    }
    return (float) value;
  }

  float positive(String key, float otherwise) {
    return has(key) ? positive(key) : otherwise;
  }

  /** A number from 0 that stands for none when it is 0 or absent. */
  float optional(String key, float otherwise) {
    return has(key) && metadata.real(key(key)) != 0 ? positive(key) : has(key) ? 0 : otherwise;
  }

  /** A number of each layer, or of all, under a key that does not begin with the architecture. */
  float unprefixed(String key, int layer) {
    float[] values = metadata.reals(key);
    if (values.length != 1 && values.length != layers) {
      throw new ModelFileException(
          file.path(), key, "%d values for %d layers".formatted(values.length, layers));
    }
    float value = values[values.length == 1 ? 0 : layer];
    if (!Float.isFinite(value)) {
      throw new ModelFileException(file.path(), key, "must be a number, and is " + value);
    }
    return value;
  }

  /** A number of a layer, from 0, that stands for none when it is 0 or absent. */
  float layerNumber(String key, int layer) {
    if (!has(key)) {
      return 0;
    }
    float[] values = metadata.reals(key(key));
    if (values.length != layers) {
      throw wrong(key, "%d values for %d layers".formatted(values.length, layers));
    }
    float value = values[layer];
    if (!(value >= 0 && value < Float.POSITIVE_INFINITY)) {
      throw wrong(key, "must be numbers from 0, and has " + value);
    }
    return value;
  }

  boolean flag(String key, boolean otherwise) {
    return metadata.flag(key(key), otherwise);
  }

  /**
   * A flag of each layer: in an array, or in a number for all but the last of every so many, where
   * 0 is for all.
   */
  boolean layerFlag(String key, int layer, boolean otherwise) {
    return layerFlag(key, layer, otherwise, 1);
  }

  /**
   * The same, where a number is for all but the first of every so many.
   *
   * @param usual such a number, in a file that has no flags
   */
  boolean layerFlag(String key, int layer, int usual) {
    return layerFlag(key, layer, layer % usual != 0, 0);
  }

  private boolean layerFlag(String key, int layer, boolean otherwise, int offset) {
    if (!has(key)) {
      return otherwise;
    }
    long[] flags = metadata.integers(key(key));
    if (flags.length == blocks && !(metadata.all().get(key(key)) instanceof Number)) {
      return flags[layer] != 0;
    }
    if (flags.length != 1) {
      throw wrong(key, "%d values for %d layers".formatted(flags.length, blocks));
    }
    int period = checked(key, flags[0], 0, MOST_LAYERS);
    return period == 0 || (layer + offset) % period != 0;
  }

  /** The number that GGUF has for a way to pool; 0 for none, or none named. */
  int pooling() {
    String key = "pooling_type";
    return has(key) ? checked(key, metadata.integer(key(key)), 0, 4) : 0;
  }

  /** Numbers that a classifier gives: one, where it has no names for several. */
  int labels() {
    return metadata.all().get(key("classifier.output_labels")) instanceof List<?> names
        ? Math.max(1, names.size())
        : 1;
  }

  /** The token that ends a part of a text; the spelling is GGUF's. */
  int separator() {
    return (int) metadata.integer("tokenizer.ggml.seperator_token_id", 102);
  }

  /** The way in which a model denoises: shifted, in a file that does not say. */
  Diffusion diffusion() {
    int vocabulary = rows(ModelSpec.EMBEDDING);
    long mask = metadata.integer(MASK);
    if (mask < 0 || mask >= vocabulary) {
      throw new ModelFileException(
          file.path(),
          MASK,
          "is %d, and the vocabulary has %,d tokens".formatted(mask, vocabulary));
    }
    return new Diffusion((int) mask, metadata.flag(SHIFTED, true));
  }

  /** So many whole numbers, none below {@code least} or above {@code most}. */
  long[] integers(String key, int count, long least, long most) {
    long[] values = integers(key, least, most);
    if (values.length != count) {
      throw wrong(key, "must be %,d numbers, and has %,d".formatted(count, values.length));
    }
    return values;
  }

  /** Whole numbers, none below {@code least} or above {@code most}. */
  long[] integers(String key, long least, long most) {
    long[] values = metadata.integers(key(key));
    for (long value : values) {
      if (value < least || value > most) {
        throw wrong(key, "must be between %d and %d, and has %d".formatted(least, most, value));
      }
    }
    return values;
  }

  ModelFileException wrong(String key, String problem) {
    return new ModelFileException(file.path(), key(key), problem);
  }

  /** The rotary embedding of this name, made once: most layers have the same. */
  Rope shared(String name, Supplier<Rope> make) {
    return ropes.computeIfAbsent(name, n -> make.get());
  }

  /** Rows of a matrix that must be there. */
  int rows(String name) {
    TensorInfo tensor = file.tensors().get(name);
    if (tensor == null || tensor.shape().size() != 2) {
      throw new ModelFileException(
          file.path(),
          name,
          tensor == null
              ? "the tensor is missing"
              : "must be a matrix, and has the shape " + tensor.shape());
    }
    long rows = tensor.shape().get(1);
    if (rows < 1 || rows > MOST_TOKENS) {
      throw new ModelFileException(file.path(), name, "has %,d rows".formatted(rows));
    }
    return (int) rows;
  }

  boolean hasTensor(String name) {
    return file.tensors().containsKey(name);
  }

  /** The numbers of a small tensor of this length, above 0 each. */
  float[] factors(String name, int length) {
    TensorInfo tensor = file.tensors().get(name);
    if (tensor == null || tensor.values() != length) {
      throw new ModelFileException(
          file.path(),
          name,
          "must hold %d numbers, and %s"
              .formatted(
                  length, tensor == null ? "is missing" : "has the shape " + tensor.shape()));
    }
    float[] factors = new float[length];
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment stored = arena.allocate(tensor.bytes());
      file.read(tensor, 0, stored);
      tensor.format().decode(stored, 0, MemorySegment.ofArray(factors), 0, length);
    }
    for (float factor : factors) {
      if (!(factor > 0 && factor < Float.POSITIVE_INFINITY)) {
        throw new ModelFileException(
            file.path(), name, "must hold numbers above 0, and has " + Arrays.toString(factors));
      }
    }
    return factors;
  }

  ModelFile file() {
    return file;
  }

  private String key(String key) {
    return architecture + "." + key;
  }
}

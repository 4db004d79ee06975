package dev.knapsack.model;

import dev.knapsack.file.Metadata;
import dev.knapsack.file.MetadataBuilder;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.model.TensorSpec.Role;
import dev.knapsack.model.arch.Families;
import dev.knapsack.tensor.Format;
import dev.knapsack.text.ByteAlphabet;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;

/** The header of a {@link SyntheticModel}: metadata, a made-up vocabulary, and the tensors. */
final class SyntheticHeader {
  private static final List<String> SPECIAL =
      List.of("<|begin_of_text|>", "<|im_start|>", "<|im_end|>", "<|end_of_text|>");

  /** Pairs that merge, so that common words are fewer tokens than letters. */
  private static final List<String> MERGES =
      List.of("Ġ t", "h e", "Ġ a", "i n", "Ġt he", "r e", "o n", "Ġ s", "n d", "Ġ w", "e r", "i t");

  private static final String TEMPLATE =
      """
      {% for message in messages %}<|im_start|>{{ message['role'] }}
      {{ message['content'] }}<|im_end|>
      {% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
      {% endif %}\
      """;

  private final PublishedShape shape;
  private final FormatChoice choice;
  private final Map<String, TensorInfo> tensors = new LinkedHashMap<>();
  private final Map<String, Role> roles = new HashMap<>();
  private final Set<String> mixers = new HashSet<>();

  SyntheticHeader(PublishedShape shape, Format format) {
    this.shape = shape;
    choice = FormatChoice.of(format, null, shape.experts() > 0);
    addTensors();
    findMixers();
  }

  Metadata metadata(Path file, long seed) {
    String name = shape.name() + " with random weights, seed " + seed;
    return vocabulary(hyperparameters().string("general.name", name)).build(file);
  }

  private MetadataBuilder hyperparameters() {
    MetadataBuilder metadata =
        new MetadataBuilder()
            .string("general.architecture", shape.architecture())
            .integer("general.file_type", FormatChoice.fileType(choice.experts()))
            .integer("general.quantization_version", 2)
            .integer(key("block_count"), shape.layers())
            .integer(key("context_length"), shape.context())
            .integer(key("embedding_length"), shape.width())
            .integer(key("feed_forward_length"), shape.feedForward())
            .integer(key("vocab_size"), shape.vocabulary())
            .real(key("attention.layer_norm_rms_epsilon"), shape.normEpsilon());
    if (shape.heads() > 0) {
      metadata
          .integer(key("attention.head_count"), shape.heads())
          .integer(key("attention.head_count_kv"), shape.kvHeads())
          .integer(key("attention.key_length"), shape.headSize())
          .integer(key("attention.value_length"), shape.headSize())
          .integer(key("rope.dimension_count"), shape.headSize())
          .real(key("rope.freq_base"), shape.ropeBase());
    }
    if (shape.experts() > 0) {
      metadata
          .integer(key("expert_count"), shape.experts())
          .integer(key("expert_used_count"), shape.usedExperts())
          .integer(key("expert_feed_forward_length"), shape.expertFeedForward());
    }
    if (shape.keys().containsKey("rope.scaling.factor")) {
      metadata.string(key("rope.scaling.type"), "yarn");
    }
    // In the order of the keys: the same shape and seed give the same file.
    new TreeMap<>(shape.keys())
        .forEach((name, value) -> {
          if (!name.equals(PublishedShape.LLAMA3_FACTOR)) {
            put(metadata, key(name), value);
          }
        });
    return metadata;
  }

  private static void put(MetadataBuilder metadata, String key, Object value) {
    switch (value) {
      case Integer integer -> metadata.integer(key, integer);
      case Double real -> metadata.real(key, real);
      case Boolean flag -> metadata.flag(key, flag);
      case List<?> layers -> putLayers(metadata, key, layers);
      default -> throw new IllegalArgumentException("%s: %s is no value".formatted(key, value));
    }
  }

  private static void putLayers(MetadataBuilder metadata, String key, List<?> layers) {
    if (layers.getFirst() instanceof Boolean) {
      boolean[] flags = new boolean[layers.size()];
      for (int l = 0; l < flags.length; l++) {
        flags[l] = (Boolean) layers.get(l);
      }
      metadata.flags(key, flags);
    } else {
      metadata.integers(key, layers.stream().mapToInt(layer -> (Integer) layer).toArray());
    }
  }

  private String key(String name) {
    return shape.architecture() + "." + name;
  }

  private MetadataBuilder vocabulary(MetadataBuilder metadata) {
    int size = shape.vocabulary();
    List<String> tokens = new ArrayList<>(size);
    for (int b = 0; b < 256; b++) {
      tokens.add(String.valueOf(ByteAlphabet.character(b)));
    }
    MERGES.forEach(merge -> tokens.add(merge.replace(" ", "")));
    int fillers = size - tokens.size() - SPECIAL.size();
    if (fillers < 0) {
      throw new IllegalArgumentException(
          "A vocabulary needs at least %d tokens, not %d"
              .formatted(tokens.size() + SPECIAL.size(), size));
    }
    for (int i = 0; i < fillers; i++) {
      tokens.add(word(i));
    }
    tokens.addAll(SPECIAL);
    int[] types = new int[size];
    Arrays.fill(types, 1);
    Arrays.fill(types, size - SPECIAL.size(), size, 3);
    return metadata
        .string("tokenizer.ggml.model", "gpt2")
        .string("tokenizer.ggml.pre", "gpt-2")
        .strings("tokenizer.ggml.tokens", tokens)
        .integers("tokenizer.ggml.token_type", types)
        .strings("tokenizer.ggml.merges", MERGES)
        .integer("tokenizer.ggml.bos_token_id", size - SPECIAL.size())
        .integer("tokenizer.ggml.eos_token_id", size - SPECIAL.size() + 2)
        .flag("tokenizer.ggml.add_bos_token", true)
        .string("tokenizer.chat_template", TEMPLATE);
  }

  /** A made-up word after a space: three syllables or more, another for each number. */
  private static String word(int number) {
    String consonants = "bdfgklmnprstvz";
    String vowels = "aeiou";
    StringBuilder word = new StringBuilder("Ġ");
    int rest = number;
    for (int syllable = 0; syllable < 3 || rest > 0; syllable++) {
      word.append(consonants.charAt(rest % 14)).append(vowels.charAt(rest / 14 % 5));
      rest /= 70;
    }
    return word.toString();
  }

  /** The tensors in the order in which published files have them. */
  List<TensorInfo> tensors() {
    return List.copyOf(tensors.values());
  }

  Role role(TensorInfo tensor) {
    return Objects.requireNonNull(roles.get(tensor.name()));
  }

  /** Says whether a tensor says how much is added by a block in which tokens see each other. */
  boolean isOfMixer(TensorInfo tensor) {
    return mixers.contains(tensor.name());
  }

  private void findMixers() {
    List<LayerSpec> layers = Families.spec(new HeaderOnly()).layers();
    for (int l = 0; l < layers.size(); l++) {
      for (Block block : layers.get(l).blocks()) {
        if (block.mixesTokens()) {
          mixers.add(WeightLayout.name(l, String.valueOf(block.norms().after())));
        }
      }
      for (Block part : layers.get(l).parts()) {
        List<TensorSpec> matrices =
            part.tensors().stream()
                .filter(t -> t.role() == Role.MATRIX || t.role() == Role.EMBEDDING)
                .toList();
        if (part.mixesTokens()) {
          mixers.add(WeightLayout.name(l, matrices.getLast().name()));
          mixers.add(WeightLayout.name(l, String.valueOf(part.norms().after())));
        }
      }
    }
  }

  private void addTensors() {
    List<TensorSpec> tensors = new ArrayList<>();
    tensors.add(
        new TensorSpec(ModelSpec.EMBEDDING, Role.EMBEDDING, shape.width(), shape.vocabulary()));
    if (!shape.tied()) {
      tensors.add(new TensorSpec(ModelSpec.OUTPUT, Role.OUTPUT, shape.width(), shape.vocabulary()));
    }
    if (shape.keys().containsKey(PublishedShape.LLAMA3_FACTOR) || rotatesAQuarter()) {
      tensors.add(new TensorSpec("rope_freqs.weight", Role.NUMBERS, shape.headSize() / 2));
    }
    if (shape.architecture().equals("phi3")) {
      tensors.add(new TensorSpec("rope_factors_long.weight", Role.NUMBERS, shape.headSize() / 2));
      tensors.add(new TensorSpec("rope_factors_short.weight", Role.NUMBERS, shape.headSize() / 2));
    }
    tensors.forEach(this::add);
    Families.tensors(new HeaderOnly()).forEach(this::add);
  }

  private void add(TensorSpec tensor) {
    boolean isOutput = shape.tied() && tensor.name().equals(ModelSpec.EMBEDDING);
    Format wanted = choice.wanted(tensor.role(), isOutput);
    Format fitting = FormatChoice.fitting(wanted, tensor.shape().getFirst());
    roles.put(tensor.name(), tensor.role());
    tensors.put(tensor.name(), new TensorInfo(tensor.name(), fitting, tensor.shape()));
  }

  /** The header as a file, of whose tensors the rotary divisors can be read. */
  private final class HeaderOnly implements ModelFile {
    @Override
    public Path path() {
      return Path.of(shape.name());
    }

    @Override
    public Metadata metadata() {
      return hyperparameters().build(path());
    }

    @Override
    public Map<String, TensorInfo> tensors() {
      return tensors;
    }

    @Override
    public void read(TensorInfo tensor, long from, MemorySegment into) {
      into.copyFrom(MemorySegment.ofArray(ropeDivisors(tensor.name())));
    }

    @Override
    public long alignment(TensorInfo tensor, long from) {
      return 0;
    }

    @Override
    public void close() {}
  }

  /** The divisors of the rotary frequencies in a tensor of that name. */
  float[] ropeDivisors(String name) {
    float[] divisors = new float[shape.headSize() / 2];
    for (int i = 0; i < divisors.length; i++) {
      divisors[i] =
          switch (name) {
            case "rope_freqs.weight" -> rotatesAQuarter() ? quarterDivisor(i) : llama3Divisor(i);
            // From 1 to 64 in even steps of the logarithm; the published ones are searched.
            case "rope_factors_long.weight" -> (float) Math.pow(64, i / (divisors.length - 1.0));
            default -> 1;
          };
    }
    return divisors;
  }

  private boolean rotatesAQuarter() {
    return shape.architecture().equals("gemma4");
  }

  /** The first quarter of the pairs turns, the others stand still. */
  private float quarterDivisor(int pair) {
    return pair < shape.headSize() / 8 ? 1 : 1e30f;
  }

  /** Frequencies below 1 / 8192 are divided by the factor, those above 4 / 8192 are not. */
  private float llama3Divisor(int pair) {
    double factor =
        ((Number) shape.keys().getOrDefault(PublishedShape.LLAMA3_FACTOR, 1)).doubleValue();
    double frequency = Math.pow(shape.ropeBase(), -2.0 * pair / shape.headSize());
    double turns = 8192 * frequency / (2 * Math.PI);
    double smooth = Math.clamp((turns - 1) / (4 - 1), 0.0, 1.0);
    return (float) (1 / ((1 - smooth) / factor + smooth));
  }
}

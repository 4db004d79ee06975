package dev.knapsack.model;

import dev.knapsack.file.Metadata;
import dev.knapsack.file.MetadataBuilder;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.text.ByteAlphabet;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
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

  SyntheticHeader(PublishedShape shape, Format format) {
    this.shape = shape;
    choice = FormatChoice.of(format, null, shape.experts() > 0);
  }

  Metadata metadata(Path file, long seed) {
    MetadataBuilder metadata =
        new MetadataBuilder()
            .string("general.architecture", shape.architecture())
            .string("general.name", shape.name() + " with random weights, seed " + seed)
            .integer("general.file_type", FormatChoice.fileType(choice.experts()))
            .integer("general.quantization_version", 2)
            .integer(key("block_count"), shape.layers())
            .integer(key("context_length"), shape.context())
            .integer(key("embedding_length"), shape.width())
            .integer(key("feed_forward_length"), shape.feedForward())
            .integer(key("vocab_size"), shape.vocabulary())
            .integer(key("attention.head_count"), shape.heads())
            .integer(key("attention.head_count_kv"), shape.kvHeads())
            .integer(key("attention.key_length"), shape.headSize())
            .integer(key("attention.value_length"), shape.headSize())
            .real(key("attention.layer_norm_rms_epsilon"), shape.normEpsilon())
            .integer(key("rope.dimension_count"), shape.headSize())
            .real(key("rope.freq_base"), shape.ropeBase());
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
          if (value instanceof Integer integer && !name.equals(PublishedShape.LLAMA3_FACTOR)) {
            metadata.integer(key(name), integer);
          } else if (value instanceof Double real) {
            metadata.real(key(name), real);
          }
        });
    return vocabulary(metadata).build(file);
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
    List<TensorInfo> tensors = new ArrayList<>();
    long width = shape.width();
    add(tensors, "token_embd.weight", width, shape.vocabulary());
    if (!shape.tied()) {
      add(tensors, "output.weight", width, shape.vocabulary());
    }
    add(tensors, "output_norm.weight", width);
    if (shape.keys().containsKey(PublishedShape.LLAMA3_FACTOR)) {
      add(tensors, "rope_freqs.weight", shape.headSize() / 2);
    }
    if (shape.architecture().equals("phi3")) {
      add(tensors, "rope_factors_long.weight", shape.headSize() / 2);
      add(tensors, "rope_factors_short.weight", shape.headSize() / 2);
    }
    for (int layer = 0; layer < shape.layers(); layer++) {
      String prefix = "blk." + layer + ".";
      attention(tensors, prefix);
      if (shape.experts() > 0) {
        experts(tensors, prefix);
      } else {
        dense(tensors, prefix);
      }
    }
    return tensors;
  }

  private void attention(List<TensorInfo> tensors, String prefix) {
    String architecture = shape.architecture();
    long width = shape.width();
    long queries = (long) shape.heads() * shape.headSize();
    long keys = (long) shape.kvHeads() * shape.headSize();
    boolean gptOss = architecture.equals("gpt-oss");
    add(tensors, prefix + "attn_norm.weight", width);
    if (architecture.equals("phi3")) {
      add(tensors, prefix + "attn_qkv.weight", width, queries + 2 * keys);
    } else {
      add(tensors, prefix + "attn_q.weight", width, queries);
      add(tensors, prefix + "attn_k.weight", width, keys);
      add(tensors, prefix + "attn_v.weight", width, keys);
    }
    if (gptOss || architecture.equals("qwen2")) {
      add(tensors, prefix + "attn_q.bias", queries);
      add(tensors, prefix + "attn_k.bias", keys);
      add(tensors, prefix + "attn_v.bias", keys);
    }
    if (architecture.startsWith("qwen3") || architecture.equals("gemma3")) {
      add(tensors, prefix + "attn_q_norm.weight", shape.headSize());
      add(tensors, prefix + "attn_k_norm.weight", shape.headSize());
    }
    add(tensors, prefix + "attn_output.weight", queries, width);
    if (gptOss) {
      add(tensors, prefix + "attn_output.bias", width);
      add(tensors, prefix + "attn_sinks.weight", shape.heads());
    }
    if (gptOss || architecture.equals("gemma3")) {
      add(tensors, prefix + "post_attention_norm.weight", width);
    }
    if (!gptOss) {
      add(tensors, prefix + "ffn_norm.weight", width);
    }
  }

  private void dense(List<TensorInfo> tensors, String prefix) {
    long width = shape.width();
    long hidden = shape.feedForward();
    if (shape.architecture().equals("phi3")) {
      add(tensors, prefix + "ffn_up.weight", width, 2 * hidden);
    } else {
      add(tensors, prefix + "ffn_gate.weight", width, hidden);
      add(tensors, prefix + "ffn_up.weight", width, hidden);
    }
    add(tensors, prefix + "ffn_down.weight", hidden, width);
    if (shape.architecture().equals("gemma3")) {
      add(tensors, prefix + "post_ffw_norm.weight", width);
    }
  }

  private void experts(List<TensorInfo> tensors, String prefix) {
    long width = shape.width();
    long hidden = shape.expertFeedForward();
    long count = shape.experts();
    add(tensors, prefix + "ffn_gate_inp.weight", width, count);
    add(tensors, prefix + "ffn_gate_exps.weight", width, hidden, count);
    add(tensors, prefix + "ffn_up_exps.weight", width, hidden, count);
    add(tensors, prefix + "ffn_down_exps.weight", hidden, width, count);
    if (shape.architecture().equals("gpt-oss")) {
      add(tensors, prefix + "ffn_gate_inp.bias", count);
      add(tensors, prefix + "ffn_gate_exps.bias", hidden, count);
      add(tensors, prefix + "ffn_up_exps.bias", hidden, count);
      add(tensors, prefix + "ffn_down_exps.bias", width, count);
    }
  }

  private void add(List<TensorInfo> tensors, String name, long... size) {
    List<Long> list = Arrays.stream(size).boxed().toList();
    Format wanted = choice.wanted(name, list, shape.tied());
    tensors.add(new TensorInfo(name, FormatChoice.fitting(wanted, size[0]), list));
  }

  /** Whether {@code post_attention_norm} norms what attention adds, and not what the MLP reads. */
  boolean hasNormAfterAttention() {
    return shape.architecture().equals("gemma3");
  }

  /** Whether a vector's numbers are all 1. */
  static boolean isOne(TensorInfo tensor) {
    return tensor.name().contains("_norm.") && tensor.format().equals(Formats.F32);
  }

  /** The divisors of the rotary frequencies in a tensor of that name. */
  float[] ropeDivisors(String name) {
    float[] divisors = new float[shape.headSize() / 2];
    for (int i = 0; i < divisors.length; i++) {
      divisors[i] =
          switch (name) {
            case "rope_freqs.weight" -> llama3Divisor(i);
            // From 1 to 64 in even steps of the logarithm; the published ones are searched.
            case "rope_factors_long.weight" -> (float) Math.pow(64, i / (divisors.length - 1.0));
            default -> 1;
          };
    }
    return divisors;
  }

  /** Frequencies below 1 / 8192 are divided by the factor, those above 4 / 8192 are not. */
  private float llama3Divisor(int pair) {
    double factor = shape.keys().getOrDefault(PublishedShape.LLAMA3_FACTOR, 1).doubleValue();
    double frequency = Math.pow(shape.ropeBase(), -2.0 * pair / shape.headSize());
    double turns = 8192 * frequency / (2 * Math.PI);
    double smooth = Math.clamp((turns - 1) / (4 - 1), 0.0, 1.0);
    return (float) (1 / ((1 - smooth) / factor + smooth));
  }
}

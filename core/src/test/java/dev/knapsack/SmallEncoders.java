package dev.knapsack;

import dev.knapsack.file.GgufWriter;
import dev.knapsack.file.Metadata;
import dev.knapsack.file.MetadataBuilder;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/**
 * Writes the small encoders of the tests' resources: BERT with random weights and a token a letter,
 * under a name whose kin want words before a text.
 */
final class SmallEncoders {
  static final Path ENCODER = resource("small-encoder.gguf");
  static final Path RERANKER = resource("small-reranker.gguf");

  static final int WIDTH = 32;
  static final int CONTEXT = 64;
  private static final int LAYERS = 2;
  private static final int INNER = 64;
  private static final int PARTS = 2;

  private final boolean scores;
  private final List<String> tokens =
      new ArrayList<>(List.of("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"));
  private final int specials = tokens.size();
  private final Map<TensorInfo, float[]> tensors = new LinkedHashMap<>();
  private final SplittableRandom random = new SplittableRandom(28);

  /**
   * @param scores whether it makes scores of pairs, and not vectors of texts
   */
  private SmallEncoders(boolean scores) {
    this.scores = scores;
    String characters = "abcdefghijklmnopqrstuvwxyz0123456789.,:;!?'-";
    characters.chars().forEach(c -> tokens.add("\u2581" + (char) c));
    characters.chars().filter(Character::isLetterOrDigit).forEach(c -> tokens.add("" + (char) c));
    matrix("token_embd", WIDTH, tokens.size(), 1);
    matrix("position_embd", WIDTH, CONTEXT, 0.5);
    matrix("token_types", WIDTH, PARTS, 0.5);
    norm("token_embd_norm");
    for (int layer = 0; layer < LAYERS; layer++) {
      String block = "blk." + layer + ".";
      linear(block + "attn_q", WIDTH, WIDTH);
      linear(block + "attn_k", WIDTH, WIDTH);
      linear(block + "attn_v", WIDTH, WIDTH);
      linear(block + "attn_output", WIDTH, WIDTH);
      norm(block + "attn_output_norm");
      linear(block + "ffn_up", WIDTH, INNER);
      linear(block + "ffn_down", INNER, WIDTH);
      norm(block + "layer_output_norm");
    }
    if (scores) {
      linear("cls", WIDTH, WIDTH);
      linear("cls.output", WIDTH, 1);
    }
  }

  private static Path resource(String name) {
    return TestData.repository().resolve("core/src/test/resources/dev/knapsack").resolve(name);
  }

  private void linear(String name, int columns, int rows) {
    matrix(name, columns, rows, 2 / Math.sqrt(columns));
    add(name + ".bias", Formats.F32, List.of((long) rows), 0, 0.1);
  }

  private void norm(String name) {
    add(name + ".weight", Formats.F32, List.of((long) WIDTH), 1, 0.1);
    add(name + ".bias", Formats.F32, List.of((long) WIDTH), 0, 0.1);
  }

  private void matrix(String name, int columns, int rows, double size) {
    add(name + ".weight", Formats.F16, List.of((long) columns, (long) rows), 0, size);
  }

  private void add(String name, Format format, List<Long> shape, double middle, double size) {
    TensorInfo tensor = new TensorInfo(name, format, shape);
    float[] numbers = new float[(int) tensor.values()];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = (float) (middle + size * (2 * random.nextDouble() - 1));
    }
    tensors.put(tensor, numbers);
  }

  private Metadata header(Path target) {
    int[] types = new int[tokens.size()];
    for (int i = 0; i < types.length; i++) {
      types[i] = i < specials ? 3 : 1;
    }
    return new MetadataBuilder()
        .string("general.architecture", "bert")
        .string("general.name", scores ? "small-reranker" : "small-e5-encoder")
        .integer("bert.context_length", CONTEXT)
        .integer("bert.embedding_length", WIDTH)
        .integer("bert.block_count", LAYERS)
        .integer("bert.feed_forward_length", INNER)
        .integer("bert.attention.head_count", 2)
        .integer("bert.pooling_type", scores ? 4 : 1)
        .real("bert.attention.layer_norm_epsilon", 1e-12)
        .flag("bert.attention.causal", false)
        .string("tokenizer.ggml.model", "bert")
        .string("tokenizer.ggml.pre", "jina-v2-en")
        .strings("tokenizer.ggml.tokens", tokens)
        .integers("tokenizer.ggml.token_type", types)
        .integer("tokenizer.ggml.token_type_count", PARTS)
        .integer("tokenizer.ggml.unknown_token_id", 1)
        .integer("tokenizer.ggml.seperator_token_id", 3)
        .integer("tokenizer.ggml.padding_token_id", 0)
        .integer("tokenizer.ggml.cls_token_id", 2)
        .integer("tokenizer.ggml.bos_token_id", 2)
        .integer("tokenizer.ggml.mask_token_id", 4)
        .build(target);
  }

  static void write(Path target, boolean scores) {
    SmallEncoders model = new SmallEncoders(scores);
    try (GgufWriter writer =
        GgufWriter.create(target, model.header(target), model.tensors.keySet())) {
      model.tensors.forEach((tensor, numbers) -> {
        MemorySegment bytes = MemorySegment.ofArray(new byte[Math.toIntExact(tensor.bytes())]);
        tensor.format().encode(MemorySegment.ofArray(numbers), 0, bytes, 0, numbers.length);
        writer.write(tensor, bytes);
      });
      writer.finish();
    }
  }
}

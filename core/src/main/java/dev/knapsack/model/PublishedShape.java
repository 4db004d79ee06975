package dev.knapsack.model;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * A published model without its weights: the numbers of its configuration.
 *
 * @param name as people write it: {@code llama-3.2-1b}
 * @param architecture as GGUF names it
 * @param vocabulary tokens
 * @param width numbers in a token's hidden state
 * @param heads query heads; 0 where no layer has attention
 * @param headSize numbers in a head
 * @param feedForward numbers in the hidden layer of a dense MLP
 * @param experts experts in a layer; 0 for a dense model
 * @param usedExperts experts a token uses
 * @param expertFeedForward numbers in the hidden layer of an expert
 * @param tied whether the output projection is the token embedding
 * @param keys further keys of the header, without the architecture before them: an {@code Integer},
 *     a {@code Double}, a {@code Boolean}, or a list of integers or flags, one a layer; they go
 *     before what the numbers above say
 */
public record PublishedShape(
    String name,
    String architecture,
    int vocabulary,
    int width,
    int layers,
    int heads,
    int kvHeads,
    int headSize,
    int feedForward,
    int experts,
    int usedExperts,
    int expertFeedForward,
    int context,
    double ropeBase,
    double normEpsilon,
    boolean tied,
    Map<String, Object> keys) {
  private static final List<PublishedShape> ALL =
      List.of(
          dense("stories-15m", "llama", 32000, 288, 6, 6, 6, 48, 768)
              .tiedOutput()
              .trained(256, 1e4, 1e-5),
          dense("llama-3.2-1b", "llama", 128256, 2048, 16, 32, 8, 64, 8192)
              .tiedOutput()
              .trained(131072, 5e5, 1e-5)
              .with(llama3(32)),
          dense("llama-3.2-3b", "llama", 128256, 3072, 28, 24, 8, 128, 8192)
              .tiedOutput()
              .trained(131072, 5e5, 1e-5)
              .with(llama3(32)),
          dense("llama-3.1-8b", "llama", 128256, 4096, 32, 32, 8, 128, 14336)
              .trained(131072, 5e5, 1e-5)
              .with(llama3(8)),
          dense("mistral-7b", "llama", 32768, 4096, 32, 32, 8, 128, 14336)
              .trained(32768, 1e6, 1e-5),
          dense("mixtral-8x7b", "llama", 32000, 4096, 32, 32, 8, 128, 14336)
              .trained(32768, 1e6, 1e-5)
              .experts(8, 2, 14336),
          dense("qwen2.5-0.5b", "qwen2", 151936, 896, 24, 14, 2, 64, 4864)
              .tiedOutput()
              .trained(32768, 1e6, 1e-6),
          dense("qwen3-0.6b", "qwen3", 151936, 1024, 28, 16, 8, 128, 3072)
              .tiedOutput()
              .trained(40960, 1e6, 1e-6),
          dense("qwen3-4b", "qwen3", 151936, 2560, 36, 32, 8, 128, 9728)
              .tiedOutput()
              .trained(40960, 1e6, 1e-6),
          dense("qwen3-30b-a3b", "qwen3moe", 151936, 2048, 48, 32, 4, 128, 6144)
              .trained(40960, 1e6, 1e-6)
              .experts(128, 8, 768),
          dense("smollm3-3b", "smollm3", 128256, 2048, 36, 16, 4, 128, 11008)
              .tiedOutput()
              .trained(65536, 5e6, 1e-6),
          dense("granite-3.3-2b", "granite", 49159, 2048, 40, 32, 8, 64, 8192)
              .tiedOutput()
              .trained(131072, 1e7, 1e-5)
              .with(
                  Map.of(
                      "embedding_scale", 12.0,
                      "residual_scale", 0.22,
                      "attention.scale", 0.015625,
                      "logit_scale", 8.0)),
          dense("phi-3.5-mini", "phi3", 32064, 3072, 32, 32, 32, 96, 8192)
              .trained(131072, 1e4, 1e-5)
              .with(
                  Map.of(
                      "attention.sliding_window", 262144,
                      "rope.scaling.original_context_length", 4096,
                      "rope.scaling.attn_factor", 1.1902380714238083)),
          dense("gemma-3-1b", "gemma3", 262144, 1152, 26, 4, 1, 256, 6912)
              .tiedOutput()
              .trained(32768, 1e6, 1e-6)
              .with(Map.of("attention.sliding_window", 512)),
          gemma4E2b(),
          dense("lfm2-1.2b", "lfm2", 65536, 2048, 16, 32, 8, 64, 8192)
              .tiedOutput()
              .trained(128000, 1e6, 1e-5)
              .with(
                  Map.of(
                      "attention.head_count_kv",
                      attentionIn(16, 8, 2, 5, 8, 10, 12, 14),
                      "shortconv.l_cache",
                      3)),
          dense("mamba2-130m", "mamba2", 50288, 768, 24, 0, 0, 0, 0)
              .tiedOutput()
              .trained(1048576, 1e4, 1e-5)
              .with(stateSpace(1536, 24, 128, 1)),
          dense("falcon-h1-0.5b", "falcon-h1", 32784, 1024, 36, 8, 2, 64, 2048)
              .trained(16384, 1e11, 1e-5)
              .with(stateSpace(1536, 24, 128, 1)),
          dense("granite-4.0-h-1b", "granitehybrid", 100352, 1536, 40, 12, 4, 128, 4096)
              .tiedOutput()
              .trained(131072, 1e4, 1e-5)
              .with(stateSpace(3072, 48, 128, 1))
              .with(
                  Map.of(
                      "attention.head_count_kv", attentionIn(40, 4, 5, 15, 25, 35),
                      "rope.scaling.finetuned", false,
                      "embedding_scale", 12.0,
                      "residual_scale", 0.22,
                      "attention.scale", 0.0078125,
                      "logit_scale", 6.0)),
          dense("qwen3.5-0.8b", "qwen35", 248320, 1024, 24, 8, 2, 256, 3584)
              .tiedOutput()
              .trained(262144, 1e7, 1e-6)
              .with(stateSpace(2048, 16, 128, 16))
              .with(
                  Map.of(
                      "full_attention_interval", 4,
                      "rope.dimension_count", 64,
                      "rope.dimension_sections", List.of(11, 11, 10, 0))),
          dense("qwen3.5-35b-a3b", "qwen35moe", 248320, 2048, 40, 16, 2, 256, 512)
              .trained(262144, 1e7, 1e-6)
              .experts(256, 8, 512)
              .with(stateSpace(4096, 32, 128, 16))
              .with(
                  Map.of(
                      "expert_shared_feed_forward_length", 512,
                      "full_attention_interval", 4,
                      "rope.dimension_sections", List.of(11, 11, 10, 0),
                      "rope.dimension_count", 64)),
          dense("glm-4.5-air", "glm4moe", 151552, 4096, 46, 96, 8, 128, 10944)
              .trained(131072, 1e6, 1e-5)
              .experts(128, 8, 1408)
              .with(
                  Map.of(
                      "expert_shared_count", 1,
                      "leading_dense_block_count", 1,
                      "rope.dimension_count", 64)),
          dense("deepseek-v3", "deepseek2", 129280, 7168, 61, 128, 1, 192, 18432)
              .trained(163840, 1e4, 1e-6)
              .experts(256, 8, 2048)
              .with(
                  Map.of(
                      "attention.q_lora_rank", 1536,
                      "attention.kv_lora_rank", 512,
                      "attention.key_length", 576,
                      "attention.value_length", 512,
                      "attention.key_length_mla", 192,
                      "attention.value_length_mla", 128,
                      "rope.dimension_count", 64))
              .with(
                  Map.of(
                      "expert_shared_count", 1,
                      "leading_dense_block_count", 3,
                      "expert_group_count", 8,
                      "expert_group_used_count", 4,
                      "expert_gating_func", 2,
                      "expert_weights_norm", true,
                      "expert_weights_scale", 2.5))
              .with(
                  Map.of(
                      "rope.scaling.factor", 40.0,
                      "rope.scaling.original_context_length", 4096,
                      "rope.scaling.yarn_log_multiplier", 0.1)),
          dense("ernie-4.5-21b-a3b", "ernie4_5-moe", 103424, 2560, 28, 20, 4, 128, 12288)
              .tiedOutput()
              .trained(131072, 5e5, 1e-5)
              .experts(64, 6, 1536)
              .with(
                  Map.of(
                      "expert_shared_feed_forward_length", 3072,
                      "leading_dense_block_count", 1)),
          dense("gpt-oss-20b", "gpt-oss", 201088, 2880, 24, 64, 8, 64, 2880)
              .trained(131072, 1.5e5, 1e-5)
              .experts(32, 4, 2880)
              .with(
                  Map.of(
                      "attention.sliding_window", 128,
                      "rope.scaling.factor", 32.0,
                      "rope.scaling.original_context_length", 4096)));

  /**
   * The text model of Gemma 4 E2B, as its published configuration has it: every fifth layer sees
   * all, with heads twice as wide, of which a quarter is rotated; the last 20 have no keys and
   * values of their own, and MLPs twice as wide.
   */
  private static PublishedShape gemma4E2b() {
    int layers = 35;
    int shared = 20;
    Map<String, Object> keys = new HashMap<>();
    keys.put("attention.key_length_swa", 256);
    keys.put("attention.value_length_swa", 256);
    keys.put("rope.dimension_count_swa", 256);
    keys.put("rope.freq_base_swa", 1e4);
    keys.put("attention.sliding_window", 512);
    keys.put("attention.sliding_window_pattern", each(layers, l -> l % 5 < 4));
    keys.put("attention.shared_kv_layers", shared);
    keys.put("embedding_length_per_layer_input", 256);
    keys.put("feed_forward_length", each(layers, l -> l < layers - shared ? 6144 : 12288));
    keys.put("final_logit_softcapping", 30.0);
    return dense("gemma-4-e2b", "gemma4", 262144, 1536, layers, 8, 1, 512, 6144)
        .tiedOutput()
        .trained(131072, 1e6, 1e-6)
        .with(keys);
  }

  private static <T> List<T> each(int layers, IntFunction<T> value) {
    return IntStream.range(0, layers).mapToObj(value).toList();
  }

  /** Key and value heads of each layer, where only some have attention. */
  private static List<Integer> attentionIn(int layers, int kvHeads, Integer... attention) {
    return IntStream.range(0, layers)
        .map(l -> List.of(attention).contains(l) ? kvHeads : 0)
        .boxed()
        .toList();
  }

  /** The factor of the llama3 scaling, which files hold only as the divisors it comes to. */
  static final String LLAMA3_FACTOR = "rope.scaling.llama3_factor";

  public PublishedShape {
    keys = Map.copyOf(keys);
  }

  /** All that are known. */
  public static List<PublishedShape> all() {
    return ALL;
  }

  /**
   * The shape of this name, in upper or lower case.
   *
   * @throws IllegalArgumentException if there is none
   */
  public static PublishedShape named(String name) {
    return ALL.stream()
        .filter(shape -> shape.name.equalsIgnoreCase(name))
        .findFirst()
        .orElseThrow(() ->
            new IllegalArgumentException(
                "Unknown shape '%s'; known are %s"
                    .formatted(
                        name,
                        ALL.stream().map(PublishedShape::name).collect(Collectors.joining(", ")))));
  }

  static PublishedShape dense(
      String name,
      String architecture,
      int vocabulary,
      int width,
      int layers,
      int heads,
      int kvHeads,
      int headSize,
      int feedForward) {
    return new PublishedShape(
        name,
        architecture,
        vocabulary,
        width,
        layers,
        heads,
        kvHeads,
        headSize,
        feedForward,
        0,
        0,
        0,
        2048,
        1e4,
        1e-5,
        false,
        Map.of());
  }

  PublishedShape tiedOutput() {
    return copy(
        experts, usedExperts, expertFeedForward, context, ropeBase, normEpsilon, true, keys);
  }

  PublishedShape trained(int context, double ropeBase, double normEpsilon) {
    return copy(
        experts, usedExperts, expertFeedForward, context, ropeBase, normEpsilon, tied, keys);
  }

  PublishedShape experts(int experts, int usedExperts, int expertFeedForward) {
    return copy(
        experts, usedExperts, expertFeedForward, context, ropeBase, normEpsilon, tied, keys);
  }

  /** With these keys beside those that it has. */
  PublishedShape with(Map<String, ?> more) {
    Map<String, Object> all = new HashMap<>(keys);
    all.putAll(more);
    return copy(experts, usedExperts, expertFeedForward, context, ropeBase, normEpsilon, tied, all);
  }

  /**
   * The keys of state spaces: {@code inner} channels in heads, {@code state} numbers for each; and
   * of linear attention, whose groups are heads of keys.
   */
  private static Map<String, Object> stateSpace(int inner, int heads, int state, int groups) {
    return Map.of(
        "ssm.conv_kernel", 4,
        "ssm.inner_size", inner,
        "ssm.time_step_rank", heads,
        "ssm.state_size", state,
        "ssm.group_count", groups);
  }

  private static Map<String, Object> llama3(int factor) {
    return Map.of(LLAMA3_FACTOR, factor);
  }

  private PublishedShape copy(
      int experts,
      int usedExperts,
      int expertFeedForward,
      int context,
      double ropeBase,
      double normEpsilon,
      boolean tied,
      Map<String, Object> keys) {
    return new PublishedShape(
        name,
        architecture,
        vocabulary,
        width,
        layers,
        heads,
        kvHeads,
        headSize,
        feedForward,
        experts,
        usedExperts,
        expertFeedForward,
        context,
        ropeBase,
        normEpsilon,
        tied,
        keys);
  }
}

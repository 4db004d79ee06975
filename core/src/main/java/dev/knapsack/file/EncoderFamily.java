package dev.knapsack.file;

import static java.util.Map.entry;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * A family of encoders as it is written on the hub, and GGUF's names for the same.
 *
 * <p>Sources: the transformers library, 5.18, and for Nomic's and Jina's the code beside their
 * weights.
 *
 * @param architecture as GGUF names it
 * @param prefix what may stand before the names of tensors
 * @param layers what stands before the number of a layer
 * @param modules GGUF's names of modules, by the hub's; those of layers begin with {@code N.}
 * @param biased the modules that have a bias beside their weight
 * @param ignored what takes no part in a vector
 * @param head GGUF's names of the modules that judge a text, by the hub's; empty if it is not known
 *     how they do
 * @param cutsPositions whether the table of positions begins with rows that no token has
 */
record EncoderFamily(
    String architecture,
    Pattern prefix,
    String layers,
    Map<String, String> modules,
    Set<String> biased,
    Pattern ignored,
    Map<String, String> head,
    boolean cutsPositions) {

  private static final Map<String, String> BERT_MODULES =
      Map.ofEntries(
          entry("embeddings.word_embeddings", "token_embd"),
          entry("embeddings.position_embeddings", "position_embd"),
          entry("embeddings.token_type_embeddings", "token_types"),
          entry("embeddings.LayerNorm", "token_embd_norm"),
          entry("N.attention.self.query", "attn_q"),
          entry("N.attention.self.key", "attn_k"),
          entry("N.attention.self.value", "attn_v"),
          entry("N.attention.output.dense", "attn_output"),
          entry("N.attention.output.LayerNorm", "attn_output_norm"),
          entry("N.intermediate.dense", "ffn_up"),
          entry("N.output.dense", "ffn_down"),
          entry("N.output.LayerNorm", "layer_output_norm"));

  private static final Set<String> NORMS =
      Set.of("token_embd_norm", "attn_output_norm", "layer_output_norm");

  private static final Set<String> BERT_BIASES =
      Set.of(
          "token_embd_norm",
          "attn_q",
          "attn_k",
          "attn_v",
          "attn_output",
          "attn_output_norm",
          "ffn_up",
          "ffn_down",
          "layer_output_norm",
          "cls",
          "cls.output");

  static final EncoderFamily BERT =
      new EncoderFamily(
          "bert",
          Pattern.compile("bert\\."),
          "encoder.layer.",
          BERT_MODULES,
          BERT_BIASES,
          Pattern.compile("embeddings\\.position_ids|pooler\\..*|cls\\..*"),
          Map.of("pooler.dense", "cls", "classifier", "cls.output"),
          false);

  static final EncoderFamily ROBERTA =
      new EncoderFamily(
          "bert",
          Pattern.compile("(roberta|xlm_roberta|bert)\\."),
          "encoder.layer.",
          BERT_MODULES,
          BERT_BIASES,
          Pattern.compile("embeddings\\.position_ids|pooler\\..*|lm_head\\..*"),
          Map.of("classifier.dense", "cls", "classifier.out_proj", "cls.output"),
          true);

  static final EncoderFamily DISTILBERT =
      new EncoderFamily(
          "bert",
          Pattern.compile("distilbert\\."),
          "transformer.layer.",
          Map.ofEntries(
              entry("embeddings.word_embeddings", "token_embd"),
              entry("embeddings.position_embeddings", "position_embd"),
              entry("embeddings.LayerNorm", "token_embd_norm"),
              entry("N.attention.q_lin", "attn_q"),
              entry("N.attention.k_lin", "attn_k"),
              entry("N.attention.v_lin", "attn_v"),
              entry("N.attention.out_lin", "attn_output"),
              entry("N.sa_layer_norm", "attn_output_norm"),
              entry("N.ffn.lin1", "ffn_up"),
              entry("N.ffn.lin2", "ffn_down"),
              entry("N.output_layer_norm", "layer_output_norm")),
          BERT_BIASES,
          Pattern.compile("embeddings\\.position_ids|vocab_\\w+\\..*"),
          Map.of(),
          false);

  static final EncoderFamily NOMIC_BERT =
      new EncoderFamily(
          "nomic-bert",
          Pattern.compile("bert\\."),
          "encoder.layers.",
          Map.ofEntries(
              entry("embeddings.word_embeddings", "token_embd"),
              entry("embeddings.token_type_embeddings", "token_types"),
              entry("emb_ln", "token_embd_norm"),
              entry("N.attn.Wqkv", "attn_qkv"),
              entry("N.attn.out_proj", "attn_output"),
              entry("N.norm1", "attn_output_norm"),
              entry("N.mlp.fc11", "ffn_up"),
              entry("N.mlp.fc12", "ffn_gate"),
              entry("N.mlp.fc2", "ffn_down"),
              entry("N.norm2", "layer_output_norm")),
          NORMS,
          Pattern.compile(".*\\.rotary_emb\\.inv_freq|cls\\..*|pooler\\..*"),
          Map.of(),
          false);

  static final EncoderFamily JINA_BERT =
      new EncoderFamily(
          "jina-bert-v2",
          Pattern.compile("bert\\."),
          "encoder.layer.",
          with(
              BERT_MODULES,
              List.of(
                  "embeddings.position_embeddings",
                  "N.intermediate.dense",
                  "N.output.dense",
                  "N.output.LayerNorm"),
              Map.of(
                  "N.mlp.gated_layers", "ffn_up",
                  "N.mlp.wo", "ffn_down",
                  "N.mlp.layernorm", "layer_output_norm")),
          without(BERT_BIASES, "ffn_up"),
          Pattern.compile("embeddings\\.position_ids|pooler\\..*|cls\\..*"),
          Map.of(),
          false);

  static final EncoderFamily MODERN_BERT =
      new EncoderFamily(
          "modern-bert",
          Pattern.compile("model\\."),
          "layers.",
          Map.ofEntries(
              entry("embeddings.tok_embeddings", "token_embd"),
              entry("embeddings.norm", "token_embd_norm"),
              entry("N.attn_norm", "attn_norm"),
              entry("N.attn.Wqkv", "attn_qkv"),
              entry("N.attn.Wo", "attn_output"),
              entry("N.mlp_norm", "ffn_norm"),
              entry("N.mlp.Wi", "ffn_up"),
              entry("N.mlp.Wo", "ffn_down"),
              entry("final_norm", "output_norm")),
          Set.of("cls.output"),
          Pattern.compile("head\\..*|decoder\\..*"),
          Map.of("head.dense", "cls", "head.norm", "cls.norm", "classifier", "cls.output"),
          false);

  private static Map<String, String> with(
      Map<String, String> modules, List<String> without, Map<String, String> more) {
    Map<String, String> all = new HashMap<>(modules);
    without.forEach(all::remove);
    all.putAll(more);
    return Map.copyOf(all);
  }

  private static Set<String> without(Set<String> biased, String module) {
    return Set.copyOf(biased.stream().filter(name -> !name.equals(module)).toList());
  }
}

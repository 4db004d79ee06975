package dev.knapsack.model.arch;

import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.model.LayerSpec;
import dev.knapsack.model.Mlp;
import dev.knapsack.model.ModelSpec;
import java.util.Arrays;
import java.util.List;
import java.util.Set;

/** Checks that a file's tensors are those of the model that its metadata describe. */
final class TensorCheck {
  private final ModelFile file;
  private final ModelSpec spec;
  private final Set<String> required;

  /**
   * @param required suffixes of layer tensors that are optional in general and not here
   */
  TensorCheck(ModelFile file, ModelSpec spec, Set<String> required) {
    this.file = file;
    this.spec = spec;
    this.required = required;
  }

  /** Throws {@link ModelFileException} about the first tensor that is missing or misshapen. */
  void run() {
    long width = spec.width();
    require("token_embd.weight", width, spec.vocabulary());
    require("output_norm.weight", width);
    if (!spec.tiedOutput()) {
      require("output.weight", width, spec.vocabulary());
    }
    for (int l = 0; l < spec.layers().size(); l++) {
      LayerSpec layer = spec.layers().get(l);
      String prefix = "blk." + l + ".";
      attention(prefix, layer);
      // With norms on both sides of the MLP, post_attention_norm is the one after attention.
      if (!has(prefix + "ffn_norm.weight")) {
        require(prefix + "post_attention_norm.weight", width);
      }
      switch (layer.mlp()) {
        case Mlp.Dense dense -> dense(prefix, "", dense.width());
        case Mlp.Experts experts -> experts(prefix, experts);
      }
    }
  }

  private void attention(String prefix, LayerSpec layer) {
    long width = spec.width();
    require(prefix + "attn_norm.weight", width);
    if (has(prefix + "attn_qkv.weight")) {
      long fused = (long) layer.queryColumns() + layer.keyColumns() + layer.valueColumns();
      require(prefix + "attn_qkv.weight", width, fused);
      optional(prefix, "attn_qkv.bias", fused);
    } else {
      require(prefix + "attn_q.weight", width, layer.queryColumns());
      require(prefix + "attn_k.weight", width, layer.keyColumns());
      require(prefix + "attn_v.weight", width, layer.valueColumns());
      optional(prefix, "attn_q.bias", layer.queryColumns());
      optional(prefix, "attn_k.bias", layer.keyColumns());
      optional(prefix, "attn_v.bias", layer.valueColumns());
    }
    require(prefix + "attn_output.weight", layer.attendedColumns(), width);
    optional(prefix, "attn_output.bias", width);
    optional(prefix, "attn_q_norm.weight", layer.keySize());
    optional(prefix, "attn_k_norm.weight", layer.keySize());
    optional(prefix, "attn_sinks.weight", layer.heads());
    optional(prefix, "post_attention_norm.weight", width);
    optional(prefix, "ffn_norm.weight", width);
    optional(prefix, "post_ffw_norm.weight", width);
  }

  private void dense(String prefix, String kind, long hidden) {
    long width = spec.width();
    TensorInfo up = file.tensors().get(prefix + "ffn_up" + kind + ".weight");
    boolean fused = up != null && up.shape().equals(List.of(width, 2 * hidden));
    if (!fused) {
      require(prefix + "ffn_gate" + kind + ".weight", width, hidden);
      require(prefix + "ffn_up" + kind + ".weight", width, hidden);
      optional(prefix, "ffn_gate" + kind + ".bias", hidden);
      optional(prefix, "ffn_up" + kind + ".bias", hidden);
    }
    require(prefix + "ffn_down" + kind + ".weight", hidden, width);
    optional(prefix, "ffn_down" + kind + ".bias", width);
  }

  private void experts(String prefix, Mlp.Experts experts) {
    long width = spec.width();
    require(prefix + "ffn_gate_inp.weight", width, experts.count());
    optional(prefix, "ffn_gate_inp.bias", experts.count());
    require(prefix + "ffn_gate_exps.weight", width, experts.width(), experts.count());
    require(prefix + "ffn_up_exps.weight", width, experts.width(), experts.count());
    require(prefix + "ffn_down_exps.weight", experts.width(), width, experts.count());
    optional(prefix, "ffn_gate_exps.bias", experts.width(), experts.count());
    optional(prefix, "ffn_up_exps.bias", experts.width(), experts.count());
    optional(prefix, "ffn_down_exps.bias", width, experts.count());
    if (experts.sharedWidth() > 0) {
      dense(prefix, "_shexp", experts.sharedWidth());
      optional(prefix, "ffn_gate_inp_shexp.weight", width);
    }
  }

  private boolean has(String name) {
    return file.tensors().containsKey(name);
  }

  private void optional(String prefix, String suffix, long... shape) {
    if (required.contains(suffix) || has(prefix + suffix)) {
      require(prefix + suffix, shape);
    }
  }

  private void require(String name, long... shape) {
    List<Long> expected = Arrays.stream(shape).boxed().toList();
    TensorInfo tensor = file.tensors().get(name);
    if (tensor == null) {
      throw new ModelFileException(
          file.path(), name, "the tensor is missing; expected one of shape " + expected);
    }
    if (!trimmed(tensor.shape()).equals(trimmed(expected))) {
      throw new ModelFileException(
          file.path(), name, "has shape %s; expected %s".formatted(tensor.shape(), expected));
    }
    int block = tensor.format().blockValues();
    if (shape[0] % block != 0) {
      throw new ModelFileException(
          file.path(),
          name,
          "rows of %d numbers are no whole %s blocks of %d"
              .formatted(shape[0], tensor.format().name(), block));
    }
  }

  /** Writers differ in whether they keep dimensions of 1 at the end. */
  private static List<Long> trimmed(List<Long> shape) {
    int end = shape.size();
    while (end > 1 && shape.get(end - 1) == 1) {
      end--;
    }
    return shape.subList(0, end);
  }
}

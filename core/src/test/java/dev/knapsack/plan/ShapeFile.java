package dev.knapsack.plan;

import dev.knapsack.file.Metadata;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.Rope;
import dev.knapsack.model.LayerSpec;
import dev.knapsack.model.Mlp;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A model file of a shape, without bytes: all that a header says. */
final class ShapeFile implements ModelFile {
  private final ModelSpec spec;
  private final Map<String, TensorInfo> tensors = new LinkedHashMap<>();
  private final Map<String, Long> offsets = new LinkedHashMap<>();
  private long end = 7_000_000;

  ShapeFile(ModelSpec spec, Format format) {
    this.spec = spec;
    long width = spec.width();
    add("token_embd.weight", format, width, spec.vocabulary());
    add("output_norm.weight", Formats.F32, width);
    if (!spec.tiedOutput()) {
      add("output.weight", Formats.Q6_K, width, spec.vocabulary());
    }
    for (int i = 0; i < spec.layers().size(); i++) {
      LayerSpec layer = spec.layers().get(i);
      String blk = "blk." + i + ".";
      add(blk + "attn_norm.weight", Formats.F32, width);
      add(blk + "attn_q.weight", format, width, (long) layer.heads() * layer.keySize());
      add(blk + "attn_k.weight", format, width, (long) layer.kvHeads() * layer.keySize());
      add(blk + "attn_v.weight", format, width, (long) layer.kvHeads() * layer.valueSize());
      add(blk + "attn_output.weight", format, (long) layer.heads() * layer.valueSize(), width);
      add(blk + "ffn_norm.weight", Formats.F32, width);
      switch (layer.mlp()) {
        case Mlp.Dense dense -> {
          add(blk + "ffn_gate.weight", format, width, dense.width());
          add(blk + "ffn_up.weight", format, width, dense.width());
          add(blk + "ffn_down.weight", format, dense.width(), width);
        }
        case Mlp.Experts experts -> {
          add(blk + "ffn_gate_inp.weight", Formats.F32, width, experts.count());
          add(blk + "ffn_gate_exps.weight", format, width, experts.width(), experts.count());
          add(blk + "ffn_up_exps.weight", format, width, experts.width(), experts.count());
          add(blk + "ffn_down_exps.weight", format, experts.width(), width, experts.count());
        }
      }
    }
  }

  private void add(String name, Format format, long... shape) {
    List<Long> dimensions = new ArrayList<>();
    for (long d : shape) {
      dimensions.add(d);
    }
    TensorInfo tensor = new TensorInfo(name, format, dimensions);
    tensors.put(name, tensor);
    end = (end + 31) / 32 * 32;
    offsets.put(name, end);
    end += tensor.bytes();
  }

  ModelSpec spec() {
    return spec;
  }

  static ModelSpec spec(
      String name,
      int width,
      int vocabulary,
      int context,
      boolean tied,
      int layers,
      LayerSpec each) {
    List<LayerSpec> all = new ArrayList<>();
    for (int i = 0; i < layers; i++) {
      all.add(each);
    }
    return new ModelSpec("llama", name, width, vocabulary, context, all, 1e-5f, 1, 1, 1, 0, tied);
  }

  static LayerSpec layer(int heads, int kvHeads, int headSize, int window, Mlp mlp) {
    return new LayerSpec(
        heads,
        kvHeads,
        headSize,
        headSize,
        (float) (1 / Math.sqrt(headSize)),
        0,
        window,
        Rope.plain(Rope.Pairs.ADJACENT, headSize, 500_000),
        null,
        mlp);
  }

  /** Llama 3.2 1B. */
  static ShapeFile llama1b() {
    LayerSpec layer = layer(32, 8, 64, 0, new Mlp.Dense(8192, Activation.SILU));
    return new ShapeFile(spec("llama-1b", 2048, 128_256, 131_072, true, 16, layer), Formats.Q4_0);
  }

  /** Mixtral 8x7B. */
  static ShapeFile mixtral() {
    Mlp experts = new Mlp.Experts(8, 2, 14_336, Activation.SILU, true, false, 1, 0);
    LayerSpec layer = layer(32, 8, 128, 0, experts);
    return new ShapeFile(spec("mixtral", 4096, 32_000, 32_768, false, 32, layer), Formats.Q4_K);
  }

  @Override
  public Path path() {
    return Path.of(spec.name() + ".gguf");
  }

  @Override
  public Metadata metadata() {
    throw new UnsupportedOperationException("a shape has no metadata");
  }

  @Override
  public Map<String, TensorInfo> tensors() {
    return tensors;
  }

  /** Pretends to read, as fast as memory goes. */
  @Override
  public void read(TensorInfo tensor, long from, MemorySegment into) {
    into.fill((byte) 1);
  }

  @Override
  public long alignment(TensorInfo tensor, long from) {
    return (offsets.get(tensor.name()) + from) % 4096;
  }

  @Override
  public void close() {}
}

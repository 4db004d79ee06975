package dev.knapsack.planner;

import dev.knapsack.file.Metadata;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.Rope;
import dev.knapsack.model.Attention;
import dev.knapsack.model.Block;
import dev.knapsack.model.Dense;
import dev.knapsack.model.Experts;
import dev.knapsack.model.Gating;
import dev.knapsack.model.HeadNorms;
import dev.knapsack.model.LayerSpec;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.model.Nonlinearity;
import dev.knapsack.model.Norms;
import dev.knapsack.model.TensorSpec;
import dev.knapsack.model.WeightLayout;
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
    spec.tensors().forEach(tensor -> add(tensor.name(), tensor, format));
    for (int l = 0; l < spec.layers().size(); l++) {
      for (TensorSpec tensor : spec.layers().get(l).tensors()) {
        if (!tensor.optional()) {
          add(WeightLayout.name(l, tensor.name()), tensor, format);
        }
      }
    }
  }

  private void add(String name, TensorSpec spec, Format format) {
    Format stored =
        switch (spec.role()) {
          case NORM, BIAS, DECAY, NUMBERS, ROUTER -> Formats.F32;
          case OUTPUT -> Formats.Q6_K;
          case EMBEDDING, MATRIX, HEADS, EXPERTS -> format;
        };
    TensorInfo tensor = new TensorInfo(name, stored, spec.shape());
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
    return new ModelSpec(
        "llama",
        name,
        width,
        vocabulary,
        context,
        all,
        false,
        1e-5f,
        1,
        1,
        1,
        0,
        null,
        "output_norm.weight",
        tied,
        null,
        null,
        List.of(),
        List.of());
  }

  static LayerSpec layer(int heads, int kvHeads, int headSize, int window, Block mlp) {
    return new LayerSpec(
        List.of(
            new Attention(
                new Norms("attn_norm.weight", null),
                mlp.width(),
                heads,
                kvHeads,
                headSize,
                headSize,
                false,
                (float) (1 / Math.sqrt(headSize)),
                0,
                window,
                false,
                Rope.plain(Rope.Pairs.ADJACENT, headSize, 500_000),
                null,
                null,
                HeadNorms.EACH,
                Attention.Source.CACHE,
                Attention.Values.PROJECTED,
                0),
            mlp));
  }

  static Dense dense(int width, int hidden) {
    return new Dense(new Norms("ffn_norm.weight", null), width, hidden, Activation.SILU, "");
  }

  static Experts experts(int width, int count, int used, int hidden) {
    Norms norms = new Norms("ffn_norm.weight", null);
    Gating gating = new Gating(Gating.Function.SOFTMAX, true, 1);
    return new Experts(
        norms,
        width,
        count,
        used,
        hidden,
        new Nonlinearity.Gated(Activation.SILU),
        gating,
        0,
        Experts.Routed.INPUT,
        null);
  }

  /** Llama 3.2 1B. */
  static ShapeFile llama1b() {
    LayerSpec layer = layer(32, 8, 64, 0, dense(2048, 8192));
    return new ShapeFile(spec("llama-1b", 2048, 128_256, 131_072, true, 16, layer), Formats.Q4_0);
  }

  /** Mixtral 8x7B. */
  static ShapeFile mixtral() {
    LayerSpec layer = layer(32, 8, 128, 0, experts(4096, 8, 2, 14_336));
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

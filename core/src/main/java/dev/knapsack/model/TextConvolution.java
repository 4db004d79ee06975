package dev.knapsack.model;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.model.TensorSpec.Role;
import dev.knapsack.tensor.Matrix;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A convolution of each channel along a text that is computed whole, and a projection of its SiLU:
 * the convolutional path of EmbBERT (Bravin et al., arXiv 2502.10001). It remembers nothing.
 *
 * @param taps rows that a result depends on: its own and those before
 */
public record TextConvolution(Norms norms, int width, int taps) implements Block {
  private static final String TAPS = "conv.weight";
  private static final String BIAS = "conv.bias";

  /** The tensors that it computes with. */
  public record Weights(
      TextConvolution spec, Norms.Weights norms, Convolution convolution, Linear output)
      implements Block.Addend {}

  private Projection output() {
    return new Projection("conv_output", width, width);
  }

  @Override
  public List<TensorSpec> tensors() {
    List<TensorSpec> tensors = new ArrayList<>();
    tensors.add(new TensorSpec(TAPS, Role.NUMBERS, taps, width));
    tensors.add(new TensorSpec(BIAS, Role.BIAS, width).orNone());
    tensors.addAll(output().tensors());
    return norms.around(width, tensors);
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    Matrix bias = tensors.find(BIAS);
    return new Weights(
        this,
        norms.in(tensors),
        new Convolution(tensors.get(TAPS), bias == null ? null : bias.data(), true, 0),
        output().in(tensors));
  }

  @Override
  public int widest() {
    return width;
  }

  @Override
  public boolean mixesTokens() {
    return true;
  }

  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    return Map.of(Slot.CONVOLVED, (long) tokens * width);
  }

  @Override
  public Work work(KvFormat format, KvPolicy policy, int tokens, int past) {
    return new Work(0, (double) tokens * taps * width);
  }
}

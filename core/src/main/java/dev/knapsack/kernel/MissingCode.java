package dev.knapsack.kernel;

import dev.knapsack.tensor.Format;
import java.util.List;
import java.util.Set;

/**
 * The table of what a provider has no code of its own for: {@code x86} leaves it to {@code vector},
 * which leaves it to {@code scalar}, which leaves nothing.
 *
 * <p>It holds for shapes that fill vectors, as a model's do.
 *
 * @param weights formats of weights in matrix products
 * @param pages formats of keys and values in attention
 * @param activations of gated layers
 */
public record MissingCode(
    List<Format> weights,
    List<Format> pages,
    Set<Activation> activations,
    Set<Operation> operations) {
  /** A kind of operation beside products, attention and activations of gated layers. */
  public enum Operation {
    QUANTISE,
    RMS_NORM,
    LAYER_NORM,
    ADD,
    ADD_BIAS,
    MIX,
    SCALE,
    SOFT_CAP,
    ACTIVATE,
    XIELU,
    ROPE,
    SOFTMAX,
    CONVOLVE,
    DECAY,
    DELTA_RULE,
    STATE_SPACE,
    SELECTIVE_SCAN,
    TIME_MIX
  }

  static final MissingCode NONE = new MissingCode(List.of(), List.of(), Set.of(), Set.of());

  public MissingCode {
    weights = List.copyOf(weights);
    pages = List.copyOf(pages);
    activations = Set.copyOf(activations);
    operations = Set.copyOf(operations);
  }
}

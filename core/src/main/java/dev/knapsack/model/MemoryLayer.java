package dev.knapsack.model;

import dev.knapsack.model.TensorSpec.Role;
import dev.knapsack.tensor.Matrix;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A map of activations that is looked up where others multiply (the Memory Layer of MemoryFormer,
 * arXiv 2411.12992): what it is given is cut into parts of {@code bits} numbers, {@code z_k}; their
 * signs choose a row of the part's table, and {@code y = Σ p(z_k) T_k[signs of z_k] + bias}, {@code
 * p(z) = Π 1 / (1 + e^(-2 |z_i|))}.
 *
 * @param name what its tensors are named: {@code name.weight}, with the tables one after the other,
 *     and {@code name.bias} if the model has one
 * @param columns numbers that it is given
 * @param outputs numbers that it gives: those of a row
 */
record MemoryLayer(String name, int columns, int bits, int outputs) {
  /** Tokens whose rows are read at once. */
  private static final int TOKENS = 16;

  /**
   * The tables and the bias that it computes with.
   *
   * @param table the name of the tables in a file
   * @param bias null for none
   */
  record Weights(MemoryLayer spec, String table, @Nullable Matrix bias) {}

  /** Tables, of which a token reads a row each. */
  int tables() {
    return columns / bits;
  }

  List<TensorSpec> tensors() {
    return List.of(
        new TensorSpec(weight(), Role.EMBEDDING, outputs, tables() << bits).reading(tables()),
        new TensorSpec(name + ".bias", Role.BIAS, outputs).orNone());
  }

  Weights in(LayerTensors tensors) {
    return new Weights(
        this, WeightLayout.name(tensors.layer(), weight()), tensors.find(name + ".bias"));
  }

  private String weight() {
    return name + ".weight";
  }

  /** Tokens, of those of a step, whose rows are read at once. */
  static int atOnce(int tokens) {
    return Math.min(tokens, TOKENS);
  }

  /** Numbers of {@link Slot#GATHERED} in a step. */
  long gathered(int tokens) {
    return (long) atOnce(tokens) * tables() * outputs;
  }

  /** The work of so many tokens. */
  Work work(int tokens) {
    double numbers = (double) tokens * tables() * outputs;
    return new Work(Float.BYTES * numbers, numbers);
  }
}

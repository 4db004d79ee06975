package dev.knapsack.model;

import dev.knapsack.model.TensorSpec.Role;
import dev.knapsack.tensor.Matrix;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The tensors of a norm of rows as wide as the model, F32.
 *
 * @param bias null where the model has none
 */
public record Norm(Matrix factors, @Nullable Matrix bias) {
  private static final String WEIGHT = ".weight";

  /** Those of the norm whose factors have this name; a model may do without a bias. */
  static List<TensorSpec> tensors(String factors, int width) {
    return List.of(
        new TensorSpec(factors, Role.NORM, width),
        new TensorSpec(bias(factors), Role.BIAS, width).orNone());
  }

  /** The norm whose factors have this name; null if the model has none. */
  public static @Nullable Norm find(String name, LayerTensors.Found tensors) {
    Matrix factors = tensors.find(name);
    return factors == null ? null : new Norm(factors, tensors.find(bias(name)));
  }

  private static String bias(String factors) {
    String name =
        factors.endsWith(WEIGHT)
            ? factors.substring(0, factors.length() - WEIGHT.length())
            : factors;
    return name + ".bias";
  }
}

package dev.knapsack.model;

import dev.knapsack.model.TensorSpec.Role;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A {@link Linear} of a block, as its tensors are named: {@code name.weight}, and {@code name.bias}
 * and {@code name.scale} if the model has them.
 *
 * @param fused what the tensors are named that may hold this one's rows and others'; null for none
 * @param byColumn whether columns have factors and summands: {@code name.alpha}, {@code name.beta}
 */
record Projection(String name, int columns, int rows, @Nullable String fused, boolean byColumn) {
  Projection(String name, int columns, int rows) {
    this(name, columns, rows, null);
  }

  Projection(String name, int columns, int rows, @Nullable String fused) {
    this(name, columns, rows, fused, false);
  }

  List<TensorSpec> tensors() {
    List<TensorSpec> tensors = new ArrayList<>();
    tensors.add(
        new TensorSpec(weight(name), Role.MATRIX, columns, rows)
            .in(fused == null ? null : weight(fused)));
    tensors.add(
        new TensorSpec(bias(name), Role.BIAS, rows)
            .orNone()
            .in(fused == null ? null : bias(fused)));
    tensors.add(new TensorSpec(scale(name), Role.NUMBERS, 1).orNone());
    if (byColumn) {
      tensors.add(new TensorSpec(alpha(name), Role.NUMBERS, columns));
      tensors.add(new TensorSpec(beta(name), Role.NUMBERS, columns));
    }
    return tensors;
  }

  static List<TensorSpec> tensors(List<Projection> parts) {
    return parts.stream().flatMap(part -> part.tensors().stream()).toList();
  }

  Linear in(LayerTensors tensors) {
    return in(tensors, List.of(this)).getFirst();
  }

  /** Those that may be fused, in the order of their rows. */
  static List<Linear> in(LayerTensors tensors, List<Projection> parts) {
    int all = parts.stream().mapToInt(Projection::rows).sum();
    String fused = parts.getFirst().fused;
    Matrix matrix = fused == null ? null : tensors.find(weight(fused));
    Matrix bias = fused == null ? null : tensors.find(bias(fused));
    List<Linear> linears = new ArrayList<>();
    int row = 0;
    for (Projection part : parts) {
      int end = row + part.rows;
      Matrix own = tensors.find(bias(part.name));
      Matrix scale = tensors.find(scale(part.name));
      linears.add(
          new Linear(
              matrix != null && matrix.rows() == all
                  ? matrix.rows(row, end)
                  : tensors.get(weight(part.name)),
              scale == null ? 1 : scale.data().get(ValueLayout.JAVA_FLOAT_UNALIGNED, 0),
              bias != null && bias.columns() == all
                  ? bias.data().asSlice(4L * row, 4L * part.rows)
                  : own == null ? null : own.data(),
              part.byColumn
                  ? new Linear.Columns(tensors.get(alpha(part.name)), tensors.get(beta(part.name)))
                  : null,
              tensors.place(weight(part.name))));
      row = end;
    }
    return linears;
  }

  private static String weight(String name) {
    return name + ".weight";
  }

  private static String scale(String name) {
    return name + ".scale";
  }

  private static String alpha(String name) {
    return name + ".alpha";
  }

  private static String beta(String name) {
    return name + ".beta";
  }

  private static String bias(String name) {
    return name + ".bias";
  }
}

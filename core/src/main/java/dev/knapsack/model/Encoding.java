package dev.knapsack.model;

import dev.knapsack.kernel.Activation;
import dev.knapsack.model.TensorSpec.Role;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * The way from the rows of a text to a vector, or to scores: pooling, and what comes after it.
 *
 * @param head steps after pooling, in order; of rows that are not pooled, of each
 * @param scores whether what comes out are scores of a pair of texts, the first of them how well
 *     they fit
 */
public record Encoding(Pooling pooling, List<Step> head, boolean scores) {
  /** The rows of a text that a vector is made of. */
  public enum Pooling {
    /** Each is a vector. */
    NONE,
    /** All of them: their mean. */
    MEAN,
    /** The first. */
    FIRST,
    /** The last. */
    LAST
  }

  /** A step of a head. */
  public sealed interface Step {}

  /** {@code W x + b}; a model may do without {@code b}. */
  public record Dense(String name, int columns, int rows) implements Step {}

  /** A function of each number. */
  public record Apply(Activation function) implements Step {}

  /** The model's kind of norm. */
  public record Normed(String name, int width) implements Step {}

  /** The shares of all numbers of a row: {@code e^x / Σ e^x}. */
  public record Shares() implements Step {}

  public Encoding {
    head = List.copyOf(head);
  }

  /** The same with another pooling. */
  public Encoding withPooling(Pooling value) {
    return new Encoding(value, head, scores);
  }

  /** Numbers in a vector, of a model of this width. */
  public int columns(int width) {
    int columns = width;
    for (Step step : head) {
      columns = step instanceof Dense dense ? dense.rows : columns;
    }
    return columns;
  }

  /** Numbers in the widest row that a step gives. */
  int widest(int width) {
    return head.stream().mapToInt(s -> s instanceof Dense d ? d.rows : 0).reduce(width, Math::max);
  }

  /** The tensors that the steps compute with, outside all layers. */
  public List<TensorSpec> tensors() {
    List<TensorSpec> tensors = new ArrayList<>();
    for (Step step : head) {
      switch (step) {
        case Dense dense -> {
          tensors.add(
              new TensorSpec(dense.name + ".weight", Role.MATRIX, dense.columns, dense.rows));
          tensors.add(new TensorSpec(dense.name + ".bias", Role.BIAS, dense.rows).orNone());
        }
        case Normed norm -> tensors.addAll(Norm.tensors(norm.name + ".weight", norm.width));
        case Apply _, Shares _ -> {}
      }
    }
    return tensors;
  }

  /** Numbers of activations of a step that makes vectors of {@code tokens} tokens at the most. */
  Map<Slot, Long> activations(int tokens, int width) {
    Map<Slot, Long> numbers = new EnumMap<>(Slot.class);
    long most = (long) tokens * widest(width);
    numbers.put(Slot.POOLED, most);
    numbers.put(Slot.POOLED_NEXT, most);
    return numbers;
  }
}

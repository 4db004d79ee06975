package dev.knapsack.model;

import dev.knapsack.model.TensorSpec.Role;
import java.util.List;

/** The norms of queries and of keys. */
public enum HeadNorms {
  /** Of each head by itself, with the same factors, where their tensors are. */
  EACH,
  /** The same, with factors of its own for each head. */
  EACH_OWN,
  /** Of each head by itself, with the same factors, of heads that have been rotated. */
  EACH_ROTATED,
  /** Of all heads as one row, with factors for all their numbers, where their tensors are. */
  TOGETHER,
  /** Layer norms of all heads as one row, with factors and summands, where their tensors are. */
  CENTRED,
  /** Of each head by itself, without factors; it does not matter whether before it is rotated. */
  PLAIN;

  /** Numbers that are normed together, and that have a factor each if there are factors. */
  int group(int heads, int size) {
    return this == TOGETHER || this == CENTRED ? heads * size : size;
  }

  /** The factors. */
  List<TensorSpec> tensors(String name, int heads, int size) {
    return switch (this) {
      case PLAIN -> List.of();
      case EACH_OWN -> List.of(new TensorSpec(name, Role.NORM, size, heads).orNone());
      case CENTRED -> Norm.tensors(name, heads * size).stream().map(TensorSpec::orNone).toList();
      case EACH, EACH_ROTATED, TOGETHER ->
          List.of(new TensorSpec(name, Role.NORM, group(heads, size)).orNone());
    };
  }
}

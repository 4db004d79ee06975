package dev.knapsack.model;

import dev.knapsack.model.TensorSpec.Role;

/** The norms of queries and of keys, which are there when their tensors are. */
public enum HeadNorms {
  /** Of each head by itself, with the same factors. */
  EACH,
  /** The same, of heads that have been rotated. */
  EACH_ROTATED,
  /** Of all heads as one row, with factors for all their numbers. */
  TOGETHER;

  /** Numbers that are normed together, and that have a factor each. */
  int group(int heads, int size) {
    return this == TOGETHER ? heads * size : size;
  }

  /** The factors. */
  TensorSpec tensor(String name, int heads, int size) {
    return new TensorSpec(name, Role.NORM, group(heads, size)).orNone();
  }
}

package dev.knapsack.model;

import dev.knapsack.cache.KvTransform;
import dev.knapsack.kernel.Compute;
import dev.knapsack.tensor.Matrix;
import java.util.List;

/**
 * The transforms that the caches of a step's runs want of a layer's heads, in place: of
 * neighbouring runs that want the same at once.
 */
record HeadTransforms(Blocks blocks, Attention.Weights weights, List<Run> runs) {
  /** Of queries as of keys: what they are multiplied to stays what it was. */
  void keys(Matrix x) {
    each(x, this::keys);
  }

  void values(Matrix x) {
    each(x, this::values);
  }

  /** A sum of transformed values is the transformed sum. */
  void undoValues(Matrix x) {
    each(x, this::undoValues);
  }

  private void keys(KvTransform transform, Matrix x) {
    switch (transform) {
      case NONE -> {}
      case ROTATED -> compute().rotate(x, weights.spec().keySize());
      case REORDERED -> compute().reorder(x, blocks.workspace.orders().keys(weights, compute()));
    }
  }

  private void values(KvTransform transform, Matrix x) {
    switch (transform) {
      case NONE -> {}
      case ROTATED -> compute().rotate(x, weights.spec().valueSize());
      case REORDERED -> compute().reorder(x, blocks.workspace.orders().values(weights, compute()));
    }
  }

  private void undoValues(KvTransform transform, Matrix x) {
    switch (transform) {
      case NONE -> {}
      // Its own inverse.
      case ROTATED -> compute().rotate(x, weights.spec().valueSize());
      case REORDERED ->
          compute().reorderBack(x, blocks.workspace.orders().values(weights, compute()));
    }
  }

  private Compute compute() {
    return blocks.compute;
  }

  private interface Change {
    void of(KvTransform transform, Matrix rows);
  }

  private void each(Matrix x, Change change) {
    int first = 0;
    int end = 0;
    for (int i = 0; i < runs.size(); i++) {
      end += runs.get(i).length();
      if (i + 1 == runs.size() || transform(i + 1) != transform(i)) {
        change.of(transform(i), x.rows(first, end));
        first = end;
      }
    }
  }

  KvTransform transform(int run) {
    return runs.get(run).state().layout().transform();
  }
}

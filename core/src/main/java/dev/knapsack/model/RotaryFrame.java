package dev.knapsack.model;

import dev.knapsack.cache.KvTransform;
import dev.knapsack.cache.QueryFrame;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.Rope;
import dev.knapsack.tensor.Hadamard;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.ValueLayout;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The way of a layer's queries to its cached keys: turned and scaled by their position, where the
 * model does that, and then transformed or sketched as keys are.
 */
final class RotaryFrame implements QueryFrame {
  /**
   * The change that a layer makes to queries by their position.
   *
   * @param size numbers in a query
   * @param first the first of its numbers that are rotated; those before it are not
   */
  record Turning(
      float scale, int size, int first, @Nullable Rope rope, @Nullable QueryScale queryScale) {}

  private final Turning layer;
  private final Attention.@Nullable Weights weights;
  private final KvTransform transform;
  private final Workspace workspace;
  private final Compute compute;

  /** Factors of a norm after rotation; null where it comes before. */
  private final float @Nullable [] factors;

  RotaryFrame(Attention.Weights weights, KvTransform transform, Blocks blocks) {
    this(weights.spec().turning(), weights, transform, blocks);
  }

  /** Of a layer whose keys are cached as they are. */
  RotaryFrame(LatentAttention layer, Blocks blocks) {
    this(layer.turning(), null, KvTransform.NONE, blocks);
  }

  private RotaryFrame(
      Turning layer, Attention.@Nullable Weights weights, KvTransform transform, Blocks blocks) {
    this.layer = layer;
    this.weights = weights;
    this.transform = transform;
    this.workspace = blocks.workspace;
    this.compute = blocks.compute;
    Norm norm =
        weights == null || weights.spec().headNorms() != HeadNorms.EACH_ROTATED
            ? null
            : weights.queryNorm();
    this.factors =
        norm == null
            ? null
            : norm.factors()
                .data()
                .asSlice(0, Float.BYTES * (long) norm.factors().columns())
                .toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
  }

  @Override
  public float scale() {
    return layer.scale();
  }

  /**
   * Makes the queries of the heads that share a KV head what they were before RoPE, but for their
   * size where they are normed after it.
   *
   * @param transformed whether they are transformed as keys are, and not sketched
   */
  void unrotate(float[] heads, int kvHead, int position, boolean transformed) {
    int size = layer.size();
    Transformed keys = transformed ? transformed(null) : null;
    float[] head = new float[size];
    Turn turn = Turn.inverse(layer, position);
    for (int at = 0; at < heads.length; at += size) {
      if (keys != null) {
        System.arraycopy(heads, at, head, 0, size);
        keys.undo(kvHead, head, heads, at);
      }
      if (factors != null) {
        for (int i = 0; i < size; i++) {
          heads[at + i] = factors[i] == 0 ? 0 : heads[at + i] / factors[i];
        }
      }
      turn.back(heads, at);
    }
  }

  @Override
  public Backwards from(int first, int count) {
    if (count < 1) {
      throw new IllegalArgumentException("An average is of 1 position or more, not " + count);
    }
    Turn turn = Turn.mean(layer, first, count);
    Transformed keys = transformed(workspace.sketch(layer.size()));
    return (kvHead, key, out) -> {
      keys.undo(kvHead, key, out, 0);
      for (int i = 0; factors != null && i < factors.length; i++) {
        out[i] *= factors[i];
      }
      turn.back(out, 0);
    };
  }

  private Transformed transformed(@Nullable Matrix sketch) {
    if (sketch != null) {
      long numbers = (long) sketch.rows() * sketch.columns() * Float.BYTES;
      return new Transformed(
          sketch.data().asSlice(0, numbers).toArray(ValueLayout.JAVA_FLOAT_UNALIGNED), null, false);
    }
    return switch (transform) {
      case NONE -> new Transformed(null, null, false);
      case ROTATED -> new Transformed(null, null, true);
      case REORDERED ->
          new Transformed(
              null,
              workspace.orders().keys(Objects.requireNonNull(weights), compute).channels(),
              false);
    };
  }

  /**
   * The changes of a head before it is cached.
   *
   * @param sketch directions, row by row, if it is sketched
   * @param order places of all heads' channels, if they are reordered
   * @param rotated whether it is rotated
   */
  private record Transformed(float @Nullable [] sketch, int @Nullable [] order, boolean rotated) {
    /** Multiplies by the transpose, which undoes what is orthogonal. */
    void undo(int kvHead, float[] head, float[] out, int at) {
      if (sketch != null) {
        int size = sketch.length / head.length;
        for (int i = 0; i < size; i++) {
          out[at + i] = 0;
        }
        for (int row = 0; row < head.length; row++) {
          for (int i = 0; i < size; i++) {
            out[at + i] += head[row] * sketch[row * size + i];
          }
        }
        return;
      }
      for (int i = 0; i < head.length; i++) {
        out[at + (order == null ? i : order[kvHead * head.length + i])] = head[i];
      }
      if (rotated) {
        Hadamard.rotate(out, at, head.length);
      }
    }
  }

  /**
   * A turn of a head by its position, or by several on average.
   *
   * @param cosines of each pair of RoPE, scaled
   * @param sines likewise
   * @param rest factor of the numbers that are not turned
   */
  private record Turn(Turning layer, double[] cosines, double[] sines, double rest) {
    /** Undoes what a position does to queries. */
    static Turn inverse(Turning layer, int position) {
      Turn turn = mean(layer, position, 1);
      double length = layer.rope == null ? 1 : layer.rope.magnitude() * turn.rest;
      double square = length * length;
      for (int i = 0; i < turn.cosines.length; i++) {
        turn.cosines[i] /= square;
        turn.sines[i] /= square;
      }
      return new Turn(layer, turn.cosines, turn.sines, 1 / turn.rest);
    }

    /** The mean turn that positions give queries. */
    static Turn mean(Turning layer, int first, int count) {
      Rope rope = layer.rope();
      double[] frequencies = rope == null ? new double[0] : rope.frequencies();
      double magnitude = rope == null ? 1 : rope.magnitude();
      double[] cosines = new double[frequencies.length];
      double[] sines = new double[frequencies.length];
      double rest = 0;
      for (int position = first; position < first + count; position++) {
        double scale = layer.queryScale() == null ? 1 : layer.queryScale().at(position);
        rest += scale / count;
        for (int i = 0; i < frequencies.length; i++) {
          double angle = position * frequencies[i];
          double factor = magnitude * scale / count;
          cosines[i] += factor * Math.cos(angle);
          sines[i] += factor * Math.sin(angle);
        }
      }
      return new Turn(layer, cosines, sines, rest);
    }

    /** Multiplies by the transpose. */
    void back(float[] x, int at) {
      int turned = layer.first;
      if (layer.rope != null) {
        layer.rope.turnBack(x, at + layer.first, cosines, sines);
        turned += layer.rope.dimensions();
      }
      for (int i = 0; i < layer.size; i++) {
        if (i < layer.first || i >= turned) {
          x[at + i] *= (float) rest;
        }
      }
    }
  }
}

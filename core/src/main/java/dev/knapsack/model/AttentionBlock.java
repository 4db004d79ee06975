package dev.knapsack.model;

import dev.knapsack.cache.KvTransform;
import dev.knapsack.kernel.AttentionShape;
import dev.knapsack.kernel.Compute;
import dev.knapsack.tensor.Matrix;
import java.util.List;
import java.util.Objects;

/** Computes {@link Attention} over the cached keys and values of each sequence of a step. */
final class AttentionBlock {
  /** Rows that are encoded into a cache as one part of the work. */
  private static final int ROWS_PER_PART = 16;

  private final Blocks blocks;
  private final Compute compute;

  AttentionBlock(Blocks blocks) {
    this.blocks = blocks;
    this.compute = blocks.compute;
  }

  /**
   * Appends the layer's keys and values to each run's cache, and attends.
   *
   * @param x the normed residual stream, one row a token, run after run
   * @param positions each row's position in its sequence
   * @param delta receives what is to be added to the residual stream
   */
  void apply(Attention.Weights weights, List<Run> runs, int[] positions, Matrix x, Matrix delta) {
    Attention layer = weights.spec();
    int rows = x.rows();
    Matrix query = blocks.matrix(Slot.QUERY, rows, layer.queryColumns());
    Matrix key = blocks.matrix(Slot.KEY, rows, layer.keyColumns());
    Matrix value = blocks.matrix(Slot.VALUE, rows, layer.valueColumns());
    Compute.Input input = compute.input(x);
    weights.query().apply(compute, input, query);
    weights.key().apply(compute, input, key);
    weights.value().apply(compute, input, value);
    blocks.norm(query, weights.queryNorm(), layer.keySize(), query);
    blocks.norm(key, weights.keyNorm(), layer.keySize(), key);
    if (layer.rope() != null) {
      compute.rope(query, layer.keySize(), layer.rope(), positions);
      compute.rope(key, layer.keySize(), layer.rope(), positions);
    }
    if (layer.queryScale() != null) {
      scaleByPosition(query, layer.queryScale(), positions);
    }

    Matrix rotated = query;
    boolean sketched = blocks.workspace.sketch(layer.keySize()) != null;
    if (sketched) {
      query = sketched(Slot.QUERY_SKETCH, query, layer.keySize());
      key = sketched(Slot.KEY_SKETCH, key, layer.keySize());
    }
    int keySize = key.columns() / layer.kvHeads();
    Matrix attended = blocks.matrix(Slot.ATTENDED, rows, layer.attendedColumns());
    AttentionShape shape = weights.shape(keySize);
    int first = 0;
    int alone = compute.alone(Compute.AS_FITS);
    for (Run run : runs) {
      compute.alone(
          switch (run.kind()) {
            case WRITTEN -> 1;
            case PROMPT -> 0;
            case SHARED -> Compute.AS_FITS;
          });
      int end = first + run.length();
      KvTransform transform = run.cache().layout().transform();
      if (!sketched) {
        // Keys are met by queries that are transformed alike, so scores stay what they were.
        transformKeys(transform, weights, query.rows(first, end));
        transformKeys(transform, weights, key.rows(first, end));
      }
      OutputNorms norms =
          run.cache().wantsOutputNorms(weights.layer(), run.length())
              ? OutputNorms.of(weights, value.rows(first, end), blocks)
              : null;
      Retained retained =
          run.cache().wantsRetention(weights.layer(), run.length())
              ? Retained.of(
                  blocks.workspace.gates().get(weights.layer()), x.rows(first, end), blocks)
              : null;
      transformValues(transform, weights, value.rows(first, end));
      append(run, weights.layer(), key, value, first);
      run.cache().fetch(weights.layer(), query.rows(first, end));
      compute.attention(
          shape,
          query.rows(first, end),
          run.cache().length(),
          run.cache().pieces(weights.layer(), run.length()),
          attended.rows(first, end));
      run.cache()
          .observe(
              weights.layer(),
              new ComputedStep(
                  run.cache().length(),
                  x.rows(first, end),
                  query.rows(first, end),
                  rotated.rows(first, end),
                  sketched,
                  new RotaryFrame(weights, transform, blocks),
                  shape,
                  norms,
                  retained,
                  compute));
      undoTransform(transform, weights, attended.rows(first, end));
      first = end;
    }
    compute.alone(alone);
    weights.output().apply(compute, compute.input(attended), delta);
  }

  private void transformKeys(KvTransform transform, Attention.Weights weights, Matrix x) {
    switch (transform) {
      case NONE -> {}
      case ROTATED -> compute.rotate(x, weights.spec().keySize());
      case REORDERED -> compute.reorder(x, blocks.workspace.orders().keys(weights, compute));
    }
  }

  private void transformValues(KvTransform transform, Attention.Weights weights, Matrix x) {
    switch (transform) {
      case NONE -> {}
      case ROTATED -> compute.rotate(x, weights.spec().valueSize());
      case REORDERED -> compute.reorder(x, blocks.workspace.orders().values(weights, compute));
    }
  }

  /** A sum of transformed values is the transformed sum. */
  private void undoTransform(KvTransform transform, Attention.Weights weights, Matrix x) {
    switch (transform) {
      case NONE -> {}
      // Its own inverse.
      case ROTATED -> compute.rotate(x, weights.spec().valueSize());
      case REORDERED -> compute.reorderBack(x, blocks.workspace.orders().values(weights, compute));
    }
  }

  /** Heads by the directions in which keys are cached; scores stay what they were. */
  private Matrix sketched(Slot slot, Matrix x, int size) {
    Matrix directions = Objects.requireNonNull(blocks.workspace.sketch(size));
    int columns = x.columns() / size * directions.rows();
    Matrix out = blocks.matrix(slot, x.rows(), columns);
    compute.projectHeads(directions, x, out);
    return out;
  }

  /** Encodes the rows of a run, which start at {@code first}, into its cache. */
  private void append(Run run, int layer, Matrix key, Matrix value, int first) {
    compute
        .team()
        .run(
            Math.ceilDiv(run.length(), ROWS_PER_PART),
            (part, parts, worker) -> {
              int from = part * ROWS_PER_PART;
              int rows = Math.min(ROWS_PER_PART, run.length() - from);
              run.cache().append(layer, from, key, value, first + from, rows);
            });
  }

  private void scaleByPosition(Matrix query, QueryScale scale, int[] positions) {
    for (int t = 0; t < query.rows(); t++) {
      float factor = scale.at(positions[t]);
      if (factor != 1) {
        compute.scale(query.rows(t, t + 1), factor);
      }
    }
  }
}

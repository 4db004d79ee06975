package dev.knapsack.model;

import dev.knapsack.cache.KvTransform;
import dev.knapsack.kernel.AttentionShape;
import dev.knapsack.kernel.Compute;
import dev.knapsack.model.Workspace.Slot;
import dev.knapsack.tensor.Matrix;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Attention over the cached keys and values of each sequence of a step. */
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
  void apply(
      LayerSpec layer,
      LayerWeights weights,
      List<Run> runs,
      int[] positions,
      Matrix x,
      Matrix delta) {
    int rows = x.rows();
    Matrix query = blocks.matrix(Slot.QUERY, rows, layer.queryColumns());
    Matrix key = blocks.matrix(Slot.KEY, rows, layer.keyColumns());
    Matrix value = blocks.matrix(Slot.VALUE, rows, layer.valueColumns());
    project(weights, x, query, key, value);
    blocks.norm(query, weights.find("attn_q_norm.weight"), layer.keySize(), query);
    blocks.norm(key, weights.find("attn_k_norm.weight"), layer.keySize(), key);
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
    AttentionShape shape = shape(layer, keySize, weights.find("attn_sinks.weight"));
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
      KvTransform transform = run.state().layout().transform();
      if (!sketched) {
        // Keys are met by queries that are transformed alike, so scores stay what they were.
        transformKeys(transform, layer, weights, query.rows(first, end));
        transformKeys(transform, layer, weights, key.rows(first, end));
      }
      OutputNorms norms =
          run.state().kv().wantsOutputNorms(weights.index(), run.length())
              ? OutputNorms.of(layer, weights, value.rows(first, end), blocks)
              : null;
      Retained retained =
          run.state().kv().wantsRetention(weights.index(), run.length())
              ? Retained.of(
                  blocks.workspace.gates().get(weights.index()), x.rows(first, end), blocks)
              : null;
      transformValues(transform, layer, weights, value.rows(first, end));
      append(run, weights.index(), key, value, first);
      run.state().kv().fetch(weights.index(), query.rows(first, end));
      compute.attention(
          shape,
          query.rows(first, end),
          run.state().length(),
          run.state().kv().pieces(weights.index(), run.length()),
          attended.rows(first, end));
      run.state()
          .kv()
          .observe(
              weights.index(),
              new ComputedStep(
                  run.state().length(),
                  x.rows(first, end),
                  query.rows(first, end),
                  rotated.rows(first, end),
                  sketched,
                  new RotaryFrame(layer, weights, transform, blocks),
                  shape,
                  norms,
                  retained,
                  compute));
      undoTransform(transform, layer, weights, attended.rows(first, end));
      first = end;
    }
    compute.alone(alone);
    blocks.project(
        weights, "attn_output.weight", "attn_output.bias", compute.input(attended), delta);
  }

  private void transformKeys(
      KvTransform transform, LayerSpec layer, LayerWeights weights, Matrix x) {
    switch (transform) {
      case NONE -> {}
      case ROTATED -> compute.rotate(x, layer.keySize());
      case REORDERED -> compute.reorder(x, blocks.workspace.orders().keys(layer, weights, compute));
    }
  }

  private void transformValues(
      KvTransform transform, LayerSpec layer, LayerWeights weights, Matrix x) {
    switch (transform) {
      case NONE -> {}
      case ROTATED -> compute.rotate(x, layer.valueSize());
      case REORDERED ->
          compute.reorder(x, blocks.workspace.orders().values(layer, weights, compute));
    }
  }

  /** A sum of transformed values is the transformed sum. */
  private void undoTransform(
      KvTransform transform, LayerSpec layer, LayerWeights weights, Matrix x) {
    switch (transform) {
      case NONE -> {}
      // Its own inverse.
      case ROTATED -> compute.rotate(x, layer.valueSize());
      case REORDERED ->
          compute.reorderBack(x, blocks.workspace.orders().values(layer, weights, compute));
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

  private void project(LayerWeights weights, Matrix x, Matrix query, Matrix key, Matrix value) {
    Compute.Input input = compute.input(x);
    Matrix fused = weights.find("attn_qkv.weight");
    if (fused == null) {
      blocks.project(weights, "attn_q.weight", "attn_q.bias", input, query);
      blocks.project(weights, "attn_k.weight", "attn_k.bias", input, key);
      blocks.project(weights, "attn_v.weight", "attn_v.bias", input, value);
      return;
    }
    Matrix bias = weights.find("attn_qkv.bias");
    int row = 0;
    for (Matrix out : List.of(query, key, value)) {
      compute.matmul(fused.rows(row, row + out.columns()), input, out);
      if (bias != null) {
        compute.addBias(out, bias.data().asSlice(4L * row, 4L * out.columns()));
      }
      row += out.columns();
    }
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
              run.state().kv().append(layer, from, key, value, first + from, rows);
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

  private static AttentionShape shape(LayerSpec layer, int keySize, @Nullable Matrix sinks) {
    return new AttentionShape(
        layer.heads(),
        layer.kvHeads(),
        keySize,
        layer.valueSize(),
        layer.attentionScale(),
        layer.attentionSoftCap(),
        layer.window(),
        true,
        sinks == null ? null : sinks.data());
  }
}

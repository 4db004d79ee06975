package dev.knapsack.model;

import dev.knapsack.kernel.AttentionShape;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.Compute.Product;
import dev.knapsack.kernel.Queries;
import dev.knapsack.model.Workspace.Slot;
import dev.knapsack.tensor.Matrix;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Attention over the cached keys and values of each sequence of a step. */
final class AttentionBlock {
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
    HeadTransforms transforms = new HeadTransforms(blocks, layer, weights, runs);
    @Nullable OutputNorms[] norms = outputNorms(layer, weights, runs, value);
    if (!sketched) {
      transforms.keys(query);
      transforms.keys(key);
    }
    transforms.values(value);
    append(runs, weights.index(), key, value);
    attend(runs, weights.index(), shape, query, attended);
    int first = 0;
    for (int i = 0; i < norms.length; i++) {
      Run run = runs.get(i);
      int end = first + run.length();
      run.cache()
          .observe(
              weights.index(),
              new ComputedStep(
                  run.cache().length(),
                  x.rows(first, end),
                  query.rows(first, end),
                  rotated.rows(first, end),
                  sketched,
                  new RotaryFrame(layer, weights, transforms.transform(i), blocks),
                  shape,
                  norms[i],
                  retained(run, weights.index(), x.rows(first, end)),
                  compute));
      first = end;
    }
    transforms.undoValues(attended);
    blocks.project(
        weights, "attn_output.weight", "attn_output.bias", compute.input(attended), delta);
  }

  /** By run; of values that are not transformed yet. */
  private @Nullable OutputNorms[] outputNorms(
      LayerSpec layer, LayerWeights weights, List<Run> runs, Matrix value) {
    @Nullable OutputNorms[] norms = new OutputNorms[runs.size()];
    int first = 0;
    for (int i = 0; i < norms.length; i++) {
      Run run = runs.get(i);
      int end = first + run.length();
      if (run.cache().wantsOutputNorms(weights.index(), run.length())) {
        norms[i] = OutputNorms.of(layer, weights, value.rows(first, end), blocks);
      }
      first = end;
    }
    return norms;
  }

  private @Nullable Retained retained(Run run, int layer, Matrix x) {
    if (!run.cache().wantsRetention(layer, run.length())) {
      return null;
    }
    int alone =
        compute.alone(
            switch (run.kind()) {
              case WRITTEN -> 1;
              case PROMPT -> 0;
              case SHARED -> Compute.AS_FITS;
            });
    Retained retained = Retained.of(blocks.workspace.gates().get(layer), x, blocks);
    compute.alone(alone);
    return retained;
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
      compute.matmul(
          input,
          new Product(weights.get("attn_q.weight"), query),
          new Product(weights.get("attn_k.weight"), key),
          new Product(weights.get("attn_v.weight"), value));
      blocks.addBias(query, weights.find("attn_q.bias"), 0);
      blocks.addBias(key, weights.find("attn_k.bias"), 0);
      blocks.addBias(value, weights.find("attn_v.bias"), 0);
      return;
    }
    Matrix bias = weights.find("attn_qkv.bias");
    int row = 0;
    List<Product> products = new ArrayList<>();
    for (Matrix out : List.of(query, key, value)) {
      products.add(new Product(fused.rows(row, row + out.columns()), out));
      row += out.columns();
    }
    compute.matmul(input, products.toArray(Product[]::new));
    row = 0;
    for (Matrix out : List.of(query, key, value)) {
      if (bias != null) {
        compute.addBias(out, bias.data().asSlice(4L * row, 4L * out.columns()));
      }
      row += out.columns();
    }
  }

  /** Encodes the rows of all runs into their caches. */
  private void append(List<Run> runs, int layer, Matrix key, Matrix value) {
    compute.encode(
        key.rows(),
        key.columns() + value.columns(),
        (from, to) -> {
          int first = 0;
          for (Run run : runs) {
            int end = first + run.length();
            int row = Math.max(from, first);
            int rows = Math.min(to, end) - row;
            if (rows > 0) {
              run.cache().append(layer, row - first, key, value, row, rows);
            }
            first = end;
          }
        });
  }

  private void attend(
      List<Run> runs, int layer, AttentionShape shape, Matrix query, Matrix attended) {
    List<Queries> queries = new ArrayList<>(runs.size());
    int first = 0;
    for (Run run : runs) {
      int end = first + run.length();
      run.cache().fetch(layer, query.rows(first, end));
      queries.add(
          new Queries(
              query.rows(first, end),
              run.cache().length(),
              run.cache().pieces(layer, run.length()),
              run.kind() != Run.Kind.PROMPT,
              attended.rows(first, end)));
      first = end;
    }
    compute.attention(shape, queries);
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

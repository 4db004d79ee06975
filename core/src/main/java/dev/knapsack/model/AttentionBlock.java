package dev.knapsack.model;

import dev.knapsack.kernel.AttentionShape;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.Queries;
import dev.knapsack.tensor.Matrix;
import java.util.ArrayList;
import java.util.List;

/** Computes {@link Attention} over the cached keys and values of each sequence of a step. */
final class AttentionBlock {
  private final Blocks blocks;
  private final Compute compute;

  AttentionBlock(Blocks blocks) {
    this.blocks = blocks;
    this.compute = blocks.compute;
  }

  /** The heads of a step's tokens, a row each. */
  record Heads(Matrix query, Matrix key, Matrix value) {}

  /**
   * Appends the layer's keys and values to each run's cache, and attends.
   *
   * @param x the normed residual stream, one row a token, run after run
   * @param positions each row's position in its sequence
   * @param delta receives what is to be added to the residual stream
   */
  void apply(Attention.Weights weights, List<Run> runs, int[] positions, Matrix x, Matrix delta) {
    RecipeHooks recipes = new RecipeHooks(blocks, weights, runs, x);
    Heads heads = recipes.before(project(weights, positions, x));
    append(weights.layer(), runs, heads);
    Matrix attended = blocks.matrix(Slot.ATTENDED, x.rows(), weights.spec().attendedColumns());
    AttentionShape shape = weights.shape(heads.key().columns() / weights.spec().kvHeads());
    attend(weights.layer(), runs, shape, heads.query(), attended);
    recipes.after(shape, attended);
    weights.output().apply(compute, compute.input(attended), delta);
  }

  private Heads project(Attention.Weights weights, int[] positions, Matrix x) {
    Attention spec = weights.spec();
    Matrix query = blocks.matrix(Slot.QUERY, x.rows(), spec.queryColumns());
    Matrix key = blocks.matrix(Slot.KEY, x.rows(), spec.keyColumns());
    Matrix value = blocks.matrix(Slot.VALUE, x.rows(), spec.valueColumns());
    Compute.Input input = compute.input(x);
    Linear.apply(
        compute,
        input,
        weights.query().into(query),
        weights.key().into(key),
        weights.value().into(value));
    blocks.norm(query, weights.queryNorm(), spec.keySize(), query);
    blocks.norm(key, weights.keyNorm(), spec.keySize(), key);
    if (spec.rope() != null) {
      compute.rope(query, spec.keySize(), spec.rope(), positions);
      compute.rope(key, spec.keySize(), spec.rope(), positions);
    }
    if (spec.queryScale() != null) {
      scaleByPosition(query, spec.queryScale(), positions);
    }
    return new Heads(query, key, value);
  }

  /** Encodes the rows of all runs into their caches. */
  private void append(int layer, List<Run> runs, Heads heads) {
    compute.encode(
        heads.key().rows(),
        heads.key().columns() + heads.value().columns(),
        (from, to) -> {
          int first = 0;
          for (Run run : runs) {
            int end = first + run.length();
            int row = Math.max(from, first);
            int rows = Math.min(to, end) - row;
            if (rows > 0) {
              run.state().kv().append(layer, row - first, heads.key(), heads.value(), row, rows);
            }
            first = end;
          }
        });
  }

  private void attend(
      int layer, List<Run> runs, AttentionShape shape, Matrix query, Matrix attended) {
    List<Queries> queries = new ArrayList<>(runs.size());
    int first = 0;
    for (Run run : runs) {
      int end = first + run.length();
      run.state().kv().fetch(layer, query.rows(first, end));
      queries.add(
          new Queries(
              query.rows(first, end),
              run.state().length(),
              run.state().kv().pieces(layer, run.length()),
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
}

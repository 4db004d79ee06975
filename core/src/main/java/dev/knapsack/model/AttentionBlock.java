package dev.knapsack.model;

import dev.knapsack.cache.KvCache;
import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.AttentionShape;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.KvSpan;
import dev.knapsack.kernel.Queries;
import dev.knapsack.model.Attention.Source;
import dev.knapsack.tensor.Matrix;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Computes {@link Attention}, of the sequences and texts of a step at once. */
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
   * Attends, each run to what its sequence has cached and its own tokens, or to these alone.
   *
   * @param x the normed residual stream, one row a token, run after run
   * @param positions each row's position in its sequence
   * @param delta receives what is to be added to the residual stream
   */
  void apply(Attention.Weights weights, List<Run> runs, int[] positions, Matrix x, Matrix delta) {
    Heads heads = project(weights, positions, x);
    Matrix attended = blocks.matrix(Slot.ATTENDED, x.rows(), weights.spec().attendedColumns());
    if (weights.spec().source() == Source.CACHE) {
      attendToCaches(weights, runs, x, heads, attended);
    } else {
      AttentionShape shape = weights.shape(weights.spec().keySize());
      attend(shape, runs, heads.query(), attended, (run, first) -> rows(shape, run, first, heads));
    }
    blocks.norm(attended, weights.attendedNorm(), attended.columns(), attended);
    weights.output().apply(blocks, compute.input(gated(weights.spec(), attended)), delta);
  }

  /** What heads attended to, as their gates let it through. */
  private Matrix gated(Attention spec, Matrix attended) {
    if (!spec.gated()) {
      return attended;
    }
    Matrix gate = blocks.matrix(Slot.GATE, attended.rows(), attended.columns());
    compute.gatedActivation(Activation.SIGMOID, gate, attended, gate);
    return gate;
  }

  private void attendToCaches(
      Attention.Weights weights, List<Run> runs, Matrix x, Heads projected, Matrix attended) {
    RecipeHooks recipes = new RecipeHooks(blocks, weights, runs, x);
    Heads heads = recipes.before(projected);
    int layer = weights.layer();
    append(layer, runs, heads);
    AttentionShape shape = weights.shape(heads.key().columns() / weights.spec().kvHeads());
    attend(shape, runs, heads.query(), attended, (run, first) -> cached(layer, run, first, heads));
    recipes.after(shape, attended);
  }

  private Heads project(Attention.Weights weights, int[] positions, Matrix x) {
    Attention spec = weights.spec();
    Matrix query = blocks.matrix(Slot.QUERY, x.rows(), spec.queryColumns());
    Matrix projected =
        spec.gated()
            ? blocks.matrix(Slot.MIXED, x.rows(), query.columns() + spec.attendedColumns())
            : query;
    Matrix key = blocks.matrix(Slot.KEY, x.rows(), spec.keyColumns());
    Matrix value = blocks.matrix(Slot.VALUE, x.rows(), spec.valueColumns());
    Compute.Input input = compute.input(x);
    Linear.apply(
        blocks,
        input,
        weights.query().into(projected),
        weights.key().into(key),
        weights.value().into(value));
    if (spec.gated()) {
      Matrix gate = blocks.matrix(Slot.GATE, x.rows(), spec.attendedColumns());
      blocks.deal(projected, spec.heads(), query, gate);
    }
    if (spec.headNorms() == HeadNorms.EACH_ROTATED) {
      rotate(spec, positions, query, key);
      norm(weights, query, key);
    } else {
      norm(weights, query, key);
      rotate(spec, positions, query, key);
    }
    if (spec.queryScale() != null) {
      scaleByPosition(query, spec.queryScale(), positions);
    }
    return new Heads(query, key, value);
  }

  private void norm(Matrix x, @Nullable Matrix weight, Attention spec, int heads) {
    int group = spec.headNorms().group(heads, spec.keySize());
    if (spec.headNorms() == HeadNorms.PLAIN) {
      blocks.unitNorm(x, group, x);
    } else if (spec.headNorms() == HeadNorms.EACH_OWN) {
      blocks.normGroups(x, weight);
    } else {
      blocks.norm(x, weight, group, x);
    }
  }

  private void norm(Attention.Weights weights, Matrix query, Matrix key) {
    norm(query, weights.queryNorm(), weights.spec(), weights.spec().heads());
    norm(key, weights.keyNorm(), weights.spec(), weights.spec().kvHeads());
  }

  private void rotate(Attention spec, int[] positions, Matrix query, Matrix key) {
    if (spec.rope() != null) {
      compute.rope(query, spec.keySize(), spec.rope(), positions);
      compute.rope(key, spec.keySize(), spec.rope(), positions);
    }
  }

  /** Encodes the rows of all runs into their caches. */
  void append(int layer, List<Run> runs, Heads heads) {
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

  /** Finds the tokens that a run's rows meet, of which {@code first} is the first. */
  interface Pieces {
    Iterator<KvSpan[][]> of(Run run, int first);
  }

  /** Attends, each run to its pieces. */
  void attend(AttentionShape shape, List<Run> runs, Matrix query, Matrix attended, Pieces pieces) {
    List<Queries> queries = new ArrayList<>(runs.size());
    int first = 0;
    for (Run run : runs) {
      int end = first + run.length();
      queries.add(
          new Queries(
              query.rows(first, end),
              run.state().length(),
              pieces.of(run, first),
              run.kind() != Run.Kind.PROMPT,
              attended.rows(first, end)));
      first = end;
    }
    compute.attention(shape, queries);
  }

  /** The tokens of a run's cache in a layer, its own rows included. */
  static Iterator<KvSpan[][]> cached(int layer, Run run, int first, Heads heads) {
    KvCache cache = run.state().kv();
    cache.fetch(layer, heads.query().rows(first, first + run.length()));
    return cache.pieces(layer, run.length());
  }

  /** The run's own rows, where they lie. */
  private Iterator<KvSpan[][]> rows(AttentionShape shape, Run run, int first, Heads heads) {
    int end = first + run.length();
    KvSpan[][] spans = new KvSpan[shape.kvHeads()][1];
    for (int h = 0; h < spans.length; h++) {
      spans[h][0] =
          KvSpan.rows(
              heads.key().rows(first, end),
              heads.value().rows(first, end),
              blocks.workspace.memory(),
              h,
              shape.kvHeads(),
              run.state().length());
    }
    return List.<KvSpan[][]>of(spans).iterator();
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

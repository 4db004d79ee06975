package dev.knapsack.model;

import dev.knapsack.cache.KvCache;
import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.AttentionShape;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.KvSpan;
import dev.knapsack.kernel.Queries;
import dev.knapsack.model.Attention.Source;
import dev.knapsack.model.Attention.Values;
import dev.knapsack.tensor.Matrix;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Computes {@link Attention}, of the sequences and texts of a step at once. */
final class AttentionBlock {
  private final Blocks blocks;
  private final Compute compute;
  private final MemoryLookup lookup;

  AttentionBlock(Blocks blocks, MemoryLookup lookup) {
    this.blocks = blocks;
    this.lookup = lookup;
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
    Attention spec = weights.spec();
    Matrix attended = blocks.matrix(Slot.ATTENDED, x.rows(), spec.attendedColumns());
    switch (spec.source()) {
      case Source.Cache _ ->
          attendToCaches(weights, runs, x, project(weights, positions, x), attended);
      case Source.Earlier _ ->
          attendToEarlier(weights, runs, query(weights, positions, x), x, attended);
      case Source.Rows _ -> {
        Heads heads = project(weights, positions, x);
        AttentionShape shape = weights.shape(spec.keySize());
        attend(
            shape, runs, heads.query(), attended, (run, first) -> rows(shape, run, first, heads));
      }
    }
    blocks.norm(attended, weights.attendedNorm(), attended.columns(), attended);
    if (weights.output() == null) {
      delta.data().copyFrom(attended.data());
    } else {
      weights.output().apply(blocks, compute.input(gated(spec, attended)), delta);
    }
  }

  /** Lets through what heads attended to, as their gates have it. */
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
    attend(
        shape,
        runs,
        heads.query(),
        attended,
        (run, first) -> cached(layer, run, first, heads.query()));
    recipes.after(shape, attended);
  }

  /** Attends to what an earlier layer has cached in this step and before: recipes have seen it. */
  private void attendToEarlier(
      Attention.Weights weights, List<Run> runs, Matrix projected, Matrix x, Matrix attended) {
    RecipeHooks recipes = new RecipeHooks(blocks, weights, runs, x);
    Matrix query = recipes.query(projected);
    int layer = weights.cachedIn();
    AttentionShape shape = weights.shape(query.columns() / weights.spec().heads());
    attend(shape, runs, query, attended, (run, first) -> cached(layer, run, first, query));
    recipes.undo(attended);
  }

  private Matrix query(Attention.Weights weights, int[] positions, Matrix x) {
    Matrix projected = projected(weights.spec(), x.rows());
    Objects.requireNonNull(weights.query()).apply(blocks, compute.input(x), projected);
    return finished(weights, positions, projected);
  }

  private Heads project(Attention.Weights weights, int[] positions, Matrix x) {
    Attention spec = weights.spec();
    Matrix projected = projected(spec, x.rows());
    Matrix key = blocks.matrix(Slot.KEY, x.rows(), spec.keyColumns());
    Matrix value = blocks.matrix(Slot.VALUE, x.rows(), spec.valueColumns());
    if (spec.hashBits() > 0) {
      MemoryLookup.Hashed hashed = lookup.hash(x, spec.hashBits());
      lookup.apply(weights.tables().get(0), hashed, projected);
      lookup.apply(weights.tables().get(1), hashed, key);
      lookup.apply(weights.tables().get(2), hashed, value);
    } else {
      multiply(weights, x, projected, key, value);
    }
    Matrix query = finished(weights, positions, projected);
    turn(spec, positions, weights.keyNorm(), spec.kvHeads(), key);
    return new Heads(query, key, value);
  }

  private void multiply(
      Attention.Weights weights, Matrix x, Matrix projected, Matrix key, Matrix value) {
    Attention spec = weights.spec();
    Compute.Input input = compute.input(x);
    Linear.Into queries = Objects.requireNonNull(weights.query()).into(projected);
    switch (spec.values()) {
      case Values.OwnRows _ -> {
        Linear.apply(blocks, input, queries);
        key.data().copyFrom(x.data());
        value.data().copyFrom(x.data());
      }
      case Values.Keys _ -> {
        Linear.apply(blocks, input, queries, Objects.requireNonNull(weights.key()).into(key));
        value.data().copyFrom(key.data());
      }
      case Values.Projected _, Values.Mixed _ ->
          Linear.apply(
              blocks,
              input,
              queries,
              Objects.requireNonNull(weights.key()).into(key),
              Objects.requireNonNull(weights.value()).into(value));
    }
    if (spec.values() instanceof Values.Mixed(ValueEmbeddings bank)) {
      mix(bank, Objects.requireNonNull(weights.valueGate()), input, spec.kvHeads(), value);
    } else if (spec.values().equals(Values.KEYS) || spec.values().equals(Values.NORMED)) {
      blocks.unitNorm(value, spec.valueSize(), value);
    }
  }

  /** Mixes projected values with the rows of their tokens in the bank, head by head. */
  private void mix(
      ValueEmbeddings bank, Linear gate, Compute.Input input, int heads, Matrix value) {
    Matrix gates = blocks.matrix(Slot.VALUE_GATES, value.rows(), bank.gates(heads));
    gate.apply(blocks, input, gates);
    compute.activate(Activation.SIGMOID, gates);
    Matrix rows = blocks.matrix(Slot.VALUE_BANK, value.rows(), bank.columns());
    compute.rows(
        value.rows(),
        bank.columns(),
        (from, to) -> {
          float[] factors = new float[gates.columns()];
          float[] own = new float[value.columns()];
          float[] row = new float[rows.columns()];
          for (int t = from; t < to; t++) {
            gates.read(t, 0, factors);
            value.read(t, 0, own);
            rows.read(t, 0, row);
            bank.mix(factors, row, own);
            value.write(t, 0, own);
          }
        });
  }

  /** Room for what the projection of queries gives: these, or each with its gate. */
  private Matrix projected(Attention spec, int rows) {
    return spec.gated()
        ? blocks.matrix(Slot.MIXED, rows, spec.queryColumns() + spec.attendedColumns())
        : blocks.matrix(Slot.QUERY, rows, spec.queryColumns());
  }

  /** Makes queries of what their projection gave, and lays their gates aside. */
  private Matrix finished(Attention.Weights weights, int[] positions, Matrix projected) {
    Attention spec = weights.spec();
    Matrix query = blocks.matrix(Slot.QUERY, projected.rows(), spec.queryColumns());
    if (spec.gated()) {
      Matrix gate = blocks.matrix(Slot.GATE, projected.rows(), spec.attendedColumns());
      blocks.deal(projected, spec.heads(), query, gate);
    }
    turn(spec, positions, weights.queryNorm(), spec.heads(), query);
    if (spec.queryScale() != null) {
      scaleByPosition(query, spec.queryScale(), positions);
    }
    return query;
  }

  /** Norms heads and turns them by their positions, in the order that the model has. */
  private void turn(Attention spec, int[] positions, @Nullable Norm factors, int heads, Matrix x) {
    if (spec.headNorms() == HeadNorms.EACH_ROTATED) {
      rotate(spec, positions, x);
      norm(spec, factors, heads, x);
    } else {
      norm(spec, factors, heads, x);
      rotate(spec, positions, x);
    }
  }

  private void norm(Attention spec, @Nullable Norm norm, int heads, Matrix x) {
    int group = spec.headNorms().group(heads, spec.keySize());
    Matrix factors = norm == null ? null : norm.factors();
    if (spec.headNorms() == HeadNorms.CENTRED) {
      blocks.layerNorm(x, norm, x);
    } else if (spec.headNorms() == HeadNorms.PLAIN) {
      blocks.unitNorm(x, group, x);
    } else if (spec.headNorms() == HeadNorms.EACH_OWN) {
      blocks.normGroups(x, factors);
    } else {
      blocks.norm(x, factors, group, x);
    }
  }

  private void rotate(Attention spec, int[] positions, Matrix x) {
    if (spec.rope() != null) {
      compute.rope(x, spec.keySize(), spec.rope(), positions);
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
              run.start(),
              pieces.of(run, first),
              run.kind() != Run.Kind.PROMPT,
              attended.rows(first, end)));
      first = end;
    }
    compute.attention(shape, queries);
  }

  /** The tokens of a run's cache in a layer, its own rows included. */
  static Iterator<KvSpan[][]> cached(int layer, Run run, int first, Matrix query) {
    KvCache cache = run.state().kv();
    cache.fetch(layer, query.rows(first, first + run.length()));
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
              run.start());
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

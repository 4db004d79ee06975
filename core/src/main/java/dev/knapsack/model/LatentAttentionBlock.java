package dev.knapsack.model;

import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.KvSpan;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;

/** Computes {@link LatentAttention}, of the sequences of a step at once. */
final class LatentAttentionBlock {
  /** Rows of a step whose heads are multiplied at a time. */
  static final int ROWS = 64;

  // Nanoseconds a number that is moved, on one core: roughly.
  private static final double MOVE = 0.2;

  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  private final Blocks blocks;
  private final Compute compute;
  private final AttentionBlock attention;

  /**
   * @param attention what it shares with attention whose heads have keys of their own
   */
  LatentAttentionBlock(Blocks blocks, AttentionBlock attention) {
    this.blocks = blocks;
    this.compute = blocks.compute;
    this.attention = attention;
  }

  /**
   * Attends, each run to what its sequence has cached and its own tokens; as {@link
   * AttentionBlock#apply} takes them.
   */
  void apply(
      LatentAttention.Weights weights, List<Run> runs, int[] positions, Matrix x, Matrix delta) {
    LatentAttention spec = weights.spec();
    int rows = x.rows();
    Compute.Input input = compute.input(x);
    Matrix query = absorbed(weights, positions, input, query(weights, input));
    Matrix key = key(weights, positions, input);
    AttentionBlock.Heads heads = new AttentionBlock.Heads(query, key, key);
    attention.append(weights.layer(), runs, heads);
    Matrix attended = blocks.matrix(Slot.ATTENDED, rows, spec.heads() * spec.content());
    int parts = spec.sharedShape().kvHeads();
    attention.attend(
        spec.sharedShape(),
        runs,
        query,
        attended,
        (run, first) ->
            shared(AttentionBlock.cached(weights.layer(), run, first, heads.query()), parts));
    observe(weights, runs, x, query);
    Matrix values = blocks.matrix(Slot.VALUE, rows, spec.heads() * spec.valueSize());
    byHead(
        spec.heads(),
        new Columns(attended, 0, spec.content()),
        new Columns(values, 0, spec.valueSize()),
        (in, out) -> compute.matmulHeads(weights.toValues(), in, out));
    weights.output().apply(blocks, compute.input(values), delta);
  }

  /** The queries of all heads as they are projected. */
  private Matrix query(LatentAttention.Weights weights, Compute.Input x) {
    LatentAttention spec = weights.spec();
    int rows = x.floats().rows();
    Compute.Input source = x;
    if (weights.source() != null) {
      Matrix projected = blocks.matrix(Slot.QUERY_SOURCE, rows, spec.querySource());
      weights.source().apply(blocks, x, projected);
      blocks.norm(projected, weights.sourceNorm(), spec.querySource(), projected);
      source = compute.input(projected);
    }
    Matrix query = blocks.matrix(Slot.QUERY, rows, spec.heads() * (spec.plain() + spec.rotated()));
    weights.toQueries().apply(blocks, source, query);
    return query;
  }

  /** Queries that meet cached rows as the projected ones would meet keys made of those. */
  private Matrix absorbed(
      LatentAttention.Weights weights, int[] positions, Compute.Input x, Matrix query) {
    LatentAttention spec = weights.spec();
    int rows = x.floats().rows();
    Matrix rotated = blocks.matrix(Slot.QUERY_ROTATED, rows, spec.heads() * spec.rotated());
    Matrix absorbed = blocks.matrix(Slot.ABSORBED, rows, spec.heads() * spec.keySize());
    Columns last = new Columns(query, spec.plain(), spec.rotated());
    Columns all = new Columns(rotated, 0, spec.rotated());
    move(spec.heads(), last, all);
    if (spec.rope() != null) {
      compute.rope(rotated, spec.rotated(), spec.rope(), positions);
    }
    move(spec.heads(), all, new Columns(absorbed, spec.content(), spec.rotated()));
    byHead(
        spec.heads(),
        new Columns(query, 0, spec.plain()),
        new Columns(absorbed, 0, spec.content()),
        (in, out) -> {
          if (spec.inOne()) {
            turned(weights.toKeys(), in, out);
          } else {
            compute.matmulHeads(weights.toKeys(), in, out);
          }
        });
    return absorbed;
  }

  /** The rows that are cached. */
  private Matrix key(LatentAttention.Weights weights, int[] positions, Compute.Input x) {
    LatentAttention spec = weights.spec();
    int rows = x.floats().rows();
    Matrix content = blocks.matrix(Slot.KEY_CONTENT, rows, spec.content());
    Matrix rotated = blocks.matrix(Slot.KEY_ROTATED, rows, spec.rotated());
    Linear.apply(blocks, x, weights.toContent().into(content), weights.toRotated().into(rotated));
    blocks.norm(content, weights.contentNorm(), spec.content(), content);
    if (spec.rope() != null) {
      compute.rope(rotated, spec.rotated(), spec.rope(), positions);
    }
    Matrix key = blocks.matrix(Slot.KEY, rows, spec.keySize());
    move(1, new Columns(content, 0, spec.content()), new Columns(key, 0, spec.content()));
    move(
        1,
        new Columns(rotated, 0, spec.rotated()),
        new Columns(key, spec.content(), spec.rotated()));
    return key;
  }

  /** The one KV head of each piece, for each of so many groups of query heads. */
  private static Iterator<KvSpan[][]> shared(Iterator<KvSpan[][]> pieces, int groups) {
    return new Iterator<>() {
      @Override
      public boolean hasNext() {
        return pieces.hasNext();
      }

      @Override
      public KvSpan[][] next() {
        return Collections.nCopies(groups, pieces.next()[0]).toArray(KvSpan[][]::new);
      }
    };
  }

  /** Shows recipes the step. */
  private void observe(LatentAttention.Weights weights, List<Run> runs, Matrix x, Matrix query) {
    LatentAttention spec = weights.spec();
    int first = 0;
    for (Run run : runs) {
      int end = first + run.length();
      KvCache cache = run.state().kv();
      if (!run.state().layout().policy().equals(KvPolicy.FULL)) {
        Matrix queries = query.rows(first, end);
        cache
            .view()
            .observe(
                weights.layer(),
                new ComputedStep(
                    cache.length(),
                    x.rows(first, end),
                    queries,
                    queries,
                    false,
                    new RotaryFrame(spec, blocks),
                    spec.shape(),
                    null,
                    null,
                    compute));
      }
      first = end;
    }
  }

  /** Some numbers of each head of each row. */
  private record Columns(Matrix all, int from, int count) {
    /** The place of a head's. */
    long at(int row, int head, int heads) {
      return all.rowOffset(row) + Float.BYTES * ((long) head * (all.columns() / heads) + from);
    }
  }

  private void move(int heads, Columns from, Columns to) {
    long bytes = (long) Float.BYTES * from.count;
    compute.rows(
        from.all.rows(),
        MOVE * heads * from.count,
        (first, end) -> {
          for (int row = first; row < end; row++) {
            for (int head = 0; head < heads; head++) {
              MemorySegment.copy(
                  from.all.data(),
                  from.at(row, head, heads),
                  to.all.data(),
                  to.at(row, head, heads),
                  bytes);
            }
          }
        });
  }

  /** Products of rows that lie head by head. */
  private interface Products {
    void of(Matrix in, Matrix out);
  }

  /** Multiplies what heads have in their columns, some rows at a time. */
  private void byHead(int heads, Columns from, Columns to, Products products) {
    int rows = from.all.rows();
    int alone = compute.alone(Compute.AS_FITS);
    int before = alone == Compute.AS_FITS ? (rows == 1 ? 1 : 0) : alone;
    for (int first = 0; first < rows; first += ROWS) {
      int count = Math.min(ROWS, rows - first);
      Matrix in = blocks.matrix(Slot.BY_HEAD, heads * count, from.count);
      Matrix out = blocks.matrix(Slot.FROM_HEADS, heads * count, to.count);
      transpose(heads, first, count, from, in, true);
      compute.alone(Math.clamp(before - (long) first, 0, count));
      products.of(in, out);
      transpose(heads, first, count, to, out, false);
    }
    compute.alone(alone);
  }

  /** Moves rows' heads to where they lie head by head, or back. */
  private void transpose(
      int heads, int first, int count, Columns byRow, Matrix byHead, boolean there) {
    long bytes = byHead.rowBytes();
    compute.rows(
        count,
        MOVE * heads * byRow.count,
        (from, to) -> {
          for (int row = from; row < to; row++) {
            for (int head = 0; head < heads; head++) {
              long at = byRow.at(first + row, head, heads);
              long other = byHead.rowOffset(head * count + row);
              if (there) {
                MemorySegment.copy(byRow.all.data(), at, byHead.data(), other, bytes);
              } else {
                MemorySegment.copy(byHead.data(), other, byRow.all.data(), at, bytes);
              }
            }
          }
        });
  }

  /** {@code out[h][t] = wᵀ[h] · in[h][t]}: rows of a matrix by the numbers of a query. */
  private void turned(List<Matrix> w, Matrix in, Matrix out) {
    int rows = in.rows() / w.size();
    compute
        .team()
        .run(
            w.size(),
            (head, all, worker) -> {
              Matrix matrix = w.get(head);
              int columns = matrix.columns();
              float[] direction = new float[columns];
              MemorySegment decoded = MemorySegment.ofArray(direction);
              float[] sums = new float[rows * columns];
              for (int i = 0; i < matrix.rows(); i++) {
                matrix.decodeRow(i, decoded, 0);
                for (int row = 0; row < rows; row++) {
                  long at = in.rowOffset(head * rows + row) + (long) Float.BYTES * i;
                  add(in.data().get(FLOAT, at), direction, sums, row * columns);
                }
              }
              long to = out.rowOffset(head * rows);
              MemorySegment.copy(sums, 0, out.data(), FLOAT, to, sums.length);
            });
  }

  private static void add(float factor, float[] direction, float[] sums, int at) {
    for (int c = 0; c < direction.length; c++) {
      sums[at + c] += factor * direction[c];
    }
  }
}

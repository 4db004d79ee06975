package dev.knapsack.model;

import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.kernel.AttentionShape;
import dev.knapsack.kernel.Compute;
import dev.knapsack.model.AttentionBlock.Heads;
import dev.knapsack.tensor.Matrix;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The two places at which KV recipes act on a layer's attention: before keys and values are cached,
 * and after attention. Both do nothing for caches that keep all tokens as they are.
 */
final class RecipeHooks {
  private final Blocks blocks;
  private final Attention.Weights weights;
  private final List<Run> runs;
  private final Matrix x;
  private final HeadTransforms transforms;
  private final @Nullable Matrix sketch;
  private final @Nullable OutputNorms[] norms;

  /** Queries before and after they were sketched; the same where they are not. */
  private @Nullable Matrix projected;

  private @Nullable Matrix query;

  /**
   * @param x what queries, keys and values are projected from
   */
  RecipeHooks(Blocks blocks, Attention.Weights weights, List<Run> runs, Matrix x) {
    this.blocks = blocks;
    this.weights = weights;
    this.runs = runs;
    this.x = x;
    this.transforms = new HeadTransforms(blocks, weights, runs);
    this.sketch = blocks.workspace.sketch(weights.spec().keySize());
    this.norms = new OutputNorms[runs.size()];
  }

  /** Makes heads what caches hold and queries meet: scores stay what they were. */
  Heads before(Heads heads) {
    findNorms(heads.value());
    Matrix key = heads.key();
    if (sketch == null) {
      transforms.keys(key);
    } else {
      key = sketched(Slot.KEY_SKETCH, key, sketch);
    }
    transforms.values(heads.value());
    projected = heads.query();
    query = query(heads.query());
    return new Heads(query, key, heads.value());
  }

  /** Makes queries what meets cached keys. */
  Matrix query(Matrix heads) {
    if (sketch != null) {
      return sketched(Slot.QUERY_SKETCH, heads, sketch);
    }
    transforms.keys(heads);
    return heads;
  }

  /** Of values that are not transformed yet. */
  private void findNorms(Matrix value) {
    int first = 0;
    for (int i = 0; i < norms.length; i++) {
      Run run = runs.get(i);
      int end = first + run.length();
      if (run.state().kv().view().wantsOutputNorms(weights.layer(), run.length())) {
        norms[i] = OutputNorms.of(weights, value.rows(first, end), blocks);
      }
      first = end;
    }
  }

  /** Heads by the directions in which keys are cached. */
  private Matrix sketched(Slot slot, Matrix heads, Matrix directions) {
    int columns = heads.columns() / directions.columns() * directions.rows();
    Matrix out = blocks.matrix(slot, heads.rows(), columns);
    blocks.compute.projectHeads(directions, heads, out);
    return out;
  }

  /** Shows recipes the step, and makes what was attended to what values were. */
  void after(AttentionShape shape, Matrix attended) {
    int first = 0;
    for (int i = 0; i < norms.length; i++) {
      Run run = runs.get(i);
      int end = first + run.length();
      if (!run.state().layout().policy().equals(KvPolicy.FULL)) {
        observe(run, i, first, end, shape);
      }
      first = end;
    }
    undo(attended);
  }

  /** Makes what was attended to what values were. */
  void undo(Matrix attended) {
    transforms.undoValues(attended);
  }

  private void observe(Run run, int index, int first, int end, AttentionShape shape) {
    KvCache cache = run.state().kv();
    cache
        .view()
        .observe(
            weights.layer(),
            new ComputedStep(
                cache.length(),
                x.rows(first, end),
                Objects.requireNonNull(query).rows(first, end),
                Objects.requireNonNull(projected).rows(first, end),
                sketch != null,
                new RotaryFrame(weights, transforms.transform(index), blocks),
                shape,
                norms[index],
                retained(run, x.rows(first, end)),
                blocks.compute));
  }

  private @Nullable Retained retained(Run run, Matrix input) {
    if (!run.state().kv().view().wantsRetention(weights.layer(), run.length())) {
      return null;
    }
    Compute compute = blocks.compute;
    int alone =
        compute.alone(
            switch (run.kind()) {
              case WRITTEN -> 1;
              case PROMPT, TEXT -> 0;
              case SHARED -> Compute.AS_FITS;
            });
    Retained retained = Retained.of(blocks.workspace.gates().get(weights.layer()), input, blocks);
    compute.alone(alone);
    return retained;
  }
}

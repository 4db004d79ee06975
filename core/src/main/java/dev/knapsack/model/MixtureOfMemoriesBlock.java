package dev.knapsack.model;

import dev.knapsack.kernel.Compute;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Computes {@link MixtureOfMemories}: one memory after the other, each with the rows that chose it,
 * as {@link DeltaRuleBlock} does.
 */
final class MixtureOfMemoriesBlock {
  private final Blocks blocks;
  private final Compute compute;
  private final DeltaRuleBlock deltaRule;
  private final Router router;

  MixtureOfMemoriesBlock(Blocks blocks, DeltaRuleBlock deltaRule) {
    this.blocks = blocks;
    this.compute = blocks.compute;
    this.deltaRule = deltaRule;
    this.router = new Router(blocks.workspace.tokens());
  }

  /**
   * Carries each run's states through its tokens.
   *
   * @param x the normed residual stream, one row a token, run after run
   * @param delta receives what is to be added to the residual stream
   */
  void apply(MixtureOfMemories.Weights weights, List<Run> runs, Matrix x, Matrix delta) {
    MixtureOfMemories spec = weights.spec();
    DeltaRule shape = spec.memory();
    Matrix logits = blocks.matrix(Slot.ROUTER, x.rows(), spec.count());
    Matrix query = blocks.matrix(Slot.MIXED, x.rows(), shape.keyColumns());
    Matrix gate = blocks.matrix(Slot.GATE, x.rows(), shape.valueColumns());
    Linear.apply(
        blocks,
        compute.input(x),
        weights.router().into(logits),
        weights.query().into(query),
        weights.gate().into(gate));
    router.route(MixtureOfMemories.GATING, spec.used(), null, logits);
    Matrix sum = blocks.matrix(Slot.ATTENDED, x.rows(), shape.valueColumns());
    sum.data().fill((byte) 0);
    // In ascending order, so that the sum does not depend on the other tokens of the step.
    for (int m = 0; m < spec.count(); m++) {
      int memory = m;
      int[] rows = IntStream.range(0, router.count(m)).map(i -> router.row(memory, i)).toArray();
      Matrix read = use(weights.memories().get(m), runs, rows, x, query);
      for (int i = 0; i < rows.length; i++) {
        compute.add(sum.rows(rows[i], rows[i] + 1), read.rows(i, i + 1), router.weight(memory, i));
      }
    }
    if (spec.shared()) {
      int[] all = IntStream.range(0, x.rows()).toArray();
      compute.add(sum, use(weights.memories().getLast(), runs, all, x, query));
    }
    deltaRule.emit(weights.memories().getFirst(), gate, sum, delta);
  }

  /**
   * Writes and reads a memory.
   *
   * @param rows those of {@code x} that use it
   * @return what each reads
   */
  private Matrix use(
      DeltaRule.Weights memory, List<Run> runs, int[] rows, Matrix x, Matrix queries) {
    DeltaRule shape = memory.spec();
    List<Recurrence> all = Recurrence.among(Recurrence.of(runs, memory.state()), rows);
    Matrix key = blocks.matrix(Slot.KEY, rows.length, shape.keyColumns());
    Matrix value = blocks.matrix(Slot.VALUE, rows.length, shape.valueColumns());
    Matrix strength = blocks.matrix(Slot.STRENGTH, rows.length, shape.heads());
    Matrix step = blocks.matrix(Slot.STEP, rows.length, shape.heads());
    if (rows.length == 0) {
      return value;
    }
    AdapterRows[] adapted = blocks.adapted;
    int alone = compute.alone(Compute.AS_FITS);
    blocks.adapted = AdapterRows.among(adapted, rows);
    if (alone != Compute.AS_FITS) {
      compute.alone(AdapterRows.below(rows, alone));
    }
    Linear.apply(
        blocks,
        compute.input(gather(x, rows, Slot.GATHERED)),
        memory.inputs().get(0).into(key),
        memory.inputs().get(1).into(value),
        memory.inputs().get(2).into(strength),
        memory.inputs().get(3).into(step));
    compute.alone(alone);
    blocks.adapted = adapted;
    Matrix query = gather(queries, rows, Slot.QUERY);
    return deltaRule.scan(memory, all, new DeltaRuleBlock.Heads(query, key, value, strength, step));
  }

  private Matrix gather(Matrix x, int[] rows, Slot slot) {
    Matrix gathered = blocks.matrix(slot, rows.length, x.columns());
    for (int i = 0; i < rows.length; i++) {
      MemorySegment.copy(
          x.data(), x.rowOffset(rows[i]), gathered.data(), gathered.rowOffset(i), x.rowBytes());
    }
    return gathered;
  }
}

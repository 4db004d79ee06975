package dev.knapsack.cache;

import dev.knapsack.memory.Lease;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** The numbers that a policy remembers of a sequence's heads as wholes, in one lease. */
final class PolicyMemory implements AutoCloseable {
  private final KvPool pool;
  private final Lease lease;

  /** Zeros. */
  PolicyMemory(KvPool pool) {
    this.pool = pool;
    this.lease = pool.besidePages(bytes(pool.layout()));
  }

  /** Bytes for all heads; 0 if the policy remembers nothing of them. */
  static long bytes(KvLayout layout) {
    return before(layout, layout.layers().size());
  }

  /** Bytes of the layers before this one. */
  private static long before(KvLayout layout, int layer) {
    List<LayerLayout.Heads> layers = layout.heads();
    long bytes = 0;
    for (int l = 0; l < layer; l++) {
      bytes += layers.get(l).kvHeads() * headBytes(layout, l);
    }
    return bytes;
  }

  private static long headBytes(KvLayout layout, int layer) {
    LayerLayout.Heads heads = layout.heads(layer);
    return heads.window() > 0 ? 0 : (long) Float.BYTES * layout.policy().observer().memory(heads);
  }

  MemorySegment of(int layer, int kvHead) {
    long bytes = headBytes(pool.layout(), layer);
    return lease.segment().asSlice(before(pool.layout(), layer) + kvHead * bytes, bytes);
  }

  PolicyMemory fork() {
    PolicyMemory fork = new PolicyMemory(pool);
    fork.lease.segment().copyFrom(lease.segment());
    return fork;
  }

  @Override
  public void close() {
    lease.close();
  }
}

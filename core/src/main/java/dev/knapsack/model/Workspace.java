package dev.knapsack.model;

import dev.knapsack.memory.Account;
import dev.knapsack.memory.Lease;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.EnumMap;
import java.util.Map;

/**
 * The memory of a step's activations, leased once: enough for the largest step, F32 throughout.
 *
 * <p>What attention needs, what the MLP needs and the logits never live at the same time, and share
 * their memory.
 */
public final class Workspace implements AutoCloseable {
  private static final long LINE = 64;

  private final int tokens;
  private final int logitRows;
  private final Lease lease;
  private final Map<Slot, Long> offsets = new EnumMap<>(Slot.class);

  /** What a matrix of activations is for. */
  enum Slot {
    /** The residual stream. */
    HIDDEN,
    /** What a sublayer reads: the residual stream, normed. */
    NORMED,
    /** What a sublayer adds to the residual stream. */
    DELTA,
    QUERY,
    KEY,
    VALUE,
    ATTENDED,
    GATE,
    UP,
    ROUTER,
    /** The rows that one expert is to compute. */
    GATHERED,
    /** What one expert computed. */
    EXPERT,
    LOGITS
  }

  /**
   * Leases the memory.
   *
   * @param tokens the most tokens in a step, over all runs
   * @param logitRows the most tokens whose logits a step is asked for
   * @throws dev.knapsack.memory.BudgetExceededException if it does not fit
   */
  public Workspace(ModelSpec spec, int tokens, int logitRows, Account account) {
    if (tokens < 1 || logitRows < 1) {
      throw new IllegalArgumentException(
          "A step has at least one token and one row of logits, not %d and %d"
              .formatted(tokens, logitRows));
    }
    this.tokens = tokens;
    this.logitRows = logitRows;
    this.lease = account.lease(place(spec, tokens, logitRows, offsets));
  }

  /** Bytes that a workspace leases. */
  public static long bytes(ModelSpec spec, int tokens, int logitRows) {
    return place(spec, tokens, logitRows, new EnumMap<>(Slot.class));
  }

  /** Says where each slot starts; returns the bytes of all. */
  private static long place(ModelSpec spec, int tokens, int logitRows, Map<Slot, Long> offsets) {
    long end = 0;
    end = put(Slot.HIDDEN, tokens, spec.width(), end, offsets);
    end = put(Slot.NORMED, tokens, spec.width(), end, offsets);
    end = put(Slot.DELTA, tokens, spec.width(), end, offsets);
    long shared = end;
    long most = put(Slot.LOGITS, logitRows, spec.vocabulary(), shared, offsets);

    int query = 0;
    int key = 0;
    int value = 0;
    int attended = 0;
    int hidden = 0;
    int router = 0;
    for (LayerSpec layer : spec.layers()) {
      query = Math.max(query, layer.queryColumns());
      key = Math.max(key, layer.keyColumns());
      value = Math.max(value, layer.valueColumns());
      attended = Math.max(attended, layer.attendedColumns());
      hidden = Math.max(hidden, layer.mlp().width());
      if (layer.mlp() instanceof Mlp.Experts experts) {
        hidden = Math.max(hidden, experts.sharedWidth());
        router = Math.max(router, experts.count());
      }
    }
    long attention = put(Slot.QUERY, tokens, query, shared, offsets);
    attention = put(Slot.KEY, tokens, key, attention, offsets);
    attention = put(Slot.VALUE, tokens, value, attention, offsets);
    attention = put(Slot.ATTENDED, tokens, attended, attention, offsets);

    long mlp = put(Slot.GATE, tokens, hidden, shared, offsets);
    mlp = put(Slot.UP, tokens, hidden, mlp, offsets);
    if (router > 0) {
      mlp = put(Slot.ROUTER, tokens, router, mlp, offsets);
      mlp = put(Slot.GATHERED, tokens, spec.width(), mlp, offsets);
      mlp = put(Slot.EXPERT, tokens, spec.width(), mlp, offsets);
    }
    return Math.max(most, Math.max(attention, mlp));
  }

  private static long put(Slot slot, int rows, int columns, long at, Map<Slot, Long> offsets) {
    offsets.put(slot, at);
    long bytes = Math.multiplyExact(4L * rows, (long) columns);
    return Math.addExact(at, Math.ceilDiv(bytes, LINE) * LINE);
  }

  /** The most tokens in a step. */
  public int tokens() {
    return tokens;
  }

  /** The most rows of logits of a step. */
  public int logitRows() {
    return logitRows;
  }

  Matrix matrix(Slot slot, int rows, int columns) {
    Long offset = offsets.get(slot);
    if (offset == null) {
      throw new IllegalStateException("This model has no use for " + slot);
    }
    MemorySegment data = lease.segment().asSlice(offset, 4L * rows * columns);
    return new Matrix(Formats.F32, rows, columns, data);
  }

  @Override
  public void close() {
    lease.close();
  }
}

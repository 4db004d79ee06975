package dev.knapsack.model;

import dev.knapsack.cache.HeadBases;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.RetentionGates;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Lease;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import dev.knapsack.tensor.SketchMatrix;
import java.lang.foreign.MemorySegment;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The memory of a step's activations, leased once: enough for the largest step, F32 throughout.
 *
 * <p>What attention needs, what the MLP needs and the logits never live at the same time, and share
 * their memory. Behind all of it lies what does not change: the directions of sketched keys, the
 * orders in which channels are cached, and gates that say for how long tokens are wanted.
 */
public final class Workspace implements AutoCloseable {
  private static final long LINE = 64;

  private final int tokens;
  private final int logitRows;
  private final Lease lease;
  private final Map<Slot, Long> offsets = new EnumMap<>(Slot.class);
  private final Map<Integer, Matrix> sketches = new HashMap<>();
  private final ChannelOrders orders;
  private final List<RetentionGates.Layer> gates;
  private final List<List<HeadBases.Head>> bases;

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
    /** Queries and keys by random directions, where these are cached. */
    QUERY_SKETCH,
    KEY_SKETCH,
    ATTENDED,
    /** For {@link OutputNorms}, where the cache's policy wants them. */
    NORMS,
    /** For {@link Retained}, where the cache's policy has gates. */
    GATE_UNITS,
    GATE_HEADS,
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
   * @param cache what sequences cache
   * @param tokens the most tokens in a step, over all runs
   * @param logitRows the most tokens whose logits a step is asked for
   * @throws dev.knapsack.error.BudgetExceededException if it does not fit
   */
  public Workspace(ModelSpec spec, KvLayout cache, int tokens, int logitRows, Account account) {
    if (tokens < 1 || logitRows < 1) {
      throw new IllegalArgumentException(
          "A step has at least one token and one row of logits, not %d and %d"
              .formatted(tokens, logitRows));
    }
    this.tokens = tokens;
    this.logitRows = logitRows;
    long activations = place(spec, cache, tokens, logitRows, offsets);
    this.lease = account.lease(activations + unchangedBytes(spec, cache));
    long at = activations;
    for (Sketch sketch : sketches(spec, cache)) {
      MemorySegment data = lease.segment().asSlice(at, sketch.bytes());
      SketchMatrix.write(sketch.size, sketch.times, data, 0);
      Matrix matrix = new Matrix(Formats.F32, sketch.times * sketch.size, sketch.size, data);
      sketches.put(sketch.size, matrix);
      at += sketch.bytes();
    }
    long orderBytes = ChannelOrders.bytes(spec, cache);
    this.orders = new ChannelOrders(spec, lease.segment().asSlice(at, orderBytes));
    long afterOrders = at + Math.ceilDiv(orderBytes, LINE) * LINE;
    this.gates = gates(cache, afterOrders);
    long gateBytes = cache.policy().gates().map(RetentionGates::bytes).orElse(0L);
    this.bases = bases(cache, afterOrders + gateBytes);
  }

  private List<RetentionGates.Layer> gates(KvLayout cache, long at) {
    RetentionGates learned = cache.policy().gates().orElse(null);
    if (learned == null) {
      return List.of();
    }
    try {
      return learned.read(lease.segment().asSlice(at, learned.bytes()));
    } catch (RuntimeException | Error e) {
      lease.close();
      throw e;
    }
  }

  private List<List<HeadBases.Head>> bases(KvLayout cache, long at) {
    HeadBases found = cache.policy().bases().orElse(null);
    if (found == null) {
      return List.of();
    }
    try {
      return found.read(cache, lease.segment().asSlice(at, found.bytes(cache)));
    } catch (RuntimeException | Error e) {
      lease.close();
      throw e;
    }
  }

  /** Bytes that a workspace leases. */
  public static long bytes(ModelSpec spec, KvLayout cache, int tokens, int logitRows) {
    return place(spec, cache, tokens, logitRows, new EnumMap<>(Slot.class))
        + unchangedBytes(spec, cache);
  }

  private static long unchangedBytes(ModelSpec spec, KvLayout cache) {
    return sketches(spec, cache).stream().mapToLong(Sketch::bytes).sum()
        + Math.ceilDiv(ChannelOrders.bytes(spec, cache), LINE) * LINE
        + cache.policy().gates().map(RetentionGates::bytes).orElse(0L)
        + cache.policy().bases().map(bases -> bases.bytes(cache)).orElse(0L);
  }

  /** Keys of {@code size} channels that are cached in {@code times} as many directions. */
  private record Sketch(int size, int times) {
    long bytes() {
      return SketchMatrix.bytes(size, times);
    }
  }

  private static List<Sketch> sketches(ModelSpec spec, KvLayout cache) {
    return IntStream.range(0, spec.layers().size())
        .filter(l -> cache.heads(l).sketch() > 0)
        .mapToObj(l -> new Sketch(spec.layers().get(l).keySize(), cache.heads(l).sketch()))
        .distinct()
        .toList();
  }

  /** Says where each slot starts; returns the bytes of all. */
  private static long place(
      ModelSpec spec, KvLayout cache, int tokens, int logitRows, Map<Slot, Long> offsets) {
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
    int querySketch = 0;
    int keySketch = 0;
    int norms = 0;
    for (int l = 0; l < spec.layers().size(); l++) {
      LayerSpec layer = spec.layers().get(l);
      int times = cache.heads(l).sketch();
      querySketch = Math.max(querySketch, times * layer.queryColumns());
      keySketch = Math.max(keySketch, times * layer.keyColumns());
      query = Math.max(query, layer.queryColumns());
      key = Math.max(key, layer.keyColumns());
      if (layer.window() == 0 && cache.policy().wantsOutputNorms(l)) {
        norms = Math.max(norms, OutputNorms.numbers(layer, tokens));
      }
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
    if (keySketch > 0) {
      attention = put(Slot.QUERY_SKETCH, tokens, querySketch, attention, offsets);
      attention = put(Slot.KEY_SKETCH, tokens, keySketch, attention, offsets);
    }
    attention = put(Slot.ATTENDED, tokens, attended, attention, offsets);
    if (norms > 0) {
      attention = put(Slot.NORMS, 1, norms, attention, offsets);
    }

    int units = cache.policy().gates().map(RetentionGates::hidden).orElse(0);
    if (units > 0) {
      int kvHeads = spec.layers().stream().mapToInt(LayerSpec::kvHeads).max().orElse(0);
      attention = put(Slot.GATE_UNITS, tokens, units, attention, offsets);
      attention = put(Slot.GATE_HEADS, tokens, kvHeads, attention, offsets);
    }

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

  /** The directions by which keys of {@code size} channels are cached; null if they are not. */
  @Nullable Matrix sketch(int size) {
    return sketches.get(size);
  }

  /** The orders in which channels are cached, where the cache is reordered. */
  ChannelOrders orders() {
    return orders;
  }

  /** What says for how long tokens are wanted, by layer; none if the policy has no gates. */
  List<RetentionGates.Layer> gates() {
    return gates;
  }

  /** How heads are reduced, by layer and KV head; none if the policy has no bases. */
  public List<List<HeadBases.Head>> bases() {
    return bases;
  }

  @Override
  public void close() {
    lease.close();
  }
}

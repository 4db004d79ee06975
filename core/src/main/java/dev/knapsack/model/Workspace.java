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
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The memory of a step's activations, leased once: enough for the largest step, F32 throughout.
 *
 * <p>What one block needs, what another needs and the logits never live at the same time, and share
 * their memory. Behind all of it lies what does not change: the directions of sketched keys, the
 * orders in which channels are cached, and gates that say for how long tokens are wanted.
 */
public final class Workspace implements AutoCloseable {
  private static final long LINE = 64;

  private final ModelSpec spec;
  private final KvLayout cache;
  private final int tokens;
  private final int logitRows;
  private final Lease lease;
  private final Map<Slot, Long> offsets = new EnumMap<>(Slot.class);
  private final Map<Integer, Matrix> sketches = new HashMap<>();
  private final ChannelOrders orders;
  private final List<RetentionGates.Layer> gates;
  private final List<List<HeadBases.Head>> bases;

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
    this.spec = spec;
    this.cache = cache;
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
    long gateBytes = cache.policy().observer().gates().map(RetentionGates::bytes).orElse(0L);
    this.bases = bases(cache, afterOrders + gateBytes);
  }

  /**
   * Says whether steps can be of sequences with another layout too: all that it asks for is here.
   */
  public boolean serves(KvLayout other) {
    Optional<RetentionGates> learned = other.policy().observer().gates();
    Optional<HeadBases> found = other.policy().bounds().bases();
    boolean serves =
        ChannelOrders.bytes(spec, other) <= ChannelOrders.bytes(spec, cache)
            && (learned.isEmpty() || learned.equals(cache.policy().observer().gates()))
            && (found.isEmpty() || found.equals(cache.policy().bounds().bases()));
    for (int l = 0; l < spec.layers().size(); l++) {
      serves &= other.heads(l).sketch() == cache.heads(l).sketch();
      for (Block block : spec.layers().get(l).blocks()) {
        Map<Slot, Long> here = block.activations(tokens, cache, l);
        serves &=
            block.activations(tokens, other, l).entrySet().stream()
                .allMatch(slot -> here.getOrDefault(slot.getKey(), -1L) >= slot.getValue());
      }
    }
    return serves;
  }

  private List<RetentionGates.Layer> gates(KvLayout cache, long at) {
    RetentionGates learned = cache.policy().observer().gates().orElse(null);
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
    HeadBases found = cache.policy().bounds().bases().orElse(null);
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
        + cache.policy().observer().gates().map(RetentionGates::bytes).orElse(0L)
        + cache.policy().bounds().bases().map(bases -> bases.bytes(cache)).orElse(0L);
  }

  /** Keys of {@code size} channels that are cached in {@code times} as many directions. */
  private record Sketch(int size, int times) {
    long bytes() {
      return SketchMatrix.bytes(size, times);
    }
  }

  private static List<Sketch> sketches(ModelSpec spec, KvLayout cache) {
    return IntStream.range(0, spec.layers().size())
        .mapToObj(cache::heads)
        .filter(heads -> heads.sketch() > 0)
        .map(heads -> new Sketch(heads.channels(), heads.sketch()))
        .distinct()
        .toList();
  }

  /** Says where each slot starts; returns the bytes of all. */
  private static long place(
      ModelSpec spec, KvLayout cache, int tokens, int logitRows, Map<Slot, Long> offsets) {
    long end = 0;
    for (Slot slot : List.of(Slot.HIDDEN, Slot.NORMED, Slot.DELTA)) {
      end = put(slot, (long) tokens * spec.width(), end, offsets);
    }
    if (spec.layers().stream().anyMatch(LayerSpec::readsInput)) {
      end = put(Slot.LAYER_INPUT, (long) tokens * spec.width(), end, offsets);
    }
    for (Map.Entry<Slot, Integer> lasting : spec.lasting().entrySet()) {
      end = put(lasting.getKey(), (long) tokens * lasting.getValue(), end, offsets);
    }
    long shared = end;
    Map<Slot, Long> numbers = new EnumMap<>(Slot.class);
    Map<Slot, Set<Slot>> beside = new EnumMap<>(Slot.class);
    List<Map<Slot, Long>> each = new ArrayList<>();
    spec.outside().forEach(block -> each.add(block.activations(tokens, cache, -1)));
    for (int l = 0; l < spec.layers().size(); l++) {
      for (Block block : spec.layers().get(l).blocks()) {
        each.add(block.activations(tokens, cache, l));
      }
    }
    if (spec.encoding() != null) {
      each.add(spec.encoding().activations(tokens, spec.width()));
    }
    for (Map<Slot, Long> own : each) {
      own.forEach((slot, count) -> {
        numbers.merge(slot, count, Math::max);
        beside.computeIfAbsent(slot, s -> EnumSet.noneOf(Slot.class)).addAll(own.keySet());
      });
    }
    if (spec.encoding() == null) {
      numbers.put(Slot.LOGITS, (long) logitRows * spec.vocabulary());
    }
    Map<Slot, Long> ends = new EnumMap<>(Slot.class);
    for (Slot slot : numbers.keySet()) {
      long at = shared;
      for (Slot other : beside.getOrDefault(slot, Set.of())) {
        at = Math.max(at, ends.getOrDefault(other, shared));
      }
      ends.put(slot, put(slot, numbers.get(slot), at, offsets));
    }
    return ends.values().stream().mapToLong(at -> at).max().orElse(shared);
  }

  private static long put(Slot slot, long numbers, long at, Map<Slot, Long> offsets) {
    offsets.put(slot, at);
    long bytes = Math.multiplyExact(Float.BYTES, numbers);
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

  /** The memory that all slots are in. */
  MemorySegment memory() {
    return lease.segment();
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

  /**
   * The gates that say for how long tokens are wanted, by layer; none if the policy has no gates.
   */
  List<RetentionGates.Layer> gates() {
    return gates;
  }

  /**
   * The bases by which heads are reduced, by layer and KV head; none if the policy has no bases.
   */
  public List<List<HeadBases.Head>> bases() {
    return bases;
  }

  @Override
  public void close() {
    lease.close();
  }
}

package dev.knapsack.engine;

import dev.knapsack.error.PlanMismatchException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Lease;
import dev.knapsack.model.ExpertBank;
import dev.knapsack.model.WeightLayout;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * Keeps the experts that are used most and reads the others when a step needs them.
 *
 * <p>Steps pass through the layers in a circle, so that the expert used longest ago is the one
 * needed soonest: what counts here is how often an expert was used, not when. Counts are halved now
 * and then, so that a new subject can win. While a step computes with one expert, the next that are
 * missing are read.
 *
 * <p>Used by one thread at a time.
 */
final class ExpertCache implements AutoCloseable {
  /** Uses of a layer between halvings of the counts. */
  private static final int HALVE_AFTER = 128;

  /** Experts read ahead at the most, so that a long prompt does not flush the whole cache. */
  private static final int AHEAD = 4;

  private final ModelFile file;
  private final WeightReader reader;
  private final List<List<TensorInfo>> experts;
  private final int perLayer;
  private final Lease lease;
  private final long slotBytes;

  /** For each expert of each layer: its slot, or -1; and how often it was used. */
  private final int[] slotOf;

  private final int[] uses;
  private final int[] layerUses;

  /** For each slot: the expert in it or -1, and whether the present step still needs it. */
  private final int[] held;

  private final boolean[] needed;
  private final Region[] regions;
  private final @Nullable CompletableFuture<Void>[] reads;

  private long hits;
  private long misses;

  /**
   * Leases as many slots as {@code bytes} hold.
   *
   * @throws PlanMismatchException if that is less than two
   */
  ExpertCache(
      ModelFile file, WeightLayout layout, long bytes, Account account, WeightReader reader) {
    this.file = file;
    this.reader = reader;
    this.experts = layout.experts();
    int count = 0;
    int all = 0;
    for (List<TensorInfo> layer : experts) {
      for (TensorInfo tensor : layer) {
        count = Math.max(count, Math.toIntExact(tensor.matrices()));
      }
      all += layer.isEmpty() ? 0 : Math.toIntExact(layer.getFirst().matrices());
    }
    this.perLayer = count;
    this.slotBytes = layout.expertBytes();
    if (all == 0) {
      throw new PlanMismatchException(
          "The plan caches experts, and " + file.path() + " has none. Plan for this file.");
    }
    int slots = (int) Math.min(all, bytes / slotBytes);
    if (slots < 2) {
      throw new PlanMismatchException(
          "The plan's expert cache of %,d bytes holds %d experts of %,d bytes; it must hold 2."
              .formatted(bytes, slots, slotBytes));
    }
    this.slotOf = new int[experts.size() * perLayer];
    this.uses = new int[experts.size() * perLayer];
    this.layerUses = new int[experts.size()];
    this.held = new int[slots];
    this.needed = new boolean[slots];
    this.regions = new Region[slots];
    this.reads = newReads(slots);
    Arrays.fill(slotOf, -1);
    Arrays.fill(held, -1);
    this.lease = account.lease(slots * slotBytes);
  }

  @SuppressWarnings({"unchecked", "rawtypes"})
  private static @Nullable CompletableFuture<Void>[] newReads(int slots) {
    return new CompletableFuture[slots];
  }

  /** Experts that were here when a step needed them. */
  long hits() {
    return hits;
  }

  /** Experts that had to be read. */
  long misses() {
    return misses;
  }

  /**
   * As {@link ExpertBank#use}: in the order given, because sums must not depend on what happens to
   * be cached.
   */
  void use(int layer, int[] wanted, ExpertBank.Use use) {
    count(layer, wanted);
    for (int expert : wanted) {
      int slot = slotOf[key(layer, expert)];
      if (slot >= 0) {
        needed[slot] = true;
        hits++;
      } else {
        misses++;
      }
    }
    try {
      int asked = 0;
      int reading = 0;
      for (int i = 0; i < wanted.length; i++) {
        for (; asked < wanted.length && (asked <= i || reading < AHEAD); asked++) {
          if (slotOf[key(layer, wanted[asked])] < 0) {
            int slot = leastUsed();
            if (slot < 0) {
              break;
            }
            start(layer, wanted[asked], slot);
            reading++;
          }
        }
        int slot = slotOf[key(layer, wanted[i])];
        CompletableFuture<Void> read = reads[slot];
        if (read != null) {
          reader.await(read);
          reads[slot] = null;
          reading--;
        }
        use(wanted[i], slot, use);
        needed[slot] = false;
      }
    } finally {
      settle();
    }
  }

  private void use(int expert, int slot, ExpertBank.Use use) {
    MemorySegment memory = lease.segment().asSlice(slot * slotBytes, slotBytes);
    use.accept(
        expert, regions[slot].parts().stream().map(part -> Region.matrix(part, memory)).toList());
  }

  private void count(int layer, int[] wanted) {
    if (++layerUses[layer] % HALVE_AFTER == 0) {
      for (int i = layer * perLayer; i < (layer + 1) * perLayer; i++) {
        uses[i] /= 2;
      }
    }
    for (int expert : wanted) {
      uses[key(layer, expert)]++;
    }
  }

  private int leastUsed() {
    int least = -1;
    for (int slot = 0; slot < held.length; slot++) {
      if (held[slot] < 0) {
        return slot;
      }
      if (!needed[slot] && (least < 0 || uses[held[slot]] < uses[held[least]])) {
        least = slot;
      }
    }
    return least;
  }

  private void start(int layer, int expert, int slot) {
    forget(slot);
    held[slot] = key(layer, expert);
    slotOf[held[slot]] = slot;
    needed[slot] = true;
    regions[slot] = Region.ofExpert(file, experts.get(layer), expert);
    reads[slot] = reader.read(regions[slot], lease.segment().asSlice(slot * slotBytes, slotBytes));
  }

  private void forget(int slot) {
    if (held[slot] >= 0) {
      slotOf[held[slot]] = -1;
      held[slot] = -1;
    }
  }

  /** After a step, whether it ended well or not: no read is under way, and no slot half read. */
  private void settle() {
    for (int slot = 0; slot < held.length; slot++) {
      CompletableFuture<Void> read = reads[slot];
      if (read != null) {
        reader.settle(read);
        reads[slot] = null;
        if (read.isCompletedExceptionally()) {
          forget(slot);
        }
      }
      needed[slot] = false;
    }
  }

  private int key(int layer, int expert) {
    return layer * perLayer + expert;
  }

  /** Gives the slots back; the reader must be closed before. */
  @Override
  public void close() {
    lease.close();
  }
}

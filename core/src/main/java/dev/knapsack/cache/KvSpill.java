package dev.knapsack.cache;

import dev.knapsack.error.SpillException;
import dev.knapsack.kernel.KvSpan;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The tokens of one sequence that are on disk, in layers without a sliding window: the oldest,
 * where the layout keeps some {@linkplain KvLayout#resident in memory} alone, or those that its
 * policy {@linkplain CachedHead#spill has chosen}.
 */
public final class KvSpill {
  private final KvPool pool;

  /** Null as long as nothing went there. */
  private @Nullable SpilledTokens oldest;

  /** Null as long as nothing went there. */
  private @Nullable SpilledUnits units;

  KvSpill(KvPool pool) {
    this(pool, null, null);
  }

  private KvSpill(KvPool pool, @Nullable SpilledTokens oldest, @Nullable SpilledUnits units) {
    this.pool = pool;
    this.oldest = oldest;
    this.units = units;
  }

  KvLayout layout() {
    return pool.layout();
  }

  /** The oldest tokens that are on disk. */
  public int tokens() {
    return oldest == null ? 0 : oldest.tokens();
  }

  /** Bytes of pages that hold what the policy has had read again. */
  public long fetchedBytes() {
    return units == null ? 0 : units.fetchedBytes();
  }

  /** The oldest tokens, of which there may be none yet. */
  SpilledTokens oldest() {
    if (oldest == null) {
      oldest = new SpilledTokens(pool);
    }
    return oldest;
  }

  /** The tokens that the policy has moved here; null as long as it has not. */
  @Nullable SpilledUnits units() {
    return units;
  }

  /** Says whether there are such. */
  boolean hasUnits() {
    return units != null && !units.isEmpty();
  }

  /**
   * Moves the oldest tokens here, as long as enough of them stay in memory.
   *
   * @throws SpillException if they cannot be written; then the sequence is lost
   */
  void takeOldest(HeadCache[][] heads) {
    int resident = layout().resident();
    for (int l = 0; resident > 0 && l < heads.length; l++) {
      if (layout().heads(l).seeAll()) {
        while (heads[l][0].stored().count() >= (long) resident + layout().diskBlock()) {
          oldest().add(heads);
        }
        return;
      }
    }
  }

  /**
   * Writes units of a head.
   *
   * @param first the place of the first of {@code tokens}
   */
  void take(int layer, int kvHead, HeadTokens tokens, int first, int[][] places, int room) {
    if (layout().policy().retrieval().isEmpty()) {
      throw new IllegalStateException(
          "The recipe '%s' does not say how it has tokens read again".formatted(layout().policy()));
    }
    if (units == null) {
      units = new SpilledUnits(pool);
    }
    int[][] stored = new int[places.length][];
    Arrays.setAll(stored, u -> Arrays.stream(places[u]).map(place -> place - first).toArray());
    units.write(layer, kvHead, tokens, stored, room);
  }

  /** The pieces that attention reads of a layer, what is in memory last: {@link KvCache#pieces}. */
  Iterator<KvSpan[][]> pieces(int layer, KvSpan[][] resident) {
    if (units != null) {
      return List.<KvSpan[][]>of(units.spans(layer, resident)).iterator();
    }
    return oldest == null || oldest.tokens() == 0
        ? List.<KvSpan[][]>of(resident).iterator()
        : oldest.pieces(layer, resident);
  }

  /**
   * Forgets units, and the oldest tokens from a position on.
   *
   * @param heads that hold nothing in memory, if the position is on disk
   * @return whether the block in which it is has come back to memory
   */
  boolean back(int position, HeadCache[][] heads) {
    if (units != null) {
      units.close();
      units = null;
    }
    if (oldest != null && position < oldest.tokens()) {
      int block = layout().diskBlock();
      oldest.truncate(Math.ceilDiv(position, block));
      if (position % block != 0) {
        oldest.takeBack(heads);
        return true;
      }
    }
    return false;
  }

  /**
   * Says that a store has put back so many of the oldest tokens.
   *
   * @throws IllegalArgumentException if they are no whole blocks that have been written
   */
  void restored(int tokens) {
    int block = layout().diskBlock();
    if (tokens % block != 0 || (tokens > 0 && oldest == null)) {
      throw new IllegalArgumentException("Heads have other tokens than the sequence");
    }
    if (oldest != null) {
      oldest.restored(tokens / block);
    }
  }

  /**
   * The same for another sequence.
   *
   * @throws SpillException if what is on disk cannot be copied
   */
  KvSpill fork() {
    SpilledTokens copy = oldest == null ? null : oldest.fork();
    try {
      return new KvSpill(pool, copy, units == null ? null : units.fork());
    } catch (RuntimeException | Error e) {
      if (copy != null) {
        copy.close();
      }
      throw e;
    }
  }

  /** Gives back what is on disk, and memory for it. */
  void close() {
    if (oldest != null) {
      oldest.close();
    }
    if (units != null) {
      units.close();
    }
  }
}

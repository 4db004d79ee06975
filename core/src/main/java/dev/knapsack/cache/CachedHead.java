package dev.knapsack.cache;

import dev.knapsack.error.SpillException;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** The cached tokens of one KV head of one sequence, as a {@link KvPolicy} sees them. */
public final class CachedHead {
  private final HeadCache head;
  private final int layer;
  private final int kvHead;
  private final KvCache cache;

  /** Numbers of tokens that were asked for, by which. */
  private float[][] scores = {};

  CachedHead(KvCache cache, HeadCache head, int layer, int kvHead) {
    this.cache = cache;
    this.head = head;
    this.layer = layer;
    this.kvHead = kvHead;
  }

  /** The sequence that it is of. */
  public KvCache cache() {
    return cache;
  }

  public int layer() {
    return layer;
  }

  public int kvHead() {
    return kvHead;
  }

  /**
   * Tokens that are held: first those in {@linkplain #coarse coarser formats}, older ones first.
   */
  public int count() {
    return head.count();
  }

  /** The count of those in {@linkplain KvBounds#coarse coarser formats}. */
  public int coarse() {
    return head.coarseCount();
  }

  /** The position of a token in the sequence. */
  public int position(int i) {
    return head.position(i);
  }

  /** Numbers in a key. */
  public int keySize() {
    return heads().keySize();
  }

  /** Numbers in a value. */
  public int valueSize() {
    return heads().valueSize();
  }

  /** Decodes a token's key. */
  public void key(int i, float[] out) {
    head.read(i, true, out);
  }

  /** Decodes a token's value. */
  public void value(int i, float[] out) {
    head.read(i, false, out);
  }

  /**
   * Decodes the keys of the tokens of {@code [from, to)}, one after the other: several times faster
   * than one by one.
   */
  public void keys(int from, int to, float[] out) {
    head.read(from, to, true, out);
  }

  /** Decodes their values. */
  public void values(int from, int to, float[] out) {
    head.read(from, to, false, out);
  }

  /**
   * A number of each token, for a policy to keep: 0 for new ones. It moves with its token. What a
   * policy changes while it {@linkplain StepObserver#observe observes} is remembered.
   *
   * @param which of the {@link StepObserver#numbers} that the policy keeps, from 0 on
   * @param tokens there are at least so many
   */
  public float[] scores(int which, int tokens) {
    if (scores.length <= which) {
      int known = scores.length;
      scores = Arrays.copyOf(scores, which + 1);
      Arrays.fill(scores, known, scores.length, new float[0]);
    }
    float[] before = scores[which];
    if (before.length < tokens) {
      scores[which] = head.numbers().get(which, tokens);
      System.arraycopy(before, 0, scores[which], 0, before.length);
    }
    return scores[which];
  }

  /** Remembers what has become of {@link #scores}. */
  void remember() {
    for (int which = 0; which < scores.length; which++) {
      if (scores[which].length > 0) {
        head.numbers().put(which, scores[which]);
      }
    }
  }

  /**
   * Numbers of the head as a whole, for a policy to keep: float32, as many as it {@linkplain
   * StepObserver#memory says}, 0 at first.
   */
  public MemorySegment memory() {
    return cache.view().memory(layer, kvHead);
  }

  /**
   * The frame in which queries come to meet these keys, once the policy has {@linkplain
   * StepObserver#looks looked} at a step.
   */
  public QueryFrame frame() {
    return cache.view().frame(layer);
  }

  /** Sizes of the layer's heads. */
  public LayerLayout.Heads heads() {
    return cache.layout().heads(layer);
  }

  /**
   * Evicts all tokens but these; pages that are left over are freed.
   *
   * @param kept places of tokens, ascending
   */
  public void keep(int[] kept) {
    check(kept, 0);
    head.retain(kept);
    scores = new float[0][];
  }

  /**
   * The places from {@link #coarse} up to this one are of tokens that can {@linkplain #spill go to
   * disk}: recent ones cannot that are in full precision.
   */
  public int spillable() {
    return head.settledCount();
  }

  /**
   * Moves tokens to disk, in units that come back whole when a step asks for them: see {@link
   * Retrieval}. Their pages are freed.
   *
   * @param units the places of each unit's tokens, ascending; all of them {@link #spillable}
   * @param room the most tokens of this head that may be back at once, from now on
   * @throws SpillException if they cannot be written; the cache is empty then
   */
  public void spill(int[][] units, int room) {
    boolean[] gone = new boolean[count()];
    int left = count();
    for (int[] unit : units) {
      check(unit, coarse());
      for (int place : unit) {
        if (gone[place] || place >= spillable()) {
          throw new IllegalArgumentException(
              "The token at place %d is recent, or in two units".formatted(place));
        }
        gone[place] = true;
        left--;
      }
    }
    cache.spill().take(layer, kvHead, head.stored(), coarse(), units, room);
    int[] kept = new int[left];
    for (int i = count() - 1; i >= 0; i--) {
      if (!gone[i]) {
        kept[--left] = i;
      }
    }
    head.retain(kept);
    scores = new float[0][];
  }

  /** The most tokens on disk that may be back at once; 0 as long as none are there. */
  public int room() {
    return cache.spill().units() == null ? 0 : unitsOnDisk().room();
  }

  /** Units that are on disk. */
  public int units() {
    SpilledUnits spilled = cache.spill().units();
    return spilled == null ? 0 : spilled.units(layer, kvHead).count();
  }

  /** Tokens of a unit. */
  public int unitTokens(int unit) {
    return unitsOnDisk().tokens(unit);
  }

  /** The mean of a unit's keys. */
  public void unitKey(int unit, float[] out) {
    unitsOnDisk().key(unit, out);
  }

  /** The units that have been read back, ascending. */
  public int[] unitsHere() {
    return cache.spill().units() == null ? new int[0] : unitsOnDisk().here();
  }

  /**
   * Numbers of the head as a whole, for a policy to keep once tokens are on disk: 0 at first.
   *
   * @param size how many
   */
  public float[] numbers(int size) {
    return unitsOnDisk().numbers(size);
  }

  private HeadUnits unitsOnDisk() {
    SpilledUnits spilled = cache.spill().units();
    if (spilled == null) {
      throw new IllegalStateException("No tokens are on disk by choice");
    }
    return spilled.units(layer, kvHead);
  }

  private void check(int[] places, int from) {
    for (int i = 0; i < places.length; i++) {
      if (places[i] < from || places[i] >= count() || (i > 0 && places[i] <= places[i - 1])) {
        throw new IllegalArgumentException(
            "Places are to ascend from %d to %d, not to be %s"
                .formatted(from, count() - 1, Arrays.toString(places)));
      }
    }
  }

  /** Numbers in a key of {@linkplain #coarse coarser tokens}: channels that are held of it. */
  public int coarseKeySize() {
    return cache.layout().coarse(layer).orElseThrow().keySize();
  }

  /**
   * The channels of a key that coarser tokens hold, ascending; null if that is all of them, or has
   * not been said.
   */
  public int @Nullable [] channels() {
    return head.coarse().channels();
  }

  /**
   * Says which channels of a key coarser tokens hold from now on: where there are none yet.
   *
   * @param held as many as {@link #coarseKeySize}, ascending
   */
  public void shrink(int[] held) {
    for (int i = 0; i < held.length; i++) {
      if (held[i] < 0 || held[i] >= keySize() || (i > 0 && held[i] <= held[i - 1])) {
        throw new IllegalArgumentException(
            "Channels are to ascend from 0 to %d, not to be %s"
                .formatted(keySize() - 1, Arrays.toString(held)));
      }
    }
    head.coarse().channels(held.clone());
  }

  /**
   * Keeps tokens in the policy's {@linkplain KvBounds#coarse coarser formats} from now on; their
   * places are among the first then.
   *
   * @param places of tokens that are not in those yet, ascending
   */
  public void requantise(int[] places) {
    check(places, coarse());
    head.requantise(places);
    scores = new float[0][];
  }

  /** Gives a token another key and value, as when others are merged into it. */
  public void put(int i, float[] key, float[] value) {
    check(new int[] {i}, 0);
    head.put(i, key, value);
  }
}

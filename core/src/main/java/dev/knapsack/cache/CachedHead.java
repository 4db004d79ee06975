package dev.knapsack.cache;

import java.util.Arrays;

/** The cached tokens of one KV head of one sequence, as a {@link KvPolicy} sees them. */
public final class CachedHead {
  private final HeadCache head;
  private final int layer;
  private final int kvHead;

  CachedHead(HeadCache head, int layer, int kvHead) {
    this.head = head;
    this.layer = layer;
    this.kvHead = kvHead;
  }

  public int layer() {
    return layer;
  }

  public int kvHead() {
    return kvHead;
  }

  /** Tokens that are held, older ones first. */
  public int count() {
    return head.count();
  }

  /** Where a token stands in the sequence. */
  public int position(int i) {
    return head.position(i);
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
   * A number of each token, for a policy to keep: 0 for new ones. It has room for at least {@code
   * tokens}.
   */
  public float[] scores(int tokens) {
    return head.scores(tokens);
  }

  /**
   * Evicts all tokens but these; pages that are left over are freed.
   *
   * @param kept places of tokens, ascending
   */
  public void keep(int[] kept) {
    for (int i = 0; i < kept.length; i++) {
      if (kept[i] < 0 || kept[i] >= count() || (i > 0 && kept[i] <= kept[i - 1])) {
        throw new IllegalArgumentException(
            "Tokens to keep are ascending places below %d, not %s"
                .formatted(count(), Arrays.toString(kept)));
      }
    }
    head.retain(kept);
  }
}

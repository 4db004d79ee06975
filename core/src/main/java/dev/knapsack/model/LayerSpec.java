package dev.knapsack.model;

import dev.knapsack.kernel.Rope;
import org.jspecify.annotations.Nullable;

/**
 * One layer's shape. Norms, biases and sinks are not listed: they are there when their tensors are.
 *
 * @param heads query heads
 * @param kvHeads key and value heads
 * @param keySize numbers in a query or key head
 * @param valueSize numbers in a value head
 * @param attentionScale factor of the scores
 * @param attentionSoftCap soft cap of the scores; 0 for none
 * @param window sliding window in tokens; 0 for none
 * @param rope rotary embedding of this layer; null where the layer has none
 * @param queryScale how queries grow with their position; null where they do not
 * @param mlp the feed-forward part
 */
public record LayerSpec(
    int heads,
    int kvHeads,
    int keySize,
    int valueSize,
    float attentionScale,
    float attentionSoftCap,
    int window,
    @Nullable Rope rope,
    @Nullable QueryScale queryScale,
    Mlp mlp) {
  /** Numbers in a token's queries, all heads. */
  public int queryColumns() {
    return heads * keySize;
  }

  /** Numbers in a token's keys, all heads. */
  public int keyColumns() {
    return kvHeads * keySize;
  }

  /** Numbers in a token's values, all heads. */
  public int valueColumns() {
    return kvHeads * valueSize;
  }

  /** Numbers in a token's attention output, all heads. */
  public int attendedColumns() {
    return heads * valueSize;
  }
}

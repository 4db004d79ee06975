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
    Mlp mlp) {}

package dev.knapsack.model;

import dev.knapsack.cache.KvLayout;
import dev.knapsack.model.TensorSpec.Role;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A bank of values that tokens have, the same for all layers: its rows of a step's tokens are read
 * before the first layer, and {@link Attention.Values.Mixed} mixes them into values (MoVE, arXiv
 * 2601.22887).
 *
 * @param slots values that a token has
 * @param size numbers in one of them: those of all KV heads
 */
public record ValueEmbeddings(int width, int vocabulary, int slots, int size) implements Block {
  /** The tensor with each token's values, slot by slot. */
  public static final String TABLE = "value_embd.weight";

  /** There is none beside the table. */
  public record Weights(ValueEmbeddings spec) implements Block.Change {}

  /** Numbers that a token has in all slots. */
  public int columns() {
    return slots * size;
  }

  /** Gates of a token in a layer: of each head's own value first, then of its slots. */
  int gates(int heads) {
    return heads * (slots + 1);
  }

  /**
   * Mixes a token's values.
   *
   * @param sigmoids of what the gates' projection gives; a gate is twice that
   * @param row of the bank
   * @param value of all heads, which become the mixtures
   */
  void mix(float[] sigmoids, float[] row, float[] value) {
    int heads = sigmoids.length / (slots + 1);
    int headSize = size / heads;
    for (int head = 0; head < heads; head++) {
      int gate = head * (slots + 1);
      for (int i = head * headSize; i < (head + 1) * headSize; i++) {
        float sum = sigmoids[gate] * value[i];
        for (int slot = 0; slot < slots; slot++) {
          sum += sigmoids[gate + 1 + slot] * row[slot * size + i];
        }
        value[i] = 2 * sum;
      }
    }
  }

  @Override
  public List<TensorSpec> tensors() {
    return List.of(new TensorSpec(TABLE, Role.EMBEDDING, columns(), vocabulary));
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    return new Weights(this);
  }

  @Override
  public int widest() {
    return width;
  }

  @Override
  public Map<Slot, Integer> lasting() {
    return Map.of(Slot.VALUE_BANK, columns());
  }

  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    return Map.of();
  }
}

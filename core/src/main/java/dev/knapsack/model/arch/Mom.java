package dev.knapsack.model.arch;

import dev.knapsack.model.Block;
import dev.knapsack.model.DeltaRule;
import dev.knapsack.model.MixtureOfMemories;
import java.util.List;

/**
 * Mixture-of-Memories: linear attention whose tokens choose among several states, in each layer.
 */
final class Mom extends Family {
  @Override
  List<Block> blocks(Header header, int layer, int context) {
    return List.of(memories(header, layer), feedForward(header, layer));
  }

  private MixtureOfMemories memories(Header header, int layer) {
    int count = header.heads("memory_count");
    int used = header.heads("memory_used_count");
    if (used > count) {
      throw header.wrong(
          "memory_used_count",
          "must be between 1 and the number of memories %d, and is %d".formatted(count, used));
    }
    int heads = header.heads(layer);
    int keySize = header.keySize(layer);
    int valueSize = header.valueSize(layer);
    if ((count + 1L) * heads * Math.max(keySize, valueSize) > Header.MOST_COLUMNS) {
      throw header.wrong(
          "memory_count",
          "%d memories are too many for %d heads of %d"
              .formatted(count, heads, Math.max(keySize, valueSize)));
    }
    DeltaRule memory =
        deltaRule(header, layer, heads, heads, keySize, valueSize, DeltaRule.Form.TILED);
    return new MixtureOfMemories(memory, count, used, header.flag("memory_shared", true));
  }
}

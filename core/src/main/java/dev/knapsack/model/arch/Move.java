package dev.knapsack.model.arch;

import dev.knapsack.model.Attention;
import dev.knapsack.model.Block;
import dev.knapsack.model.ValueEmbeddings;
import java.util.List;

/** MoVE: values are mixed with those that tokens have in a bank, which all layers share. */
final class Move extends Family {
  private ValueEmbeddings bank(Header header) {
    int slots = header.heads("value_embedding.slots");
    int size = header.kvHeads(0) * header.valueSize(0);
    if ((long) slots * size > Header.MOST_COLUMNS) {
      throw header.wrong(
          "value_embedding.slots", "%d values of %d numbers are too many".formatted(slots, size));
    }
    return new ValueEmbeddings(header.width(), header.vocabulary(), slots, size);
  }

  @Override
  List<Block> opening(Header header) {
    return List.of(bank(header));
  }

  @Override
  Attention.Values values(Header header, int layer) {
    if (header.kvHeads(layer) != header.kvHeads(0)) {
      throw header.wrong(
          "attention.head_count_kv",
          "must be the same in all layers, which share values; it is %d and %d"
              .formatted(header.kvHeads(0), header.kvHeads(layer)));
    }
    return new Attention.Values.Mixed(bank(header));
  }
}

package dev.knapsack.model.arch;

import dev.knapsack.model.Block;
import dev.knapsack.model.NgramHash;
import dev.knapsack.model.NgramMemory;
import dev.knapsack.model.Norms;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Engram: some layers have a memory of n-grams before attention. */
final class Engram extends Family {
  private static final Norms BEFORE_MEMORY = new Norms("ngram_norm.weight", null);

  /** Numbers that a state holds exactly. */
  private static final int MOST_TOKENS = 1 << 24;

  private static final int MOST_ORDER = 16;

  @Override
  List<Block> blocks(Header header, int layer, int context) {
    List<Block> blocks = new ArrayList<>(super.blocks(header, layer, context));
    long[] layers = header.integers("ngram.layers", 0, header.layers() - 1);
    for (int i = 0; i < layers.length; i++) {
      if (layers[i] == layer) {
        blocks.addFirst(memory(header, i, layers.length));
      }
    }
    return blocks;
  }

  private NgramMemory memory(Header header, int index, int count) {
    int order = header.taps("ngram.order");
    if (order < 2 || order > MOST_ORDER) {
      throw header.wrong(
          "ngram.order", "must be between 2 and %d, and is %d".formatted(MOST_ORDER, order));
    }
    int heads = (order - 1) * header.taps("ngram.head_count");
    int size = header.columns("ngram.embedding_length");
    if ((long) heads * size > Header.MOST_COLUMNS) {
      throw header.wrong(
          "ngram.embedding_length", "%d rows of %d numbers are too many".formatted(heads, size));
    }
    return new NgramMemory(
        BEFORE_MEMORY,
        header.width(),
        hash(header, index, count, order, heads),
        size,
        header.taps("ngram.conv_kernel"),
        header.has("ngram.conv_dilation") ? header.taps("ngram.conv_dilation") : order);
  }

  private NgramHash hash(Header header, int index, int count, int order, int heads) {
    int vocabulary = header.vocabulary();
    if (vocabulary > MOST_TOKENS) {
      throw header.wrong(
          "ngram.order", "is of %,d tokens; at most %,d".formatted(vocabulary, MOST_TOKENS));
    }
    int[] canonical =
        header.has("ngram.tokens")
            ? ints(header.integers("ngram.tokens", vocabulary, 0, vocabulary - 1))
            : new int[0];
    int pad = header.tokens("ngram.pad_token_id", 0);
    if (pad >= vocabulary) {
      throw header.wrong(
          "ngram.pad_token_id", "is %d, and there are %,d tokens".formatted(pad, vocabulary));
    }
    long[] multipliers =
        header.integers("ngram.multipliers", count * order, Long.MIN_VALUE, Long.MAX_VALUE);
    long[] rows = header.integers("ngram.rows", count * heads, 1, Integer.MAX_VALUE);
    long[] own = Arrays.copyOfRange(rows, index * heads, (index + 1) * heads);
    if (Arrays.stream(own).sum() > Integer.MAX_VALUE) {
      throw header.wrong("ngram.rows", "are more than %,d".formatted(Integer.MAX_VALUE));
    }
    return new NgramHash(
        canonical,
        canonical.length == 0 ? pad : canonical[pad],
        Arrays.copyOfRange(multipliers, index * order, (index + 1) * order),
        ints(own));
  }

  private static int[] ints(long[] numbers) {
    return Arrays.stream(numbers).mapToInt(Math::toIntExact).toArray();
  }
}

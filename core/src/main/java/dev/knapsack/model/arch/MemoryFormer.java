package dev.knapsack.model.arch;

import dev.knapsack.model.Block;
import dev.knapsack.model.MemoryMlp;

/** MemoryFormer: what others multiply with matrices is looked up in tables, by signs. */
final class MemoryFormer extends Family {
  private static final int MOST_BITS = 20;
  private static final long MOST_ROWS = Integer.MAX_VALUE;

  @Override
  int hashBits(Header header) {
    int bits = header.taps("hash.bits");
    int width = header.width();
    int attended = header.heads(0) * header.valueSize(0);
    if (bits > MOST_BITS || width % bits != 0 || (long) width / bits << bits > MOST_ROWS) {
      throw header.wrong(
          "hash.bits", "%d numbers cannot be hashed by %d bits each".formatted(width, bits));
    }
    if (attended != width) {
      throw header.wrong(
          "attention.head_count",
          "heads give %d numbers, which are added as they are to %d".formatted(attended, width));
    }
    return bits;
  }

  @Override
  Block feedForward(Header header, int layer) {
    int bits = hashBits(header);
    int extra = header.tokens("hash.extra_bits", 2);
    if (bits + extra > MOST_BITS || (long) header.width() / bits << bits + extra > MOST_ROWS) {
      throw header.wrong("hash.extra_bits", "%d more than %d are too many".formatted(extra, bits));
    }
    return new MemoryMlp(feedForwardNorms(header, layer), header.width(), bits, extra);
  }
}

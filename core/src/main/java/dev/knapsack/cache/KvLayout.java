package dev.knapsack.cache;

import dev.knapsack.memory.SlabArena;
import dev.knapsack.tensor.Format;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What a sequence's cache holds in each layer, and in which formats: all that is needed to know how
 * many bytes a number of tokens takes.
 *
 * @param layers one entry a layer
 * @param keyFormat format of cached keys: F32, F16, BF16, Q8_0 or Q4_0
 * @param valueFormat format of cached values
 * @param pageTokens tokens in a page
 */
public record KvLayout(List<Layer> layers, Format keyFormat, Format valueFormat, int pageTokens) {
  /**
   * Tokens in a page unless said otherwise: a multiple of every vector length, and with every
   * format and head size of the field a page's keys end on a 64-byte line.
   */
  public static final int PAGE_TOKENS = 32;

  /**
   * One layer's heads.
   *
   * @param kvHeads key and value heads
   * @param keySize numbers in a key head
   * @param valueSize numbers in a value head
   * @param window sliding window in tokens; 0 for none
   */
  public record Layer(int kvHeads, int keySize, int valueSize, int window) {}

  public KvLayout {
    layers = List.copyOf(layers);
    if (pageTokens < 1) {
      throw new IllegalArgumentException("A page holds at least one token, not " + pageTokens);
    }
    for (Layer layer : layers) {
      checkFits("key", keyFormat, layer.keySize());
      checkFits("value", valueFormat, layer.valueSize());
    }
  }

  public KvLayout(List<Layer> layers, Format keyFormat, Format valueFormat) {
    this(layers, keyFormat, valueFormat, PAGE_TOKENS);
  }

  /**
   * Whether heads of this size can be stored in the format: it must be whole blocks.
   *
   * @param headSize numbers in a head
   */
  public static boolean fits(Format format, int headSize) {
    return headSize % format.blockValues() == 0;
  }

  private static void checkFits(String what, Format format, int headSize) {
    if (!fits(format, headSize)) {
      throw new IllegalArgumentException(
          "The KV cache cannot hold %ss of %d numbers in %s, whose blocks are of %d; F16 fits any size"
              .formatted(what, headSize, format.name(), format.blockValues()));
    }
  }

  /** Bytes of the keys in one page of a layer. */
  public long pageKeyBytes(int layer) {
    Layer heads = layers.get(layer);
    return (long) heads.kvHeads() * pageTokens * keyFormat.bytes(heads.keySize());
  }

  /** Bytes of the values in one page of a layer. */
  public long pageValueBytes(int layer) {
    Layer heads = layers.get(layer);
    return (long) heads.kvHeads() * pageTokens * valueFormat.bytes(heads.valueSize());
  }

  /** Bytes of one page of a layer: its keys, then its values. */
  public long pageBytes(int layer) {
    return pageKeyBytes(layer) + pageValueBytes(layer);
  }

  /** Pages of one layer that {@code tokens} tokens take. */
  public int pages(int tokens) {
    return Math.ceilDiv(tokens, pageTokens);
  }

  /** Bytes that a sequence of {@code tokens} tokens leases, with nothing freed. */
  public long bytes(int tokens) {
    return bytes(tokens, tokens);
  }

  /**
   * The most bytes that a sequence of {@code tokens} tokens leases while it grows by at most {@code
   * step} tokens at a time, if {@linkplain KvCache#freeOutsideWindows pages before the sliding
   * windows are freed} after each step.
   */
  public long bytes(int tokens, int step) {
    long bytes = 0;
    for (Group group : groups()) {
      // A window and a step begin anywhere in a page: they touch one page more than they fill.
      long held =
          group.window() == 0
              ? pages(tokens)
              : Math.min(pages(tokens), ((long) group.window() + step) / pageTokens + 2);
      bytes += held * SlabArena.extentBytes(group.pageBytes(), group.layers());
    }
    return bytes;
  }

  /**
   * Layers whose pages have one size and are freed at the same time; they share an arena, in which
   * one page of each layer makes an extent, so that sequences grow and shrink by whole extents.
   *
   * @param layers how many layers
   */
  record Group(long pageBytes, int window, int layers) {}

  /** The groups, each once. */
  List<Group> groups() {
    Map<Group, Integer> counts = new LinkedHashMap<>();
    for (int l = 0; l < layers.size(); l++) {
      counts.merge(new Group(pageBytes(l), layers.get(l).window(), 1), 1, Integer::sum);
    }
    return counts.entrySet().stream()
        .map(e -> new Group(e.getKey().pageBytes(), e.getKey().window(), e.getValue()))
        .toList();
  }
}

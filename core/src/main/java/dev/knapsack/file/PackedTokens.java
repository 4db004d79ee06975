package dev.knapsack.file;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.SortedMap;

/**
 * The texts of a vocabulary by id, and the id by text.
 *
 * <p>All texts lie in one array, and the index is an open hash table of ids: 200,000 tokens cost
 * about 4 MB of heap, where a map of strings would cost 30. Of tokens with the same text, the first
 * is the one that text turns into.
 */
public final class PackedTokens {
  private static final int START = 0x811C9DC5;

  private final byte[] texts;
  private final int[] starts;
  private final int[] table;
  private final int longest;

  private PackedTokens(byte[] texts, int[] starts) {
    this.texts = texts;
    this.starts = starts;
    int size = starts.length - 1;
    table = new int[Integer.highestOneBit(Math.max(8, size + size / 4)) * 2];
    Arrays.fill(table, -1);
    int max = 0;
    for (int id = 0; id < size; id++) {
      int length = starts[id + 1] - starts[id];
      max = Math.max(max, length);
      if (length > 0) {
        int slot = slot(hash(texts, starts[id], starts[id + 1]), texts, starts[id], starts[id + 1]);
        if (table[slot] < 0) {
          table[slot] = id;
        }
      }
    }
    longest = max;
  }

  /** The tokens of a list, whose places are their ids. */
  public static PackedTokens of(List<String> tokens) {
    Builder builder = new Builder();
    for (int id = 0; id < tokens.size(); id++) {
      builder.add(id, tokens.get(id));
    }
    return builder.build(tokens.size());
  }

  /** Tokens that need not be text: the bytes of each. */
  public static PackedTokens ofBytes(List<byte[]> tokens) {
    Builder builder = new Builder();
    for (int id = 0; id < tokens.size(); id++) {
      builder.add(id, tokens.get(id));
    }
    return builder.build(tokens.size());
  }

  /** These tokens and others by id, in one more copy and no larger one. */
  PackedTokens with(SortedMap<Integer, String> more) {
    int size = Math.max(size(), more.lastKey() + 1);
    int[] ends = new int[size + 1];
    long bytes = texts.length;
    for (String text : more.values()) {
      bytes += text.getBytes(StandardCharsets.UTF_8).length;
    }
    byte[] all = new byte[Math.toIntExact(bytes)];
    int at = 0;
    for (int id = 0; id < size; id++) {
      String text = more.get(id);
      byte[] from = text == null ? texts : text.getBytes(StandardCharsets.UTF_8);
      int start = text != null || id >= size() ? 0 : starts[id];
      int length = text != null ? from.length : id < size() ? length(id) : 0;
      System.arraycopy(from, start, all, at, length);
      at += length;
      ends[id + 1] = at;
    }
    return new PackedTokens(at == all.length ? all : Arrays.copyOf(all, at), ends);
  }

  public int size() {
    return starts.length - 1;
  }

  /** Bytes of the longest token. */
  public int longest() {
    return longest;
  }

  /** Bytes of a token's text: none where the vocabulary has a hole. */
  public int length(int id) {
    return starts[id + 1] - starts[id];
  }

  /** The text of a token as the vocabulary writes it, in UTF-8. */
  public byte[] bytes(int id) {
    return Arrays.copyOfRange(texts, starts[id], starts[id + 1]);
  }

  public String text(int id) {
    return new String(texts, starts[id], length(id), StandardCharsets.UTF_8);
  }

  public int find(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    return find(bytes, 0, bytes.length);
  }

  /** The token whose text is these bytes, or -1. */
  public int find(byte[] bytes, int from, int to) {
    return to - from > longest ? -1 : find(hash(bytes, from, to), bytes, from, to);
  }

  /** The hash of no bytes, for {@link #find(int, byte[], int, int)}. */
  public static int hash() {
    return START;
  }

  /** The hash of some bytes and one more. */
  public static int hash(int hash, byte next) {
    return (hash ^ next) * 0x01000193;
  }

  /** The token whose text is these bytes, whose hash the caller has, or -1. */
  public int find(int hash, byte[] bytes, int from, int to) {
    return table[slot(hash, bytes, from, to)];
  }

  /** The token that two tokens make together, without the first bytes of the second, or -1. */
  int joined(int left, int right, int without) {
    int first = length(left);
    int second = length(right) - without;
    if (second < 0 || first + second > longest) {
      return -1;
    }
    byte[] both = Arrays.copyOfRange(texts, starts[left], starts[left] + first + second);
    System.arraycopy(texts, starts[right] + without, both, first, second);
    return find(both, 0, both.length);
  }

  private static int hash(byte[] bytes, int from, int to) {
    int hash = START;
    for (int i = from; i < to; i++) {
      hash = hash(hash, bytes[i]);
    }
    return hash;
  }

  private int slot(int hash, byte[] bytes, int from, int to) {
    int mask = table.length - 1;
    int slot = (((hash ^ (hash >>> 15)) * 0x2C1B3C6D) >>> 7) & mask;
    while (table[slot] >= 0) {
      int id = table[slot];
      if (Arrays.equals(texts, starts[id], starts[id + 1], bytes, from, to)) {
        return slot;
      }
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  /** Collects tokens in any order of their ids. */
  static final class Builder {
    private byte[] texts = new byte[1024];
    private int used;
    private int[] ids = new int[256];
    private int[] ends = new int[256];
    private int count;
    private boolean inOrder = true;
    private int largest = -1;

    void add(int id, String text) {
      add(id, text.getBytes(StandardCharsets.UTF_8));
    }

    void add(int id, byte[] bytes) {
      if (texts.length - used < bytes.length) {
        texts = Arrays.copyOf(texts, Math.max(Math.addExact(used, bytes.length), grown(used)));
      }
      System.arraycopy(bytes, 0, texts, used, bytes.length);
      used += bytes.length;
      if (count == ids.length) {
        ids = Arrays.copyOf(ids, grown(count));
        ends = Arrays.copyOf(ends, ids.length);
      }
      inOrder &= id == count;
      largest = Math.max(largest, id);
      ids[count] = id;
      ends[count++] = used;
    }

    private static int grown(int size) {
      return Math.addExact(size, size / 2 + 16);
    }

    int count() {
      return count;
    }

    int largest() {
      return largest;
    }

    /** The tokens, with holes up to a size that is greater than the largest id. */
    PackedTokens build(int size) {
      int[] starts = new int[size + 1];
      if (inOrder) {
        System.arraycopy(ends, 0, starts, 1, count);
        Arrays.fill(starts, count + 1, size + 1, used);
        return new PackedTokens(Arrays.copyOf(texts, used), starts);
      }
      int[] entry = new int[size];
      for (int i = 0; i < count; i++) {
        entry[ids[i]] = i + 1;
      }
      byte[] sorted = new byte[used];
      int at = 0;
      for (int id = 0; id < size; id++) {
        if (entry[id] > 0) {
          int from = entry[id] == 1 ? 0 : ends[entry[id] - 2];
          int length = ends[entry[id] - 1] - from;
          System.arraycopy(texts, from, sorted, at, length);
          at += length;
        }
        starts[id + 1] = at;
      }
      return new PackedTokens(Arrays.copyOf(sorted, at), starts);
    }
  }
}

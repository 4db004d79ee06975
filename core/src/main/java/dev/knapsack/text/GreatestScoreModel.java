package dev.knapsack.text;

import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.PackedTokens;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Of all ways to write a text in tokens, the one whose scores have the greatest sum, found from the
 * end of the text: as PLaMo 2 has it.
 *
 * <p>Scores are whole numbers of ten thousandths. Where two ways are as good, the longer token goes
 * first; a character may also be written as the tokens of its bytes, at one score for any.
 */
final class GreatestScoreModel implements TextModel {
  private static final double SCALE = 1e4;

  /** The cost, which is a score below 0, of a character that is written as bytes. */
  private static final int BYTES = 10_000_000;

  /** The cost of tokens that text does not become, and of all that cost more. */
  private static final int UNUSED = 20_000_000;

  private final Vocabulary vocabulary;

  /** The bytes of each token that text becomes; none of the others. */
  private final PackedTokens tokens;

  private final int[] costs;
  private final int[] byteTokens = new int[256];

  GreatestScoreModel(Path file, Vocabulary vocabulary) {
    this.vocabulary = vocabulary;
    this.costs = new int[vocabulary.size()];
    Arrays.fill(byteTokens, -1);
    List<byte[]> texts = new ArrayList<>(vocabulary.size());
    for (int id = 0; id < vocabulary.size(); id++) {
      int value = byteOf(id);
      if (value >= 0) {
        byteTokens[value] = id;
      }
      costs[id] = cost(vocabulary.score(id));
      texts.add(
          switch (vocabulary.type(id)) {
            case CONTROL, UNKNOWN, BYTE -> new byte[0];
            case UNDEFINED, NORMAL, USER_DEFINED, UNUSED ->
                costs[id] < UNUSED ? vocabulary.bytes(id) : new byte[0];
          });
    }
    this.tokens = PackedTokens.ofBytes(texts);
    for (int b = 0; b < byteTokens.length; b++) {
      if (byteTokens[b] < 0) {
        throw new ModelFileException(
            file, "tokenizer.ggml.tokens", "has no token for the byte " + ByteTokens.name(b));
      }
    }
  }

  private static int cost(float score) {
    return Float.isFinite(score) ? Math.clamp(Math.round(-SCALE * score), -UNUSED, UNUSED) : UNUSED;
  }

  /** The byte that a token stands for, or -1. */
  private int byteOf(int token) {
    return vocabulary.type(token) == TokenType.BYTE ? ByteTokens.parse(vocabulary.text(token)) : -1;
  }

  @Override
  public boolean prefixesSpace() {
    return false;
  }

  @Override
  public boolean keepsAll() {
    return true;
  }

  @Override
  public byte[] piece(int token) {
    int value = byteOf(token);
    return value >= 0 ? new byte[] {(byte) value} : vocabulary.bytes(token);
  }

  @Override
  public Encoder encoder(String text) {
    return new Ways(text);
  }

  private final class Ways implements Encoder {
    private final String text;
    private final ByteList bytes = new ByteList(64);

    /** Of the best way to write what begins at a byte: its cost, and its first token. */
    private long[] best = new long[64];

    /** That token, or -1 for those of a character's bytes. */
    private int[] first = new int[64];

    Ways(String text) {
      this.text = text;
    }

    @Override
    public void encode(int from, int to, boolean afterSpecial, IntList into) {
      bytes.clear();
      bytes.add(text, from, to);
      int size = bytes.size();
      if (best.length <= size) {
        best = new long[size + 1];
        first = new int[size + 1];
      }
      best[size] = 0;
      for (int at = size - 1; at >= 0; at--) {
        if (!isContinuation(at)) {
          choose(at, size);
        }
      }
      collect(size, into);
    }

    private void choose(int at, int size) {
      long least = Long.MAX_VALUE;
      int token = -1;
      int hash = PackedTokens.hash();
      for (int end = at + 1; end <= Math.min(size, at + tokens.longest()); end++) {
        hash = PackedTokens.hash(hash, bytes.array()[end - 1]);
        if (end < size && isContinuation(end)) {
          continue;
        }
        int found = tokens.find(hash, bytes.array(), at, end);
        if (found >= 0 && best[end] + costs[found] <= least) {
          least = best[end] + costs[found];
          token = found;
        }
      }
      long asBytes = best[at + width(at)] + BYTES;
      best[at] = Math.min(least, asBytes);
      first[at] = asBytes < least ? -1 : token;
    }

    private void collect(int size, IntList into) {
      for (int at = 0; at < size; ) {
        if (first[at] >= 0) {
          into.add(first[at]);
          at += tokens.length(first[at]);
          continue;
        }
        int end = at + width(at);
        for (; at < end; at++) {
          into.add(byteTokens[bytes.array()[at] & 0xFF]);
        }
      }
    }

    private boolean isContinuation(int at) {
      return (bytes.array()[at] & 0xC0) == 0x80;
    }

    private int width(int at) {
      int b = bytes.array()[at] & 0xFF;
      return b < 0x80 ? 1 : b < 0xE0 ? 2 : b < 0xF0 ? 3 : 4;
    }
  }
}

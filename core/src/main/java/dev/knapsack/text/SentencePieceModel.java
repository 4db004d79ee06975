package dev.knapsack.text;

import dev.knapsack.file.Metadata;
import java.nio.charset.StandardCharsets;

/**
 * SentencePiece with byte pair encoding: of all neighbours that together are a token, those with
 * the highest score merge first.
 *
 * <p>Kudo and Richardson, "SentencePiece" (2018). A space is written {@code ▁}; a character that is
 * no token becomes the tokens of its bytes.
 */
final class SentencePieceModel implements TextModel {
  static final char SPACE = '\u2581';

  private static final int UNKNOWN_FALLBACK = 0;

  private final Vocabulary vocabulary;
  private final boolean prefixSpace;
  private final int[] byteTokens = new int[256];

  private SentencePieceModel(Vocabulary vocabulary, boolean prefixSpace, int unknown) {
    this.vocabulary = vocabulary;
    this.prefixSpace = prefixSpace;
    for (int b = 0; b < 256; b++) {
      int token = vocabulary.find(ByteTokens.name(b));
      byteTokens[b] = token >= 0 ? token : unknown >= 0 ? unknown : UNKNOWN_FALLBACK;
    }
  }

  static SentencePieceModel read(Metadata metadata, Vocabulary vocabulary, int unknown) {
    return new SentencePieceModel(
        vocabulary, metadata.flag("tokenizer.ggml.add_space_prefix", true), unknown);
  }

  @Override
  public boolean prefixesSpace() {
    return prefixSpace;
  }

  @Override
  public boolean keepsAll() {
    return true;
  }

  @Override
  public byte[] piece(int token) {
    return piece(vocabulary, token);
  }

  static byte[] piece(Vocabulary vocabulary, int token) {
    String text = vocabulary.text(token);
    if (vocabulary.type(token) == TokenType.BYTE) {
      int b = ByteTokens.parse(text);
      if (b >= 0) {
        return new byte[] {(byte) b};
      }
    }
    return text.replace(SPACE, ' ').getBytes(StandardCharsets.UTF_8);
  }

  @Override
  public Encoder encoder(String text) {
    return new Pieces(text);
  }

  private final class Pieces implements Encoder, PairMerging.Symbols {
    private final String text;
    private final PairMerging merging = new PairMerging();
    private final ByteList bytes = new ByteList(64);

    /** The bounds of each symbol in {@link #bytes}: beginnings, and ends. */
    private int[] starts = new int[32];

    private int[] ends = new int[32];

    Pieces(String text) {
      this.text = text;
    }

    @Override
    public void encode(int from, int to, boolean first, IntList tokens) {
      if (starts.length < to - from + 1) {
        starts = new int[to - from + 1];
        ends = new int[to - from + 1];
      }
      bytes.clear();
      int count = 0;
      if (first && prefixSpace) {
        count = add(SPACE, count);
      }
      for (int i = from; i < to; ) {
        int character = text.codePointAt(i);
        i += Character.charCount(character);
        count = add(character == ' ' ? SPACE : character, count);
      }
      merging.run(count, this);
      for (int at = 0; at >= 0; at = merging.after(at)) {
        int token = vocabulary.findText(bytes.array(), starts[at], ends[at]);
        if (token >= 0) {
          tokens.add(token);
          continue;
        }
        for (int i = starts[at]; i < ends[at]; i++) {
          tokens.add(byteTokens[bytes.array()[i] & 0xFF]);
        }
      }
    }

    private int add(int character, int count) {
      starts[count] = bytes.size();
      bytes.addCodePoint(character);
      ends[count] = bytes.size();
      return count + 1;
    }

    @Override
    public int priority(int left, int right) {
      int token = vocabulary.findText(bytes.array(), starts[left], ends[right]);
      if (token < 0) {
        return PairMerging.NEVER;
      }
      // As integers, negated scores keep their order; adding zero makes one of the two zeros.
      int bits = Float.floatToIntBits(0f - vocabulary.score(token));
      return bits < 0 ? bits ^ 0x7FFFFFFF : bits;
    }

    @Override
    public void merge(int left, int right) {
      ends[left] = ends[right];
    }
  }
}

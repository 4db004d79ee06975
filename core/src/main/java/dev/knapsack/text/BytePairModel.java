package dev.knapsack.text;

import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.Metadata;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * Byte pair encoding: text is cut into words, and in each word the pair of tokens with the lowest
 * rank merges until none does.
 *
 * <p>Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units" (2016); over
 * bytes as in GPT-2 (Radford et al., 2019), or over characters with bytes as the last resort as in
 * Gemma 4.
 */
final class BytePairModel implements TextModel {
  private final Vocabulary vocabulary;
  private final Merges merges;
  private final PreTokenizer preTokenizer;
  private final int unknown;

  /** The token of each byte, or -1. */
  private final int[] byteTokens = new int[256];

  /** Words are spelled in bytes (of GPT-2's alphabet), not in characters. */
  private final boolean ofBytes;

  private BytePairModel(
      Vocabulary vocabulary,
      Merges merges,
      PreTokenizer preTokenizer,
      boolean ofBytes,
      int unknown) {
    this.vocabulary = vocabulary;
    this.merges = merges;
    this.preTokenizer = preTokenizer;
    this.ofBytes = ofBytes;
    this.unknown = unknown;
    for (int b = 0; b < 256; b++) {
      byteTokens[b] =
          vocabulary.find(ofBytes ? String.valueOf(ByteAlphabet.character(b)) : ByteTokens.name(b));
    }
  }

  static BytePairModel read(
      Metadata metadata,
      Path file,
      Vocabulary vocabulary,
      PreTokenizer preTokenizer,
      boolean ofBytes,
      int unknown) {
    Merges merges = Merges.read(metadata, file, vocabulary);
    BytePairModel model = new BytePairModel(vocabulary, merges, preTokenizer, ofBytes, unknown);
    // Every text has ASCII; a vocabulary that cannot spell it is of another kind than it says.
    for (int b = ' '; b < 0x7F && ofBytes; b++) {
      if (model.byteTokens[b] < 0 && unknown < 0) {
        throw new ModelFileException(
            file,
            "tokenizer.ggml.tokens",
            "has no token for the byte '"
                + (char) b
                + "', which a byte-level vocabulary (tokenizer.ggml.model = gpt2) writes '"
                + ByteAlphabet.character(b)
                + "', and no unknown token");
      }
    }
    return model;
  }

  @Override
  public Encoder encoder(String text) {
    String source = ofBytes ? text : text.replace(' ', SentencePieceModel.SPACE);
    PreTokenizer.Splitter splitter = preTokenizer.splitter(source);
    Words words = new Words(source);
    return (from, to, first, tokens) -> {
      words.tokens = tokens;
      splitter.split(from, to, words);
    };
  }

  @Override
  public boolean keepsAll() {
    return unknown >= 0 || Arrays.stream(byteTokens).allMatch(token -> token >= 0);
  }

  @Override
  public boolean prefixesSpace() {
    return false;
  }

  @Override
  public byte[] piece(int token) {
    if (!ofBytes) {
      return SentencePieceModel.piece(vocabulary, token);
    }
    String text = vocabulary.text(token);
    ByteList bytes = new ByteList(text.length());
    for (int i = 0; i < text.length(); ) {
      int character = text.codePointAt(i);
      int b = ByteAlphabet.byteOf(character);
      if (b >= 0) {
        bytes.add(b);
      } else {
        bytes.addCodePoint(character);
      }
      i += Character.charCount(character);
    }
    return bytes.toArray();
  }

  /** Encodes words, with the scratch space for it. */
  private final class Words implements PreTokenizer.Sink, PairMerging.Symbols {
    private final String text;
    private final PairMerging merging = new PairMerging();
    private final ByteList bytes = new ByteList(64);

    /** A token, or for a byte or character that is none, its complement. */
    private int[] symbols = new int[32];

    private IntList tokens = new IntList();

    Words(String text) {
      this.text = text;
    }

    @Override
    public void piece(int from, int to) {
      // A run of newlines of Gemma 4 is one token if there is one: the merges do not make it.
      if (preTokenizer.wholeWords() || (!ofBytes && text.charAt(from) == '\n')) {
        int whole = whole(from, to);
        if (whole >= 0) {
          tokens.add(whole);
          return;
        }
      }
      merging.run(ofBytes ? spellBytes(from, to) : spellCharacters(from, to), this);
      for (int at = 0; at >= 0; at = merging.after(at)) {
        if (symbols[at] >= 0) {
          tokens.add(symbols[at]);
        } else if (ofBytes) {
          addUnlessNone(unknown);
        } else {
          addBytes(~symbols[at]);
        }
      }
    }

    private int whole(int from, int to) {
      bytes.clear();
      bytes.add(text, from, to);
      // No more bytes than the longest token has, each at least one byte when spelled.
      if (!ofBytes || bytes.size() > vocabulary.longest()) {
        return vocabulary.findText(bytes.array(), 0, bytes.size());
      }
      byte[] plain = bytes.toArray();
      bytes.clear();
      for (byte b : plain) {
        bytes.addCodePoint(ByteAlphabet.character(b & 0xFF));
      }
      return vocabulary.findText(bytes.array(), 0, bytes.size());
    }

    private int spellBytes(int from, int to) {
      bytes.clear();
      bytes.add(text, from, to);
      reserve(bytes.size());
      for (int i = 0; i < bytes.size(); i++) {
        int b = bytes.array()[i] & 0xFF;
        symbols[i] = byteTokens[b] >= 0 ? byteTokens[b] : ~b;
      }
      return bytes.size();
    }

    private int spellCharacters(int from, int to) {
      reserve(to - from);
      int count = 0;
      for (int i = from; i < to; ) {
        int character = text.codePointAt(i);
        i += Character.charCount(character);
        bytes.clear();
        bytes.addCodePoint(character);
        int token = vocabulary.find(bytes.array(), 0, bytes.size());
        symbols[count++] = token >= 0 ? token : ~character;
      }
      return count;
    }

    private void addBytes(int character) {
      bytes.clear();
      bytes.addCodePoint(character);
      for (int i = 0; i < bytes.size(); i++) {
        int token = byteTokens[bytes.array()[i] & 0xFF];
        addUnlessNone(token >= 0 ? token : unknown);
      }
    }

    private void addUnlessNone(int token) {
      if (token >= 0) {
        tokens.add(token);
      }
    }

    private void reserve(int count) {
      if (symbols.length < count) {
        symbols = new int[Math.max(count, Math.min(symbols.length * 2, 1 << 16))];
      }
    }

    @Override
    public int priority(int left, int right) {
      return symbols[left] < 0 || symbols[right] < 0
          ? PairMerging.NEVER
          : merges.rank(symbols[left], symbols[right]);
    }

    @Override
    public void merge(int left, int right) {
      symbols[left] = merges.result(merges.rank(symbols[left], symbols[right]));
    }
  }
}

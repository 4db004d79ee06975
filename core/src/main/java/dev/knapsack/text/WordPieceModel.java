package dev.knapsack.text;

import java.nio.charset.StandardCharsets;
import java.text.Normalizer;

/**
 * WordPiece as BERT uses it, without case and accents: a word is the longest token that it begins
 * with, then the longest that the rest begins with, and so on.
 *
 * <p>Devlin et al., "BERT" (2019). GGUF writes a token that begins a word with {@code ▁} before it,
 * and one that continues a word bare.
 */
final class WordPieceModel implements TextModel {
  /** Longer words are unknown, as in the original. */
  private static final int MAX_WORD = 100;

  /** Characters below this one have no decomposition. */
  private static final int FIRST_ACCENTED = 0xC0;

  private final Vocabulary vocabulary;
  private final int unknown;

  WordPieceModel(Vocabulary vocabulary, int unknown) {
    this.vocabulary = vocabulary;
    this.unknown = unknown;
  }

  @Override
  public boolean prefixesSpace() {
    return true;
  }

  /** Blanks, accents and long words come to nothing or little. */
  @Override
  public boolean keepsAll() {
    return false;
  }

  @Override
  public byte[] piece(int token) {
    return vocabulary
        .text(token)
        .replace(SentencePieceModel.SPACE, ' ')
        .getBytes(StandardCharsets.UTF_8);
  }

  @Override
  public Encoder encoder(String text) {
    return (from, to, first, tokens) -> new Words(tokens).encode(text.substring(from, to));
  }

  private final class Words {
    private final IntList tokens;
    private final ByteList word = new ByteList(64);
    private int characters;

    Words(IntList tokens) {
      this.tokens = tokens;
    }

    void encode(String text) {
      for (int i = 0; i < text.length(); ) {
        int character = text.codePointAt(i);
        i += Character.charCount(character);
        if (character < FIRST_ACCENTED) {
          take(character);
        } else {
          // One at a time: to sort a long run of accents, which are dropped, costs its square.
          Normalizer.normalize(Character.toString(character), Normalizer.Form.NFD)
              .codePoints()
              .forEach(this::take);
        }
      }
      end();
    }

    private void take(int character) {
      if (isBlank(character)) {
        end();
      } else if (Characters.isPunctuation(character) || isHan(character)) {
        end();
        add(character);
        end();
      } else if (isText(character)) {
        add(Character.toLowerCase(character));
      }
    }

    private void add(int character) {
      if (characters == 0) {
        word.clear();
        word.addCodePoint(SentencePieceModel.SPACE);
      }
      if (characters++ < MAX_WORD) {
        word.addCodePoint(character);
      }
    }

    private void end() {
      if (characters == 0) {
        return;
      }
      int before = tokens.size();
      boolean known = characters <= MAX_WORD;
      int from = 0;
      while (known && from < word.size()) {
        int to = Math.min(word.size(), from + vocabulary.longest());
        int token = -1;
        while (to > from && (token = vocabulary.findText(word.array(), from, to)) < 0) {
          to--;
        }
        if (token < 0) {
          known = false;
        } else {
          tokens.add(token);
          from = to;
        }
      }
      if (!known) {
        tokens.truncate(before);
        tokens.add(unknown);
      }
      characters = 0;
    }
  }

  private static boolean isBlank(int c) {
    return c == '\t' || c == '\n' || c == '\r' || Character.isSpaceChar(c);
  }

  /**
   * Says whether a character is neither an accent, which the decomposition has taken off its
   * letter, nor a control character.
   */
  private static boolean isText(int c) {
    return switch (Character.getType(c)) {
      case Character.NON_SPACING_MARK,
          Character.CONTROL,
          Character.FORMAT,
          Character.PRIVATE_USE,
          Character.SURROGATE,
          Character.UNASSIGNED ->
          false;
      default -> c != 0xFFFD;
    };
  }

  /** The blocks that BERT takes for ideographs: each is a word. */
  private static boolean isHan(int c) {
    return (c >= 0x4E00 && c <= 0x9FFF)
        || (c >= 0x3400 && c <= 0x4DBF)
        || (c >= 0x20000 && c <= 0x2A6DF)
        || (c >= 0x2A700 && c <= 0x2B73F)
        || (c >= 0x2B740 && c <= 0x2B81F)
        || (c >= 0x2B820 && c <= 0x2CEAF)
        || (c >= 0xF900 && c <= 0xFAFF)
        || (c >= 0x2F800 && c <= 0x2FA1F);
  }
}

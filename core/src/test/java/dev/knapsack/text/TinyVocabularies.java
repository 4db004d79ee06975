package dev.knapsack.text;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Vocabularies small enough to work out by hand what a text becomes. */
final class TinyVocabularies {
  private TinyVocabularies() {}

  /**
   * Byte-level: tokens 0 to 255 are the bytes in order, then what the merges make from 256 on, then
   * an ordinary, a user-defined and four control tokens.
   */
  static TinyMetadata bytePairs() {
    List<String> tokens = new ArrayList<>();
    for (int b = 0; b < 256; b++) {
      tokens.add(String.valueOf(ByteAlphabet.character(b)));
    }
    List<String> merges =
        List.of("l l", "h e", "ll o", "he llo", "\u0120 w", "o r", "a a", "aa aa", "\u00F0 \u0141");
    merges.forEach(merge -> tokens.add(merge.replace(" ", "")));
    tokens.addAll(List.of("hell", "<note>", "<|bos|>", "<|end|>", "<|end|>ing", "<|im_end|>"));
    List<Long> types = new ArrayList<>(java.util.Collections.nCopies(tokens.size(), 1L));
    types.set(tokens.indexOf("<note>"), 4L);
    for (String control : List.of("<|bos|>", "<|end|>", "<|end|>ing", "<|im_end|>")) {
      types.set(tokens.indexOf(control), 3L);
    }
    return new TinyMetadata()
        .with("model", "gpt2")
        .with("pre", "gpt-2")
        .with("tokens", tokens)
        .with("token_type", types)
        .with("merges", merges)
        .with("bos_token_id", tokens.indexOf("<|bos|>"))
        .with("eos_token_id", tokens.indexOf("<|end|>"));
  }

  /** SentencePiece: unknown, begin, end, the 256 bytes from 3 on, then pieces from 259 on. */
  static TinyMetadata sentencePieces() {
    return sentencePieces("<user>");
  }

  /** The same with another user-defined token in the last place, and more pieces behind it. */
  static TinyMetadata sentencePieces(String userDefined, String... more) {
    List<String> tokens = new ArrayList<>(List.of("<unk>", "<s>", "</s>"));
    List<Long> types = new ArrayList<>(List.of(2L, 3L, 3L));
    List<Float> scores = new ArrayList<>(List.of(0f, 0f, 0f));
    for (int b = 0; b < 256; b++) {
      tokens.add(String.format(Locale.ROOT, "<0x%02X>", b));
      types.add(6L);
      scores.add(0f);
    }
    String[] pieces = {"\u2581a", "ab", "bc", "\u2581", "a", "b", "c", "\u2581\u2581", userDefined};
    float[] pieceScores = {-1, -2, -1.5f, -10, -11, -12, -13, -0.5f, 0};
    for (int i = 0; i < pieces.length; i++) {
      tokens.add(pieces[i]);
      types.add(pieces[i].equals(userDefined) ? 4L : 1L);
      scores.add(pieceScores[i]);
    }
    for (String piece : more) {
      tokens.add(piece);
      types.add(1L);
      scores.add(-5f);
    }
    return new TinyMetadata()
        .with("model", "llama")
        .with("tokens", tokens)
        .with("token_type", types)
        .with("scores", scores);
  }

  /** Scored pieces, as PLaMo 2 has them: as {@link #sentencePieces}, but that spaces are spaces. */
  static TinyMetadata scoredPieces() {
    TinyMetadata metadata = sentencePieces("<user>", "\u00E4", "never", "last");
    List<String> tokens = metadata.list("tokens");
    tokens.replaceAll(token -> token.replace('\u2581', ' '));
    List<Float> scores = metadata.list("scores");
    scores.set(tokens.indexOf("never"), Float.NaN);
    scores.set(tokens.indexOf("last"), -1001f);
    return metadata.with("model", "plamo2");
  }

  /** Any bytes, as RWKV has them: an end, the bytes 0 to 255 from 1 on, and longer ones. */
  static TinyMetadata longestMatches() {
    List<String> tokens = new ArrayList<>(List.of("<s>"));
    for (int b = 0; b < 256; b++) {
      tokens.add(
          switch (b) {
            case '\t' -> "\\t";
            case '\n' -> "\\n";
            case '\r' -> "\\r";
            case '\\' -> "\\\\";
            default -> b < 0x7F && b >= ' ' ? String.valueOf((char) b) : "\\x%02x".formatted(b);
          });
    }
    tokens.addAll(
        List.of("ab", "abcd", " the", "\\n\\n", "\\xe4\\xb8", "\u00E4", "\\\\n", "<|im_end|>"));
    List<Long> types = new ArrayList<>(java.util.Collections.nCopies(tokens.size(), 1L));
    types.set(0, 3L);
    types.set(tokens.size() - 1, 3L);
    return new TinyMetadata()
        .with("model", "rwkv")
        .with("tokens", tokens)
        .with("token_type", types)
        .with("eos_token_id", 0);
  }

  /** Characters, with bytes as the last resort, as Gemma 4 does it: bytes 0 to 255, then pieces. */
  static TinyMetadata characterPairs() {
    List<String> tokens = new ArrayList<>();
    List<Long> types = new ArrayList<>();
    for (int b = 0; b < 256; b++) {
      tokens.add(String.format(Locale.ROOT, "<0x%02X>", b));
      types.add(6L);
    }
    for (String piece :
        List.of("\u2581", "a", "b", "\n", "\n\n", "\u00E4", "\u2581a", "\u2581ab", "<bos>")) {
      tokens.add(piece);
      types.add(piece.equals("<bos>") ? 3L : 1L);
    }
    return new TinyMetadata()
        .with("model", "gemma4")
        .with("tokens", tokens)
        .with("token_type", types)
        .with("merges", List.of("\u2581 a", "\u2581a b"))
        .with("bos_token_id", tokens.indexOf("<bos>"));
  }

  /** WordPiece: unknown, begin, separator, then pieces from 3 on. */
  static TinyMetadata wordPieces() {
    return new TinyMetadata()
        .with("model", "bert")
        .with(
            "tokens",
            List.of(
                "[UNK]",
                "[CLS]",
                "[SEP]",
                "\u2581play",
                "ing",
                "\u2581cafe",
                "\u2581!",
                "\u2581\u6211",
                "s"))
        .with("token_type", List.of(2L, 3L, 3L, 1L, 1L, 1L, 1L, 1L, 1L))
        .with("unknown_token_id", 0)
        .with("bos_token_id", 1)
        .with("seperator_token_id", 2);
  }
}

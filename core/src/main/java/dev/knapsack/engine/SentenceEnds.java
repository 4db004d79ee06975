package dev.knapsack.engine;

import dev.knapsack.text.Tokenizer;
import java.nio.charset.StandardCharsets;
import java.util.BitSet;

/** The tokens of a vocabulary that end a sentence. */
final class SentenceEnds {
  /** Of the scripts that have marks of their own, those that most text is in. */
  private static final String MARKS = ".!?;…。！？；।؟";

  private SentenceEnds() {}

  /**
   * Those whose text ends in a mark that ends sentences, perhaps with quotes, brackets or blanks
   * behind it, and those with a line break in it.
   */
  static BitSet of(Tokenizer tokenizer) {
    BitSet ends = new BitSet(tokenizer.size());
    for (int token = 0; token < tokenizer.size(); token++) {
      ends.set(token, ends(new String(tokenizer.bytes(token, false), StandardCharsets.UTF_8)));
    }
    return ends;
  }

  static boolean ends(String text) {
    if (text.indexOf('\n') >= 0) {
      return true;
    }
    int last = text.length() - 1;
    while (last > 0
        && (Character.isWhitespace(text.charAt(last)) || isClosing(text.charAt(last)))) {
      last--;
    }
    return last >= 0 && MARKS.indexOf(text.charAt(last)) >= 0;
  }

  private static boolean isClosing(char c) {
    return "\"')]}»”’".indexOf(c) >= 0;
  }
}

package dev.knapsack.eval;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/**
 * Tokens along which a model's predictions are scored.
 *
 * @param tokens one sequence, from its beginning
 * @param first the first position whose prediction counts; those before are only context
 */
record Passage(int[] tokens, int first) {
  Passage {
    Objects.checkIndex(first, tokens.length);
  }

  /** Predictions that have a token to be compared with: all but the last. */
  int scored() {
    return tokens.length - 1 - first;
  }

  /**
   * A text in passages of {@code context} tokens, each scored in its second half, as llama.cpp's
   * perplexity does: what is left over at the end is not used, and where the model wants a
   * beginning-of-sequence token, it takes the place of the first token of each.
   *
   * @param tokens the whole text, with a beginning-of-sequence token if the model wants one
   * @param bos the token that begins every passage, or -1
   */
  static List<Passage> ofText(int[] tokens, int context, int bos) {
    if (context < 4) {
      throw new IllegalArgumentException(
          "Perplexity needs a context of at least 4 tokens, not " + context);
    }
    List<Passage> passages = new ArrayList<>();
    for (int from = 0; from + context <= tokens.length; from += context) {
      int[] part = Arrays.copyOfRange(tokens, from, from + context);
      if (bos >= 0) {
        part[0] = bos;
      }
      passages.add(new Passage(part, context / 2));
    }
    return passages;
  }
}

package dev.knapsack.eval;

import dev.knapsack.text.Tokenizer;
import java.util.Arrays;

/**
 * A question as a model sees it.
 *
 * @param prompt all of it, in tokens
 * @param before tokens of the prompt that stand before the question; 0 if that is not known
 * @param exact the answer, in tokens
 */
record Asked(Question question, int[] prompt, int before, int[] exact) {
  /** Tokens that an answer may be longer than the exact one, before it is wrong anyway. */
  private static final int MORE = 8;

  /**
   * Tokens that an answer may be longer than the exact one where it may stand anywhere in the
   * output.
   */
  private static final int AROUND = 32;

  /**
   * Encodes a question.
   *
   * @param trained tokens that the model was trained for
   * @throws TextException if it and its answer take more
   */
  static Asked of(Tokenizer tokenizer, int trained, Question question) {
    String text = question.prompt();
    int[] prompt = tokenizer.encode(text, true, true);
    Asked asked =
        new Asked(
            question, prompt, before(tokenizer, question, prompt), exact(tokenizer, question));
    if (asked.context() > trained) {
      throw new TextException(
          "Question %s and its answer take %,d tokens; the model was trained for %,d. Give shorter questions."
              .formatted(question.id(), asked.context(), trained));
    }
    return asked;
  }

  private static int before(Tokenizer tokenizer, Question question, int[] prompt) {
    if (question.split() < 0) {
      return 0;
    }
    int[] context = tokenizer.encode(question.prompt().substring(0, question.split()), true, true);
    // A token may reach over the border.
    int mismatch = Arrays.mismatch(prompt, context);
    return mismatch < 0 ? prompt.length - 1 : Math.min(mismatch, prompt.length - 1);
  }

  private static int[] exact(Tokenizer tokenizer, Question question) {
    String prompt = question.prompt();
    boolean blank = !prompt.isEmpty() && Character.isWhitespace(prompt.charAt(prompt.length() - 1));
    return tokenizer.encode((blank ? "" : " ") + question.answer(), false, false);
  }

  int maxTokens() {
    return exact.length + (question.match() == Question.Match.EXACT ? MORE : AROUND);
  }

  /** Tokens of context that asking it takes. */
  int context() {
    return prompt.length + maxTokens() + 1;
  }

  /** The prompt from a token on. */
  int[] from(int token) {
    return Arrays.copyOfRange(prompt, token, prompt.length);
  }
}

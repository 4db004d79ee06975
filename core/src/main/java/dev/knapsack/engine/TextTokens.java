package dev.knapsack.engine;

import dev.knapsack.error.ContextExceededException;
import dev.knapsack.text.MarkedText;
import dev.knapsack.text.Tokenizer;
import java.util.Arrays;

/**
 * Texts and pairs of texts as the tokens that encoders were trained with: special tokens around
 * them, and cut to what fits so that the special token at the end stays.
 */
public final class TextTokens {
  private final Tokenizer tokenizer;
  private final boolean parseSpecial;

  /** Special tokens before and after a text; -1 for none. */
  private final int opening;

  private final int closing;

  /** Separators between the texts of a pair. */
  private final int separators;

  /**
   * A text's tokens.
   *
   * @param cut whether the text has more tokens than these
   */
  public record Input(int[] tokens, boolean cut) {}

  /**
   * @param parseSpecial read special tokens written in a text as such
   */
  public TextTokens(Tokenizer tokenizer, boolean parseSpecial) {
    this.tokenizer = tokenizer;
    this.parseSpecial = parseSpecial;
    int[] some = tokenizer.encode("a", true, false);
    int[] bare = tokenizer.encode("a", false, false);
    boolean opens =
        some.length > bare.length && !Arrays.equals(bare, Arrays.copyOf(some, bare.length));
    this.opening = opens ? some[0] : -1;
    int after = some.length - bare.length - (opens ? 1 : 0);
    this.closing = after > 0 ? some[some.length - 1] : -1;
    // RoBERTa's pairs have two.
    boolean roberta = opening >= 0 && opening == tokenizer.find("<s>");
    this.separators = closing < 0 ? 0 : roberta ? 2 : 1;
  }

  /** Tokens of a text, special ones included. */
  public int count(String text) {
    return tokenizer.encode(text, true, parseSpecial).length;
  }

  /** A text, at most {@code most} tokens of it, special ones included. */
  public Input text(String text, int most) {
    int[] all = tokenizer.encode(text, true, parseSpecial);
    if (all.length <= most) {
      return new Input(all, false);
    }
    int[] some = Arrays.copyOf(all, most);
    if (closing >= 0) {
      some[most - 1] = closing;
    }
    return new Input(some, true);
  }

  /**
   * A pair: the first between its special tokens, then the second with one at its end. What is too
   * long is cut off the second, and of the first what is more than half of all.
   */
  public Input pair(String first, String second, int most) {
    int[] a = tokenizer.encode(first, false, parseSpecial);
    int[] b = tokenizer.encode(second, false, parseSpecial);
    int special = (opening >= 0 ? 1 : 0) + separators + (closing >= 0 ? 1 : 0);
    int room = most - special;
    int of = Math.min(a.length, Math.max(room / 2, room - b.length));
    int rest = Math.min(b.length, room - of);
    int[] tokens = new int[special + of + rest];
    int at = 0;
    if (opening >= 0) {
      tokens[at++] = opening;
    }
    System.arraycopy(a, 0, tokens, at, of);
    at += of;
    for (int i = 0; i < separators; i++) {
      tokens[at++] = closing;
    }
    System.arraycopy(b, 0, tokens, at, rest);
    if (closing >= 0) {
      tokens[at + rest] = closing;
    }
    return new Input(tokens, of < a.length || rest < b.length);
  }

  /**
   * A document between other words, of which it is cut at its end where all is too long.
   *
   * @param after what stands after the document, and begins with a special token
   * @throws ContextExceededException if the other words alone are too long
   */
  public Input within(MarkedText before, String document, MarkedText after, int most) {
    int[] tail = tokenizer.encode(after, false);
    int[] all = tokenizer.encode(before.plus(MarkedText.input(document)).plus(after), true);
    int[] head = tokenizer.encode(before, true);
    if (head.length + tail.length >= most) {
      throw ContextExceededException.ofText(head.length + tail.length, most);
    }
    int length = all.length - (closing >= 0 && all[all.length - 1] == closing ? 1 : 0);
    int[] tokens = Arrays.copyOf(all, Math.min(length, most));
    System.arraycopy(tail, 0, tokens, tokens.length - tail.length, tail.length);
    return new Input(tokens, length > most);
  }
}

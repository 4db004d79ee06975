package dev.knapsack.eval;

import dev.knapsack.text.Tokenizer;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * A text to measure along.
 *
 * @param name how it is called in reports
 * @param content the text itself
 */
public record Text(String name, String content) {
  /**
   * The first bytes of a file in UTF-8; a character that the end cuts is left out.
   *
   * @param bytes at most so many
   * @throws TextException if it is empty, or more than the heap has room for
   */
  public static Text read(Path file, long bytes) throws IOException {
    long size = Math.min(bytes, Files.size(file));
    // A text takes its bytes, its characters, and the tokenizer's lists of them.
    long most = Runtime.getRuntime().maxMemory() / 32;
    if (size > most) {
      throw new TextException(
          "%s: %,d bytes of text are more than the heap of this budget takes (%,d); give --bytes %d"
              .formatted(file, size, most, most));
    }
    byte[] content;
    try (InputStream in = Files.newInputStream(file)) {
      content = in.readNBytes((int) size);
    }
    int end = wholeCharacters(content);
    if (end == 0) {
      throw new TextException(file + " holds no text");
    }
    return new Text(Perplexity.name(file), new String(content, 0, end, StandardCharsets.UTF_8));
  }

  /** Bytes without a character at the end that is not whole. */
  private static int wholeCharacters(byte[] text) {
    int last = text.length - 1;
    while (last >= 0 && last > text.length - 4 && (text[last] & 0xC0) == 0x80) {
      last--;
    }
    if (last < 0) {
      return text.length;
    }
    int lead = text[last] & 0xFF;
    int length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    return last + length > text.length ? last : text.length;
  }

  /** The text's tokens, after the one that begins a sequence where the model wants one. */
  int[] tokens(Tokenizer tokenizer) {
    return tokenizer.encode(content, true, false);
  }

  /**
   * The text's tokens in passages.
   *
   * @throws TextException if there is not one
   */
  List<Passage> passages(Tokenizer tokenizer, int[] tokens, int context) {
    boolean begins = tokenizer.bos() >= 0 && tokens.length > 0 && tokens[0] == tokenizer.bos();
    List<Passage> passages = Passage.ofText(tokens, context, begins ? tokenizer.bos() : -1);
    if (passages.isEmpty()) {
      throw new TextException(
          "%s: %,d tokens are fewer than one passage of %,d; give a longer text or a smaller context"
              .formatted(name, tokens.length, context));
    }
    return passages;
  }
}

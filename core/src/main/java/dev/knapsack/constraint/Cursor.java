package dev.knapsack.constraint;

import dev.knapsack.error.ConstraintException;
import dev.knapsack.text.Tokenizer;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collection;
import java.util.function.BooleanSupplier;

/**
 * The place of one answer in its language: which tokens may come next. For one thread at a time.
 */
public final class Cursor {
  /** Bytes of a text without alternatives that are looked for at once. */
  private static final int FORCED = 512;

  private final Language language;
  private final Masks masks;
  private final BooleanSupplier hidesSpace;
  private final long[] mask;
  private Term place;

  /** True while {@link #mask} is that of this place. */
  private boolean made;

  /**
   * @param hidesSpace says of the next token whether a space with which it begins is no part of the
   *     text
   */
  public Cursor(Language language, Masks masks, BooleanSupplier hidesSpace) {
    this.language = language;
    this.masks = masks;
    this.hidesSpace = hidesSpace;
    this.mask = new long[masks.words()];
    this.place = language.root;
  }

  /** Says whether a token may come next: faster for a single one than all of them are. */
  public boolean allows(int token) {
    if (made) {
      return isIn(mask, token);
    }
    synchronized (language) {
      return masks.allows(place, token, hidesSpace.getAsBoolean());
    }
  }

  /**
   * The tokens that may come next, a bit a token from the lowest of the first word on; valid until
   * the next {@link #accept}.
   *
   * @throws ConstraintException if none of the vocabulary goes on with what must follow
   */
  public long[] mask() {
    if (!made) {
      synchronized (language) {
        masks.write(language, place, hidesSpace.getAsBoolean(), mask);
        if (isEmpty(mask)) {
          throw new ConstraintException(
              "",
              "None of the model's tokens goes on with what the constraint wants here, %s; allow something else."
                  .formatted(wanted()));
        }
      }
      made = true;
    }
    return mask;
  }

  private static boolean isEmpty(long[] mask) {
    for (long word : mask) {
      if (word != 0) {
        return false;
      }
    }
    return true;
  }

  /** The bytes that may come next, for people. */
  private String wanted() {
    Collection<ByteSet> next = language.terms.alike(place);
    StringBuilder bytes = new StringBuilder();
    for (ByteSet set : next) {
      bytes.append(bytes.isEmpty() ? "" : ", ").append("byte 0x%02X".formatted(set.first()));
    }
    return bytes.isEmpty() ? "a control token" : bytes.toString();
  }

  /** Says whether a mask has a token. */
  public static boolean isIn(long[] mask, int token) {
    return token >> 6 < mask.length && (mask[token >> 6] >>> token & 1) != 0;
  }

  /** Goes on behind a token that may come; one that ends the answer is none. */
  public void accept(int token) {
    synchronized (language) {
      place = masks.after(place, token, hidesSpace.getAsBoolean());
    }
    made = false;
  }

  /** Says whether the text may end here. */
  public boolean mayEnd() {
    synchronized (language) {
      return place.nullable();
    }
  }

  /**
   * Tokens that must come next, where nothing else may, as the tokenizer writes their text; none
   * where there is a choice. The last of that text is left to the model, since what follows may
   * belong to it.
   */
  public int[] forced() {
    int[] none = new int[0];
    if (hidesSpace.getAsBoolean()) {
      return none;
    }
    byte[] text = forcedText();
    String whole = new String(text, StandardCharsets.UTF_8);
    if (text.length < 2 || !Arrays.equals(whole.getBytes(StandardCharsets.UTF_8), text)) {
      return none; // it ends within a character
    }
    int[] tokens = tokens(whole, "");
    // Where a tokenizer puts a space before a text, a line before it has the space.
    tokens = tokens.length == 0 ? tokens(whole, "\n") : tokens;
    return tokens.length == 0 ? none : Arrays.copyOf(tokens, tokens.length - 1);
  }

  /** The tokens of a text behind another one; none where the two cannot be told apart. */
  private int[] tokens(String text, String before) {
    Tokenizer tokenizer = masks.tokenizer();
    int[] tokens = tokenizer.encode(before + text, false, false);
    byte[] wanted = text.getBytes(StandardCharsets.UTF_8);
    int from = tokens.length;
    int left = wanted.length;
    while (from > 0 && left > 0) {
      byte[] bytes = tokenizer.bytes(tokens[from - 1], false);
      left -= bytes.length;
      from--;
      if (left < 0 || !Arrays.equals(wanted, left, left + bytes.length, bytes, 0, bytes.length)) {
        return new int[0];
      }
    }
    return Arrays.copyOfRange(
        tokens, before.isEmpty() && from > 0 ? tokens.length : from, tokens.length);
  }

  private byte[] forcedText() {
    ByteArrayOutputStream text = new ByteArrayOutputStream();
    synchronized (language) {
      Term next = place;
      while (text.size() < FORCED && !next.nullable()) {
        ByteSet only = language.terms.firsts(next);
        if (only.size() != 1 || !language.terms.specials(next).isEmpty()) {
          break;
        }
        text.write(only.first());
        next = next.derive(only.first());
      }
    }
    return text.toByteArray();
  }
}

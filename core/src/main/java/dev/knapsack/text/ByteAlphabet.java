package dev.knapsack.text;

import java.util.Arrays;

/**
 * The alphabet in which byte-level vocabularies write bytes, one printable character each: GPT-2's.
 *
 * <p>Bytes that are printable in Latin-1 stand for themselves, the others for the characters from
 * U+0100 on: a space is written {@code Ġ}.
 */
public final class ByteAlphabet {
  private static final char[] CHARACTERS = new char[256];
  private static final short[] BYTES = new short[512];

  static {
    Arrays.fill(BYTES, (short) -1);
    char other = 0x100;
    for (int b = 0; b < 256; b++) {
      boolean printable = (b > 0x20 && b < 0x7F) || (b > 0xA0 && b != 0xAD);
      CHARACTERS[b] = printable ? (char) b : other++;
      BYTES[CHARACTERS[b]] = (short) b;
    }
  }

  private ByteAlphabet() {}

  /** The character that stands for a byte (0 to 255). */
  public static char character(int b) {
    return CHARACTERS[b];
  }

  /** The byte that a character stands for, or -1. */
  static int byteOf(int character) {
    return character < BYTES.length ? BYTES[character] : -1;
  }
}

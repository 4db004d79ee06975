package dev.knapsack.constraint;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** The derivatives of a term that are known: most terms are asked for a few bytes alone. */
final class Derivatives {
  private static final int FEW = 8;

  private byte[] bytes = new byte[2];

  /** In the order of {@link #bytes}, while they are few; then by byte. */
  private @Nullable Term[] terms = new @Nullable Term[2];

  private int size;

  @Nullable Term get(int symbol) {
    if (terms.length == 256) {
      return terms[symbol];
    }
    for (int i = 0; i < size; i++) {
      if ((bytes[i] & 0xFF) == symbol) {
        return terms[i];
      }
    }
    return null;
  }

  void put(int symbol, Term term) {
    if (terms.length < 256 && size == FEW) {
      @Nullable Term[] all = new @Nullable Term[256];
      for (int i = 0; i < size; i++) {
        all[bytes[i] & 0xFF] = terms[i];
      }
      terms = all;
      bytes = new byte[0];
    }
    if (terms.length == 256) {
      terms[symbol] = term;
      return;
    }
    if (size == terms.length) {
      terms = Arrays.copyOf(terms, 2 * size);
      bytes = Arrays.copyOf(bytes, 2 * size);
    }
    bytes[size] = (byte) symbol;
    terms[size++] = term;
  }
}

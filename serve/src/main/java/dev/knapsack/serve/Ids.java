package dev.knapsack.serve;

import java.util.concurrent.ThreadLocalRandom;

/** Identifiers that nobody else has. */
public final class Ids {
  private static final String DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz";
  private static final int LENGTH = 24;

  private Ids() {}

  /** A new identifier that begins so, such as {@code chatcmpl-}. */
  public static String next(String prefix) {
    StringBuilder id = new StringBuilder(prefix);
    ThreadLocalRandom random = ThreadLocalRandom.current();
    for (int i = 0; i < LENGTH; i++) {
      id.append(DIGITS.charAt(random.nextInt(DIGITS.length())));
    }
    return id.toString();
  }
}

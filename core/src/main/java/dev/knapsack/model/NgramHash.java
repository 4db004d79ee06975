package dev.knapsack.model;

/**
 * The rows of tables that n-grams of tokens have: of two tokens, of three and so on, for each of
 * several heads ("multi-head hashing" of Engram, arXiv 2601.07372, with the multiplicative-XOR hash
 * of its authors' code). Tokens that mean the same count as one.
 */
public final class NgramHash {
  private final int[] canonical;
  private final int pad;
  private final long[] multipliers;
  private final int[] rows;

  /**
   * Takes the arrays as they are.
   *
   * @param canonical for each token the number of those that count as one with it; none if each
   *     counts for itself
   * @param pad that number of what is before the first token
   * @param multipliers of an n-gram's last token, of the one before it and so on: as many as the
   *     longest n-gram has tokens, two or more
   * @param rows of each head's table: the heads of two tokens first
   */
  public NgramHash(int[] canonical, int pad, long[] multipliers, int[] rows) {
    this.canonical = canonical;
    this.pad = pad;
    this.multipliers = multipliers;
    this.rows = rows;
  }

  /** Tokens of the longest n-gram. */
  int order() {
    return multipliers.length;
  }

  /** Heads of all n-grams: rows that a token reads. */
  int heads() {
    return rows.length;
  }

  /** Rows of all tables, which lie one after the other. */
  int tableRows() {
    int sum = 0;
    for (int count : rows) {
      sum += count;
    }
    return sum;
  }

  int pad() {
    return pad;
  }

  int canonical(int token) {
    return canonical.length == 0 ? token : canonical[token];
  }

  /**
   * Finds the rows of a token: {@code (c_0 m_0 ⊕ … ⊕ c_{n-1} m_{n-1}) mod rows} for n from 2 on.
   *
   * @param context what canonical numbers the token, the one before it and so on have
   * @param found receives {@link #heads()} numbers from {@code at} on
   */
  void find(int[] context, int[] found, int at) {
    int heads = rows.length / (multipliers.length - 1);
    long mix = context[0] * multipliers[0];
    int first = 0;
    for (int n = 1, head = 0; n < multipliers.length; n++) {
      mix ^= context[n] * multipliers[n];
      for (int i = 0; i < heads; i++, head++) {
        found[at + head] = first + (int) Math.floorMod(mix, (long) rows[head]);
        first += rows[head];
      }
    }
  }
}

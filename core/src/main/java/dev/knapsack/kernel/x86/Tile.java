package dev.knapsack.kernel.x86;

/**
 * How eight rows of weights lie in scratch memory while tokens meet them: group by group of 32
 * columns.
 *
 * <p>A group begins with its codes, as unsigned bytes: in eight steps of 4 columns, each 8 rows × 4
 * codes, so that a row is a lane of 32 bits and nothing is ever added up across lanes. Then come 8
 * float32 scales, one a row, and 8 offsets; or twice that, for each half of the columns.
 *
 * @param largest the largest code
 * @param halves whether each 16 columns have a scale and an offset of their own
 */
record Tile(int largest, boolean halves) {
  static final int ROWS = 8;
  static final int STEPS = 8;

  /** Bytes of 8 rows × 4 codes, or of 8 floats. */
  static final int VECTOR = 32;

  /** Codes of more than 7 bits lie as two of 4: their products would not fit 16 bits. */
  boolean split() {
    return largest > 127;
  }

  /** Where step {@code k} begins; of split codes, the lower bits. */
  int step(int k) {
    return k * (split() ? 2 * VECTOR : VECTOR);
  }

  int scales(int half) {
    return step(STEPS) + half * 2 * VECTOR;
  }

  int offsets(int half) {
    return scales(half) + VECTOR;
  }

  /** Bytes of a group. */
  int bytes() {
    return scales(halves ? 2 : 1);
  }

  /** Products of two codes each that may be added up in 16 bits: each lane holds two. */
  int chain() {
    return split() ? STEPS : Math.min(STEPS, Short.MAX_VALUE / (2 * 127 * largest));
  }
}

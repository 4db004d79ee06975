package dev.knapsack.kernel.x86;

/**
 * Layout of rows of weights in scratch memory while tokens meet them, as many as a vector has lanes
 * of 32 bits: group by group of 32 columns.
 *
 * <p>A group begins with its codes, as unsigned bytes: in eight steps of 4 columns, each 4 codes of
 * every row, so that a row is a lane and nothing is ever added up across lanes. Then comes a
 * float32 scale for each row, and an offset; or twice that, for each half of the columns.
 *
 * @param isa what multiplies
 * @param largest the largest code
 * @param halves whether each 16 columns have a scale and an offset of their own
 */
record Tile(Isa isa, int largest, boolean halves) {
  static final int STEPS = 8;

  static int rows(Isa isa) {
    return isa.bits() / Integer.SIZE;
  }

  int rows() {
    return rows(isa);
  }

  /** Bytes of 4 codes, or of a float, of every row. */
  int vector() {
    return rows() * Float.BYTES;
  }

  /**
   * Codes of more than 7 bits lie as two of 4: their products would not fit 16 bits. With VNNI
   * products have 32.
   */
  boolean split() {
    return largest > 127 && !isa.vnni();
  }

  /** The first byte of step {@code k}; of split codes, of the lower bits. */
  int step(int k) {
    return k * (split() ? 2 * vector() : vector());
  }

  int scales(int half) {
    return step(STEPS) + half * 2 * vector();
  }

  int offsets(int half) {
    return scales(half) + vector();
  }

  /** Bytes of a group. */
  int bytes() {
    return scales(halves ? 2 : 1);
  }

  /** Products of two codes each that may be added up in 16 bits: each lane holds two. */
  int chain() {
    return split() || isa.vnni() ? STEPS : Math.min(STEPS, Short.MAX_VALUE / (2 * 127 * largest));
  }
}

package dev.knapsack.constraint;

/** A set of bytes, as 256 bits. */
record ByteSet(long a, long b, long c, long d) {
  static final ByteSet NONE = new ByteSet(0, 0, 0, 0);
  static final ByteSet ALL = NONE.complement();

  static ByteSet of(int... bytes) {
    ByteSet set = NONE;
    for (int one : bytes) {
      set = set.or(range(one, one));
    }
    return set;
  }

  /** The bytes from one to another, both of them in it; 0 to 255. */
  static ByteSet range(int from, int to) {
    if (from < 0 || to > 255 || from > to) {
      throw new IllegalArgumentException(
          "Bytes from %d to %d; give 0 to 255, the smaller first.".formatted(from, to));
    }
    return new ByteSet(
        word(from, to, 0), word(from, to, 64), word(from, to, 128), word(from, to, 192));
  }

  private static long word(int from, int to, int base) {
    int low = Math.max(from - base, 0);
    int high = Math.min(to - base, 63);
    return low > high ? 0 : (-1L << low) & (-1L >>> (63 - high));
  }

  boolean has(int value) {
    long word =
        switch (value >> 6) {
          case 0 -> a;
          case 1 -> b;
          case 2 -> c;
          case 3 -> d;
          default -> 0;
        };
    return (word >>> (value & 63) & 1) != 0;
  }

  ByteSet or(ByteSet o) {
    return new ByteSet(a | o.a, b | o.b, c | o.c, d | o.d);
  }

  ByteSet and(ByteSet o) {
    return new ByteSet(a & o.a, b & o.b, c & o.c, d & o.d);
  }

  ByteSet complement() {
    return new ByteSet(~a, ~b, ~c, ~d);
  }

  boolean isEmpty() {
    return (a | b | c | d) == 0;
  }

  /** The number of bytes in it. */
  int size() {
    return Long.bitCount(a) + Long.bitCount(b) + Long.bitCount(c) + Long.bitCount(d);
  }

  /** The smallest byte in it, or 256. */
  int first() {
    return a != 0
        ? Long.numberOfTrailingZeros(a)
        : b != 0
            ? 64 + Long.numberOfTrailingZeros(b)
            : c != 0 ? 128 + Long.numberOfTrailingZeros(c) : 192 + Long.numberOfTrailingZeros(d);
  }

  /** Tells sets apart that differ in few bits, as those of single bytes do. */
  @Override
  public int hashCode() {
    long mixed =
        ((a * 0x9E3779B97F4A7C15L + b) * 0x9E3779B97F4A7C15L + c) * 0x9E3779B97F4A7C15L + d;
    return Long.hashCode(mixed * 0xBF58476D1CE4E5B9L);
  }
}

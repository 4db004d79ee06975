package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;
import static dev.knapsack.kernel.x86.Operand.xmm;
import static dev.knapsack.kernel.x86.Operand.ymm;
import static dev.knapsack.kernel.x86.RowDot.LOW_BITS;
import static dev.knapsack.kernel.x86.RowDot.X;

import dev.knapsack.kernel.x86.Operand.Memory;
import dev.knapsack.kernel.x86.Operand.Vector;

/**
 * Blocks of 256 that have two bits of each code in 64 bytes: those of runs k and k + 4 are bits 2k
 * and 2k + 1, of the first 32 bytes and of the last.
 */
record TwoBitCode(Format format) implements RowCode {
  /** See the classes of these names in {@link dev.knapsack.tensor}. */
  enum Format {
    /** 16 scales and minima of 4 bits in front. */
    Q2_K(84, 16, 80, 3, -1),
    /** 32 bytes of third bits in front, 16 scales of 6 bits behind. */
    Q3_K(110, 32, 108, 7, -4),
    /** One scale for all. */
    TQ2_0(66, 0, 64, 3, -1);

    private final int bytes;

    /** The first byte of the codes. */
    private final int codes;

    /** The place of the scale of all. */
    private final int scale;

    private final int largest;
    private final float offset;

    Format(int bytes, int codes, int scale, int largest, float offset) {
      this.bytes = bytes;
      this.codes = codes;
      this.scale = scale;
      this.largest = largest;
      this.offset = offset;
    }
  }

  @Override
  public int bytes() {
    return format.bytes;
  }

  @Override
  public int columns() {
    return 256;
  }

  @Override
  public Arranger.Order order() {
    return Arranger.Order.PAIRED;
  }

  @Override
  public float offset() {
    return format.offset;
  }

  /** True where halves of runs have scales of their own. */
  private boolean halves() {
    return format != Format.TQ2_0;
  }

  /** The block's bits of the halves of runs: first halves, then second. */
  private static final Vector[] BITS = {ymm(3), ymm(4)};

  /** The same of third bits. */
  private static final Vector[] THIRD_BITS = {ymm(5), ymm(6)};

  /** Of halves of runs, as bytes. */
  private static final Vector PARTS = ymm(7);

  /** Of runs, times those of x. */
  private static final Vector SCALES = ymm(8);

  @Override
  public void group(
      Assembler a, Products products, Memory w, Vector sum, Vector more, Vector offsets) {
    Vector d = ymm(13);
    HalfRuns.half(a, d, w.plus(format.scale));
    switch (format) {
      case Q2_K -> {
        nibbles(a, w, PARTS.as(128), xmm(11));
        HalfRuns.half(a, ymm(12), w.plus(82));
        HalfRuns.offsets(a, ymm(11), ymm(12), offsets, ymm(9), ymm(10));
      }
      case Q3_K -> {
        sixBits(a, w.plus(96), PARTS.as(128), xmm(9));
        HalfRuns.offsets(a, PARTS, d, offsets, ymm(9), ymm(10));
      }
      case TQ2_0 -> a.emit(VFMADD231PS, offsets, d, X.at(Arranger.SUMS));
    }
    if (halves()) {
      a.emit(VINSERTI128, PARTS, PARTS, PARTS.as(128), 1);
    }
    a.emit(VMULPS, SCALES, d, X.at(Arranger.SCALES));
    float factor = halves() ? HalfRuns.FACTOR : 1;
    a.emit(
        VMULPS,
        SCALES,
        SCALES,
        Constants.ints(a, i -> Float.floatToRawIntBits(factor / (1 << place(i % 4)))));
    for (int half = 0; half < 2; half++) {
      Memory from = w.plus(format.codes + 16 * half);
      a.emit(VMOVDQU, BITS[half].as(128), from);
      a.emit(VINSERTI128, BITS[half], BITS[half], from.plus(32), 1);
      if (format == Format.Q3_K) {
        a.emit(VBROADCASTI128, THIRD_BITS[half], w.plus(16 * half));
        a.emit(VPSRLVD, THIRD_BITS[half], THIRD_BITS[half], Constants.ints(a, i -> i / 4 * 4));
      }
    }
    for (int k = 0; k < 4; k++) {
      pair(a, products, k, k % 2 == 0 ? sum : more);
    }
  }

  /** The bit at which codes of runs k and k + 4 stay, for their scales to make good. */
  private static int place(int k) {
    // In the highest place they would be too large for signed sums of two.
    return k == 3 ? 4 : 2 * k;
  }

  /** Runs k and k + 4, side by side: their first halves, then their second. */
  private void pair(Assembler a, Products products, int k, Vector sum) {
    Vector[] q = {ymm(9), ymm(10)};
    Vector dot = ymm(11);
    Vector t = ymm(12);
    Vector u = ymm(13);
    for (int half = 0; half < 2; half++) {
      half(a, q[half], k, half, t);
    }
    if (halves()) {
      a.emit(VPSHUFB, t, PARTS, HalfRuns.words(a, i -> 2 * k + 8 * i));
      a.emit(VPSHUFB, u, PARTS, HalfRuns.words(a, i -> 2 * k + 8 * i + 1));
      products.scaled(dot, q[0], X.at(64 * k), t);
      products.scaled(t, q[1], X.at(64 * k + 32), u);
      a.emit(VPADDD, dot, dot, t);
    } else {
      products.unsigned(dot, q[0], X.at(64 * k), q[1], X.at(64 * k + 32));
    }
    a.emit(VCVTDQ2PS, dot, dot);
    a.emit(VPERMILPS, t, SCALES, 0x55 * k);
    a.emit(VFMADD231PS, sum, dot, t);
  }

  /** The codes of these halves of runs k and k + 4, times 2 to the power of their place. */
  private void half(Assembler a, Vector q, int k, int half, Vector t) {
    int place = place(k);
    Vector bits = BITS[half];
    if (place != 2 * k) {
      a.emit(VPSRLW, q, bits, 2 * k - place);
      bits = q;
    }
    a.emit(VPAND, q, bits, Constants.bytes(a, 32, i -> 3 << place));
    if (format == Format.Q3_K) {
      a.emit(VPSLLW, t, THIRD_BITS[half], place + 2 - k);
      a.emit(VPAND, t, t, Constants.bytes(a, 32, i -> 4 << place));
      a.emit(VPOR, q, q, t);
    }
  }

  @Override
  public void codes(Assembler a, Memory w, int run, Vector q, Vector t, Vector u) {
    a.emit(VMOVDQU, q, w.plus(format.codes + 32 * (run / 4)));
    RowCode.bits(a, q, 2 * (run % 4), 0, 3);
    if (format == Format.Q3_K) {
      a.emit(VMOVDQU, t, w);
      RowCode.bits(a, t, run, 2, 1);
      a.emit(VPOR, q, q, t);
    }
  }

  @Override
  public Tile tile(Isa isa) {
    return new Tile(isa, format.largest, halves());
  }

  @Override
  public void packScales(Packer packer, Assembler a) {
    if (!halves()) {
      SmallCode.halves(a, ymm(0), r -> Packer.row(r).plus(format.scale));
      packer.packWhole(ymm(0), format.offset);
      return;
    }
    boolean minima = format == Format.Q2_K;
    for (int from = 0; from < 16; from += 8) {
      int first = from;
      packer.pack(
          Packer.Use.SCALES, first, r -> eight(a, r, first, false), minima ? 0 : format.offset);
      if (minima) {
        packer.pack(Packer.Use.OFFSETS, first, r -> eight(a, r, first, true), 0);
      }
    }
  }

  /** Eight of a row's sixteen scales, or of its minima, which are taken away. */
  private Vector eight(Assembler a, int r, int from, boolean minima) {
    Vector v = ymm(r);
    Memory w = Packer.row(r);
    switch (format) {
      case Q2_K -> nibbles(a, w, minima ? xmm(8) : v.as(128), minima ? v.as(128) : xmm(8));
      case Q3_K -> sixBits(a, w.plus(96), v.as(128), xmm(8));
      case TQ2_0 -> throw new IllegalStateException("Halves of runs have no scales of their own");
    }
    if (from > 0) {
      a.emit(VPSRLDQ, v.as(128), v.as(128), from);
    }
    a.emit(VPMOVSXBD, v, v.as(128));
    a.emit(VCVTDQ2PS, v, v);
    HalfRuns.half(a, ymm(8), w.plus(minima ? 82 : format.scale));
    a.emit(VMULPS, v, v, ymm(8));
    if (minima) {
      a.emit(VXORPS, ymm(8), ymm(8), ymm(8));
      a.emit(VSUBPS, v, ymm(8), v);
    }
    return v;
  }

  /** Sixteen bytes' lower halves and their upper. */
  private static void nibbles(Assembler a, Memory from, Vector low, Vector high) {
    a.emit(VMOVDQU, low, from);
    a.emit(VPSRLW, high, low, 4);
    a.emit(VPAND, low, low, LOW_BITS.as(128));
    a.emit(VPAND, high, high, LOW_BITS.as(128));
  }

  /**
   * Sixteen scales of 6 bits, less 32: their lower four bits are the lower halves of eight bytes,
   * then the upper; their upper two are bits 0 and 1 of four bytes, then 2 and 3, and so on.
   */
  private static void sixBits(Assembler a, Memory from, Vector to, Vector t) {
    a.emit(VMOVQ, to, from);
    a.emit(VPSRLW, t, to, 4);
    a.emit(VPUNPCKLQDQ, to, to, t);
    a.emit(VPAND, to, to, LOW_BITS.as(128));
    a.emit(VPBROADCASTD, t, from.plus(8));
    a.emit(VPSRLVD, t, t, Constants.bytes(a, 16, i -> i % 4 == 0 ? i / 2 : 0));
    RowCode.bits(a, t, 0, 4, 3);
    a.emit(VPOR, to, to, t);
    a.emit(VPSUBB, to, to, Constants.bytes(a, 16, i -> 32));
  }
}

package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;
import static dev.knapsack.kernel.x86.Operand.xmm;
import static dev.knapsack.kernel.x86.Operand.ymm;
import static dev.knapsack.kernel.x86.Register.RSP;
import static dev.knapsack.kernel.x86.RowDot.LOW_BITS;
import static dev.knapsack.kernel.x86.RowDot.X;

import dev.knapsack.kernel.x86.Operand.Memory;
import dev.knapsack.kernel.x86.Operand.Vector;
import dev.knapsack.tensor.Levels;
import dev.knapsack.tensor.Q8Activations;
import java.util.function.IntFunction;
import java.util.function.IntUnaryOperator;

/**
 * Blocks of 32: a scale, in half precision or a power of two, perhaps a minimum, perhaps fifth bits
 * in front of the codes.
 *
 * @param codes where the codes begin
 * @param minimum whether a minimum follows the scale
 */
record SmallCode(int bytes, int codes, Codes kind, float offset, boolean minimum)
    implements RowCode {
  /** The layout of 32 codes. */
  enum Codes {
    UNSIGNED_4,
    UNSIGNED_5,
    SIGNED_8,
    /** Levels of IQ4. */
    LEVELS,
    /** Bit by bit. */
    PLANES,
    /** Twice a number of FP4 (E2M1), and 12 more, so that it is not negative. */
    FP4
  }

  static SmallCode planes(int bits) {
    return new SmallCode(4 + Integer.BYTES * bits, 4, Codes.PLANES, 1, true);
  }

  /** The planes of 32 bits. */
  private int planes() {
    return (bytes - codes) / Integer.BYTES;
  }

  private static final int[] FP4 = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

  /** By code, twice. */
  private Memory levels(Assembler a) {
    return Constants.bytes(
        a, 32, i -> kind == Codes.FP4 ? FP4[i % 16] + 12 : Levels.IQ4.value(i % 16));
  }

  /** True where codes choose levels. */
  private boolean leveled() {
    return kind == Codes.LEVELS || kind == Codes.FP4;
  }

  @Override
  public int columns() {
    return 32;
  }

  @Override
  public Arranger.Order order() {
    return kind == Codes.SIGNED_8 || kind == Codes.PLANES
        ? Arranger.Order.NATURAL
        : Arranger.Order.PAIRED;
  }

  private boolean signed() {
    return kind == Codes.SIGNED_8 || kind == Codes.LEVELS || eightPlanes();
  }

  /** Codes of which 128 must be taken away, so that they are signed numbers of 8 bits. */
  private boolean eightPlanes() {
    return kind == Codes.PLANES && planes() == 8;
  }

  /** 32 codes, unsigned or signed as the format has them. */
  private void stored(Assembler a, Memory w, Vector q, Vector t) {
    if (kind == Codes.SIGNED_8) {
      a.emit(VMOVDQU, q, w.plus(codes));
    } else if (kind == Codes.PLANES) {
      for (int k = planes() - 1; k >= 0; k--) {
        a.emit(VPBROADCASTD, t, w.plus(codes + Integer.BYTES * k));
        setBits(a, t, place -> place / 8);
        if (k == planes() - 1) {
          a.emit(VPABSB, q, t);
        } else {
          a.emit(VPADDB, q, q, q);
          a.emit(VPSUBB, q, q, t);
        }
      }
      if (eightPlanes()) {
        a.emit(VPXOR, q, q, Constants.bytes(a, 32, i -> 0x80));
      }
    } else {
      a.emit(VMOVDQU, q.as(128), w.plus(codes));
      a.emit(VPSRLW, t.as(128), q.as(128), 4);
      a.emit(VINSERTI128, q, q, t.as(128), 1);
      a.emit(VPAND, q, q, LOW_BITS);
    }
    if (kind == Codes.UNSIGNED_5) {
      a.emit(VPBROADCASTD, t, w.plus(codes - 4));
      fifthBits(a, q, t, i -> i / 8);
    }
    if (leveled()) {
      a.emit(VMOVDQU, t, levels(a));
      a.emit(VPSHUFB, q, t, q);
    }
  }

  @Override
  public void codes(Assembler a, Memory w, int run, Vector q, Vector t, Vector u) {
    stored(a, w, q, t);
    if (signed()) {
      a.emit(VPXOR, q, q, Constants.bytes(a, 32, i -> 0x80));
    }
  }

  @Override
  public Tile tile(Isa isa) {
    int largest =
        switch (kind) {
          case UNSIGNED_4 -> 15;
          case UNSIGNED_5 -> 31;
          case SIGNED_8, LEVELS -> 255;
          case PLANES -> (1 << planes()) - 1;
          case FP4 -> 24;
        };
    return new Tile(isa, largest, false);
  }

  @Override
  public void packScales(Packer packer, Assembler a) {
    scales(a, ymm(0), Packer::row);
    // Signed codes become unsigned ones with an offset. Where a block's products nearly cancel out,
    // that costs up to 1e-5 of its sum: far less than the 8 bits of its activations.
    packer.storeScales(ymm(0), minimum ? 0 : signed() ? -128 : offset);
    if (minimum) {
      halves(a, ymm(0), r -> Packer.row(r).plus(2));
      packer.storeOffsets(ymm(0));
    }
  }

  /**
   * Adds 16 to the codes whose bit is set in t.
   *
   * @param from which byte of t has the bits of a place's eight
   */
  private static void fifthBits(Assembler a, Vector q, Vector t, IntUnaryOperator from) {
    setBits(a, t, from);
    a.emit(VPAND, t, t, Constants.bytes(a, 32, i -> 16));
    a.emit(VPOR, q, q, t);
  }

  /** Spreads bits to bytes: −1 where one is set. */
  private static void setBits(Assembler a, Vector t, IntUnaryOperator from) {
    Memory own = Constants.bytes(a, 32, i -> 1 << i % 8);
    a.emit(VPSHUFB, t, t, Constants.bytes(a, 32, from));
    a.emit(VPAND, t, t, own);
    a.emit(VPCMPEQB, t, t, own);
  }

  /** Of eight blocks, times those of x. */
  static final Vector SCALES = ymm(8);

  @Override
  public void group(
      Assembler a, Products products, Memory w, Vector sum, Vector more, Vector offsets) {
    scales(a, SCALES, i -> w.plus(i * bytes));
    if (minimum) {
      halves(a, ymm(9), i -> w.plus(i * bytes + 2));
      if (eightPlanes()) {
        a.emit(VFMADD231PS, ymm(9), SCALES, of128(a));
      }
      a.emit(VFMADD231PS, offsets, ymm(9), X.at(Arranger.SUMS));
    } else if (offset != 0) {
      a.emit(VFMADD231PS, offsets, SCALES, X.at(Arranger.SUMS));
    }
    a.emit(VMULPS, SCALES, SCALES, X.at(Arranger.SCALES));
    if (order() == Arranger.Order.NATURAL) {
      a.store(VMOVUPS_STORE, RSP.at(RED_ZONE), SCALES);
      for (int i = 0; i < 8; i++) {
        stored(a, w.plus(i * bytes), ymm(9), ymm(10));
        dot(products, ymm(11), ymm(9), X.at(32 * i), ymm(10));
        a.emit(VCVTDQ2PS, ymm(11), ymm(11));
        a.emit(VBROADCASTSS, ymm(10), RSP.at(RED_ZONE + 4 * i));
        a.emit(VFMADD231PS, i % 2 == 0 ? sum : more, ymm(11), ymm(10));
      }
      return;
    }
    for (int i = 0; i < 4; i++) {
      pair(a, products, w.plus(i * bytes), i, i % 2 == 0 ? sum : more);
    }
  }

  private void dot(Products products, Vector into, Vector q, Memory x, Vector t) {
    if (signed()) {
      products.signed(into, q, x, t);
    } else {
      products.unsigned(into, q, x);
    }
  }

  private static Memory of128(Assembler a) {
    return Constants.ints(a, i -> Float.floatToRawIntBits(128));
  }

  /** The 128 bytes below the stack, which are a function's own. */
  private static final int RED_ZONE = -32;

  /** The scales of eight blocks. */
  private void scales(Assembler a, Vector to, IntFunction<Memory> block) {
    if (kind == Codes.FP4) {
      words(a, to.as(128), block);
      a.emit(VPMOVZXWD, to, to.as(128));
      halfPowers(a, to, ymm(9));
    } else {
      halves(a, to, block);
    }
  }

  /** Eight half-precision numbers. */
  static void halves(Assembler a, Vector to, IntFunction<Memory> from) {
    words(a, to.as(128), from);
    a.emit(VCVTPH2PS, to, to.as(128));
  }

  private static void words(Assembler a, Vector to, IntFunction<Memory> from) {
    a.emit(VPXOR, to, to, to);
    for (int i = 0; i < 8; i++) {
      a.emit(VPINSRW, to, to, from.apply(i), i);
    }
  }

  /**
   * {@code 2^(e − 128)} of the lowest byte of each lane: half a power, as codes are doubled. The
   * first two are subnormal, where the exponent's step is a quarter of the usual.
   */
  private static void halfPowers(Assembler a, Vector v, Vector t) {
    a.emit(VPSLLD, v, v, 24);
    a.emit(VPSRLD, t, v, 3);
    a.emit(VPADDD, t, t, Constants.ints(a, i -> 1 << 21));
    a.emit(VPSRLD, v, v, 1);
    a.emit(VPSUBD, v, v, Constants.ints(a, i -> 1 << 23));
    a.emit(VPMAXSD, v, v, t);
  }

  /** Blocks i and i + 4 of a group, side by side: their lower halves, then their upper. */
  void pair(Assembler a, Products products, Memory w, int i, Vector sum) {
    Vector low = ymm(9);
    Vector high = ymm(10);
    Vector t = ymm(11);
    Memory other = w.plus(4 * bytes);
    a.emit(VMOVDQU, low.as(128), w.plus(codes));
    a.emit(VINSERTI128, low, low, other.plus(codes), 1);
    a.emit(VPSRLW, high, low, 4);
    a.emit(VPAND, low, low, LOW_BITS);
    a.emit(VPAND, high, high, LOW_BITS);
    if (kind == Codes.UNSIGNED_5) {
      a.emit(VPBROADCASTD, xmm(12), w.plus(codes - 4));
      a.emit(VPBROADCASTD, xmm(13), other.plus(codes - 4));
      a.emit(VINSERTI128, ymm(12), ymm(12), xmm(13), 1);
      a.emit(VMOVDQU, t, ymm(12));
      fifthBits(a, low, t, place -> place % 16 / 8);
      fifthBits(a, high, ymm(12), place -> 2 + place % 16 / 8);
    }
    if (leveled()) {
      a.emit(VMOVDQU, t, levels(a));
      a.emit(VPSHUFB, low, t, low);
      a.emit(VPSHUFB, high, t, high);
    }
    if (signed()) {
      products.signed(ymm(12), low, X.at(64 * i), high, X.at(64 * i + 32), t);
    } else {
      products.unsigned(ymm(12), low, X.at(64 * i), high, X.at(64 * i + 32));
    }
    a.emit(VCVTDQ2PS, ymm(12), ymm(12));
    a.emit(VPERMILPS, t, SCALES, 0x55 * i);
    a.emit(VFMADD231PS, sum, ymm(12), t);
  }

  /** Adds the products of a block that is not in a group; x is as {@link Q8Activations} has it. */
  void block(Assembler a, Products products, Memory w, Vector sum, Vector offsets) {
    Vector q = ymm(8);
    Vector dot = ymm(13);
    Vector scale = ymm(10);
    stored(a, w, q, ymm(9));
    dot(products, dot, q, X.at(0), ymm(9));
    a.emit(VCVTDQ2PS, dot, dot);
    if (kind == Codes.FP4) {
      a.emit(VPBROADCASTD, scale, w);
      halfPowers(a, scale, ymm(11));
    } else {
      a.emit(VPBROADCASTW, xmm(10), w);
      a.emit(VCVTPH2PS, scale, xmm(10));
    }
    if (minimum) {
      a.emit(VPBROADCASTW, xmm(11), w.plus(2));
      a.emit(VCVTPH2PS, xmm(11), xmm(11));
      if (eightPlanes()) {
        a.emit(VFMADD231PS, xmm(11), xmm(10), of128(a));
      }
    }
    if (offset != 0) {
      a.emit(VMOVSS, xmm(12), X.at(Q8Activations.SUM));
      a.emit(VFMADD231PS, offsets, minimum ? ymm(11) : scale, ymm(12));
    }
    a.emit(VBROADCASTSS, ymm(12), X.at(Q8Activations.SCALE));
    a.emit(VMULPS, scale, scale, ymm(12));
    a.emit(VFMADD231PS, sum, dot, scale);
  }
}

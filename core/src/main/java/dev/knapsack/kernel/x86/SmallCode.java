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
import java.util.function.IntUnaryOperator;

/**
 * Blocks of 32: a half-precision scale, perhaps a minimum, perhaps fifth bits in front of the
 * codes.
 *
 * @param codes where the codes begin
 * @param minimum whether a minimum follows the scale
 */
record SmallCode(int bytes, int codes, Codes kind, float offset, boolean minimum)
    implements RowCode {
  /** How 32 codes are stored. */
  enum Codes {
    UNSIGNED_4,
    UNSIGNED_5,
    SIGNED_8,
    LEVELS
  }

  @Override
  public int columns() {
    return 32;
  }

  @Override
  public Arranger.Order order() {
    return kind == Codes.SIGNED_8 ? Arranger.Order.NATURAL : Arranger.Order.PAIRED;
  }

  private boolean signed() {
    return kind == Codes.SIGNED_8 || kind == Codes.LEVELS;
  }

  /** 32 codes, unsigned or signed as the format has them. */
  private void stored(Assembler a, Memory w, Vector q, Vector t, Vector u) {
    if (kind == Codes.SIGNED_8) {
      a.emit(VMOVDQU, q, w.plus(codes));
    } else {
      a.emit(VMOVDQU, q.as(128), w.plus(codes));
      a.emit(VPSRLW, t.as(128), q.as(128), 4);
      a.emit(VINSERTI128, q, q, t.as(128), 1);
      a.emit(VPAND, q, q, LOW_BITS);
    }
    if (kind == Codes.UNSIGNED_5) {
      a.emit(VPBROADCASTD, t, w.plus(codes - 4));
      fifthBits(a, q, t, u, i -> i / 8);
    }
    if (kind == Codes.LEVELS) {
      a.emit(VMOVDQU, t, Constants.bytes(a, 32, i -> Levels.IQ4.value(i % 16)));
      a.emit(VPSHUFB, q, t, q);
    }
  }

  @Override
  public void codes(Assembler a, Memory w, int run, Vector q, Vector t, Vector u) {
    stored(a, w, q, t, u);
    if (signed()) {
      a.emit(VPXOR, q, q, Constants.bytes(a, 32, i -> 0x80));
    }
  }

  @Override
  public Tile tile() {
    return new Tile(signed() ? 255 : kind == Codes.UNSIGNED_5 ? 31 : 15, false);
  }

  @Override
  public void packScales(Packer packer, Assembler a) {
    packer.packHalves(minimum ? 2 : -1, signed() ? -128 : offset);
  }

  /**
   * Adds 16 to the codes whose bit is set in t.
   *
   * @param from which byte of t has the bits of a place's eight
   */
  private static void fifthBits(Assembler a, Vector q, Vector t, Vector u, IntUnaryOperator from) {
    // Each byte is compared with its own bit set.
    a.emit(VPSHUFB, t, t, Constants.bytes(a, 32, from));
    a.emit(VPOR, t, t, Constants.bytes(a, 32, i -> ~(1 << i % 8)));
    a.emit(VPCMPEQB, u, u, u);
    a.emit(VPCMPEQB, t, t, u);
    a.emit(VPAND, t, t, Constants.bytes(a, 32, i -> 16));
    a.emit(VPOR, q, q, t);
  }

  private static final Vector SCALES = ymm(8);

  @Override
  public void group(
      Assembler a, Products products, Memory w, Vector sum, Vector more, Vector offsets) {
    halves(a, SCALES, w);
    if (minimum) {
      halves(a, ymm(9), w.plus(2));
      a.emit(VFMADD231PS, offsets, ymm(9), X.at(Arranger.SUMS));
    } else if (offset != 0) {
      a.emit(VFMADD231PS, offsets, SCALES, X.at(Arranger.SUMS));
    }
    a.emit(VMULPS, SCALES, SCALES, X.at(Arranger.SCALES));
    if (kind == Codes.SIGNED_8) {
      a.store(VMOVUPS_STORE, RSP.at(RED_ZONE), SCALES);
      for (int i = 0; i < 8; i++) {
        a.emit(VMOVDQU, ymm(9), w.plus(i * bytes + codes));
        products.signed(ymm(11), ymm(9), X.at(32 * i), ymm(10));
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

  /** The 128 bytes below the stack, which are a function's own. */
  private static final int RED_ZONE = -32;

  /** The half-precision numbers at the start of eight blocks. */
  private void halves(Assembler a, Vector to, Memory w) {
    Vector halves = to.as(128);
    a.emit(VPXOR, halves, halves, halves);
    for (int i = 0; i < 8; i++) {
      a.emit(VPINSRW, halves, halves, w.plus(i * bytes), i);
    }
    a.emit(VCVTPH2PS, to, halves);
  }

  /** Blocks i and i + 4 of a group, side by side: their lower halves, then their upper. */
  private void pair(Assembler a, Products products, Memory w, int i, Vector sum) {
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
      fifthBits(a, low, t, ymm(13), place -> place % 16 / 8);
      fifthBits(a, high, ymm(12), ymm(13), place -> 2 + place % 16 / 8);
    }
    if (kind == Codes.LEVELS) {
      a.emit(VMOVDQU, t, Constants.bytes(a, 32, place -> Levels.IQ4.value(place % 16)));
      a.emit(VPSHUFB, low, t, low);
      a.emit(VPSHUFB, high, t, high);
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
    stored(a, w, q, ymm(9), ymm(11));
    if (signed()) {
      products.signed(dot, q, X.at(0), ymm(9));
    } else {
      products.unsigned(dot, q, X.at(0));
    }
    a.emit(VCVTDQ2PS, dot, dot);
    a.emit(VPBROADCASTW, xmm(10), w);
    a.emit(VCVTPH2PS, scale, xmm(10));
    if (minimum) {
      a.emit(VPBROADCASTW, xmm(11), w.plus(2));
      a.emit(VCVTPH2PS, xmm(11), xmm(11));
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

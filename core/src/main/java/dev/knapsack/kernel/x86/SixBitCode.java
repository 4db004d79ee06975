package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;
import static dev.knapsack.kernel.x86.Operand.xmm;
import static dev.knapsack.kernel.x86.Operand.ymm;
import static dev.knapsack.kernel.x86.RowDot.LOW_BITS;
import static dev.knapsack.kernel.x86.RowDot.X;

import dev.knapsack.kernel.x86.Operand.Memory;
import dev.knapsack.kernel.x86.Operand.Vector;

/**
 * Q4_K and Q5_K: blocks of 256 in eight runs of 32 with 6-bit scales and minima; see {@link
 * dev.knapsack.tensor.Q4_K}.
 *
 * @param codes where the lower four bits of the codes begin
 * @param fifthBits whether 32 bytes of fifth bits come before them
 */
record SixBitCode(int bytes, int codes, boolean fifthBits) implements RowCode {
  @Override
  public int columns() {
    return 256;
  }

  @Override
  public float offset() {
    return -1;
  }

  @Override
  public void group(
      Assembler a, Products products, Memory w, Vector sum, Vector more, Vector offsets) {
    Vector scales = ymm(9);
    sixBits(a, w.plus(4), scales.as(128), xmm(8), xmm(10), xmm(11));
    // Eight minima by eight sums of x.
    a.emit(VPSRLDQ, xmm(10), xmm(9), 8);
    a.emit(VPMOVZXBD, ymm(10), xmm(10));
    a.emit(VCVTDQ2PS, ymm(10), ymm(10));
    a.emit(VMULPS, ymm(10), ymm(10), X.at(Arranger.SUMS));
    a.emit(VPBROADCASTW, xmm(11), w.plus(2));
    a.emit(VCVTPH2PS, ymm(11), xmm(11));
    a.emit(VFMADD231PS, offsets, ymm(10), ymm(11));

    a.emit(VINSERTI128, scales, scales, scales.as(128), 1);
    Vector scaled = ymm(13);
    a.emit(VXORPS, scaled, scaled, scaled);
    for (int run = 0; run < 8; run++) {
      codes(a, w, run, ymm(8), ymm(10), ymm(11));
      scaled(a, products, run, scales, scaled);
    }
    a.emit(VPBROADCASTW, xmm(8), w);
    a.emit(VCVTPH2PS, ymm(8), xmm(8));
    a.emit(VFMADD231PS, sum, scaled, ymm(8));
  }

  @Override
  public void codes(Assembler a, Memory w, int run, Vector q, Vector t, Vector u) {
    a.emit(VMOVDQU, q, w.plus(codes + 32 * (run / 2)));
    if (run % 2 == 1) {
      a.emit(VPSRLW, q, q, 4);
    }
    a.emit(VPAND, q, q, LOW_BITS);
    if (fifthBits) {
      a.emit(VMOVDQU, t, w.plus(codes - 32));
      RowCode.bits(a, t, run, 4, 1);
      a.emit(VPOR, q, q, t);
    }
  }

  @Override
  public Tile tile(Isa isa) {
    return new Tile(isa, fifthBits ? 31 : 15, false);
  }

  @Override
  public void packScales(Packer packer, Assembler a) {
    packer.pack(Packer.Use.SCALES, 0, r -> eight(a, r, 0), 0);
    packer.pack(Packer.Use.OFFSETS, 0, r -> eight(a, r, 1), 0);
  }

  /** A row's eight scales, or its eight minima, which are taken away. */
  private static Vector eight(Assembler a, int r, int minima) {
    Vector v = ymm(r);
    Memory w = Packer.row(r);
    sixBits(a, w.plus(4), v.as(128), xmm(8), xmm(9), xmm(10));
    if (minima == 1) {
      a.emit(VPSRLDQ, v.as(128), v.as(128), 8);
    }
    a.emit(VPMOVZXBD, v, v.as(128));
    a.emit(VCVTDQ2PS, v, v);
    a.emit(VPBROADCASTW, xmm(8), w.plus(2 * minima));
    a.emit(VCVTPH2PS, ymm(8), xmm(8));
    a.emit(VMULPS, v, v, ymm(8));
    if (minima == 1) {
      a.emit(VXORPS, ymm(8), ymm(8), ymm(8));
      a.emit(VSUBPS, v, ymm(8), v);
    }
    return v;
  }

  private static void scaled(Assembler a, Products products, int run, Vector scales, Vector sum) {
    Vector q = ymm(8);
    Vector t = ymm(11);
    a.emit(VPSHUFB, t, scales, Constants.bytes(a, 32, i -> i % 2 == 0 ? run : 0x80));
    products.scaled(q, q, X.at(32 * run), t);
    a.emit(VCVTDQ2PS, q, q);
    a.emit(VBROADCASTSS, ymm(12), X.at(Arranger.SCALES + 4 * run));
    a.emit(VFMADD231PS, sum, q, ymm(12));
  }

  /**
   * Unpacks eight 6-bit scales and eight minima from 12 bytes: the first four of each are the lower
   * bits of bytes 0–3 and 4–7; the others have their lower four bits in bytes 8–11 and their upper
   * two above those.
   *
   * @param to receives scales in bytes 0–7 and minima in 8–15
   */
  static void sixBits(Assembler a, Memory from, Vector to, Vector v, Vector t, Vector u) {
    a.emit(VMOVDQU, v, from);
    a.emit(VPAND, to, v, Constants.bytes(a, 16, i -> 0x3F));
    a.emit(VPSRLW, t, v, 2);
    a.emit(VPAND, t, t, Constants.bytes(a, 16, i -> 0x30));
    a.emit(VPSHUFD, u, v, 0xAA);
    a.emit(VPSRLVD, u, u, Constants.bytes(a, 16, i -> i % 8 == 4 ? 4 : 0));
    a.emit(VPAND, u, u, Constants.bytes(a, 16, i -> 0x0F));
    a.emit(VPOR, t, t, u);
    a.emit(VPUNPCKLDQ, to, to, t);
  }
}

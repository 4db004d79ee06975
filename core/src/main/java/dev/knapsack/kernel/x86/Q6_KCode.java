package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;
import static dev.knapsack.kernel.x86.Operand.ymm;
import static dev.knapsack.kernel.x86.RowDot.LOW_BITS;
import static dev.knapsack.kernel.x86.RowDot.X;

import dev.knapsack.kernel.x86.Operand.Memory;
import dev.knapsack.kernel.x86.Operand.Vector;

/**
 * Blocks of 256 in sixteen runs of 16 with signed 8-bit scales; see {@link
 * dev.knapsack.tensor.Q6_K}.
 */
record Q6_KCode() implements RowCode {
  private static final int HIGH = 128;
  private static final int SCALES = 192;
  private static final int SCALE = 208;

  @Override
  public int bytes() {
    return 210;
  }

  @Override
  public int columns() {
    return 256;
  }

  @Override
  public float offset() {
    return -32;
  }

  @Override
  public void group(
      Assembler a, Products products, Memory w, Vector sum, Vector more, Vector offsets) {
    Vector scales = ymm(9);
    Vector d = ymm(3);
    HalfRuns.half(a, d, w.plus(SCALE));
    a.emit(VBROADCASTI128, scales, w.plus(SCALES));
    HalfRuns.offsets(a, scales, d, offsets, ymm(8), ymm(10));
    a.emit(VBROADCASTSS, ymm(10), Constants.of(a, HalfRuns.FACTOR));
    a.emit(VMULPS, d, d, ymm(10));

    Vector scaled = ymm(13);
    a.emit(VXORPS, scaled, scaled, scaled);
    for (int run = 0; run < 8; run++) {
      codes(a, w, run, ymm(8), ymm(10), ymm(11));
      scaled(a, products, run, scales, scaled);
    }
    a.emit(VFMADD231PS, sum, scaled, d);
  }

  @Override
  public void codes(Assembler a, Memory w, int run, Vector q, Vector t, Vector u) {
    int half = run / 4;
    a.emit(VMOVDQU, q, w.plus(64 * half + 32 * (run % 2)));
    if (run % 4 > 1) {
      a.emit(VPSRLW, q, q, 4);
    }
    a.emit(VPAND, q, q, LOW_BITS);
    a.emit(VMOVDQU, t, w.plus(HIGH + 32 * half));
    RowCode.bits(a, t, 2 * (run % 4), 4, 3);
    a.emit(VPOR, q, q, t);
  }

  @Override
  public Tile tile(Isa isa) {
    return new Tile(isa, 63, true);
  }

  @Override
  public void packScales(Packer packer, Assembler a) {
    packer.pack(Packer.Use.SCALES, 0, r -> eight(a, r, 0), offset());
    packer.pack(Packer.Use.SCALES, 8, r -> eight(a, r, 8), offset());
  }

  private static Vector eight(Assembler a, int r, int from) {
    Vector v = ymm(r);
    Memory w = Packer.row(r);
    a.emit(VPMOVSXBD, v, w.plus(SCALES + from));
    a.emit(VCVTDQ2PS, v, v);
    HalfRuns.half(a, ymm(8), w.plus(SCALE));
    a.emit(VMULPS, v, v, ymm(8));
    return v;
  }

  /** 32 columns, with two scales. */
  private static void scaled(Assembler a, Products products, int run, Vector scales, Vector sum) {
    Vector q = ymm(8);
    Vector t = ymm(11);
    a.emit(VPSHUFB, t, scales, HalfRuns.words(a, i -> 2 * run + i));
    products.scaled(q, q, X.at(32 * run), t);
    a.emit(VCVTDQ2PS, q, q);
    a.emit(VBROADCASTSS, ymm(12), X.at(Arranger.SCALES + 4 * run));
    a.emit(VFMADD231PS, sum, q, ymm(12));
  }
}

package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;
import static dev.knapsack.kernel.x86.Operand.ymm;
import static dev.knapsack.kernel.x86.RowDot.X;

import dev.knapsack.kernel.x86.Operand.Memory;
import dev.knapsack.kernel.x86.Operand.Vector;

/**
 * Blocks of 256 in eight runs of 32 levels with 6-bit scales; see {@link
 * dev.knapsack.tensor.IQ4_XS}.
 */
record IQ4_XSCode() implements RowCode {
  private static final int CODES = 8;

  /** A run is a block of IQ4_NL but for its scale. */
  private static final SmallCode RUN = new SmallCode(16, 0, SmallCode.Codes.LEVELS, 0, false);

  private static Memory run(Memory w, int run) {
    return w.plus(CODES + run * RUN.bytes());
  }

  @Override
  public int bytes() {
    return 136;
  }

  @Override
  public int columns() {
    return 256;
  }

  @Override
  public Arranger.Order order() {
    return RUN.order();
  }

  @Override
  public float offset() {
    return 0;
  }

  @Override
  public void group(
      Assembler a, Products products, Memory w, Vector sum, Vector more, Vector offsets) {
    scales(a, w, SmallCode.SCALES, ymm(9));
    a.emit(VMULPS, SmallCode.SCALES, SmallCode.SCALES, X.at(Arranger.SCALES));
    for (int i = 0; i < 4; i++) {
      RUN.pair(a, products, run(w, i), i, i % 2 == 0 ? sum : more);
    }
  }

  @Override
  public void codes(Assembler a, Memory w, int run, Vector q, Vector t, Vector u) {
    RUN.codes(a, run(w, run), 0, q, t, u);
  }

  @Override
  public Tile tile(Isa isa) {
    return RUN.tile(isa);
  }

  @Override
  public void packScales(Packer packer, Assembler a) {
    packer.pack(
        Packer.Use.SCALES,
        0,
        r -> {
          scales(a, Packer.row(r), ymm(r), ymm(8));
          return ymm(r);
        },
        -128);
  }

  /** The eight scales: their lower four bits from bytes 4–7, the upper two from bytes 2 and 3. */
  private static void scales(Assembler a, Memory w, Vector to, Vector t) {
    a.emit(VPBROADCASTD, to, w.plus(4));
    a.emit(VPSRLVD, to, to, Constants.ints(a, i -> 4 * i));
    a.emit(VPAND, to, to, Constants.ints(a, i -> 0x0F));
    a.emit(VPBROADCASTD, t, w);
    a.emit(VPSRLVD, t, t, Constants.ints(a, i -> 16 - 4 + 2 * i));
    a.emit(VPAND, t, t, Constants.ints(a, i -> 0x30));
    a.emit(VPOR, to, to, t);
    a.emit(VPSUBD, to, to, Constants.ints(a, i -> 32));
    a.emit(VCVTDQ2PS, to, to);
    a.emit(VPBROADCASTW, t.as(128), w);
    a.emit(VCVTPH2PS, t, t.as(128));
    a.emit(VMULPS, to, to, t);
  }
}

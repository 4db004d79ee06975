package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;
import static dev.knapsack.kernel.x86.Operand.ymm;

import dev.knapsack.kernel.x86.Operand.Memory;
import dev.knapsack.kernel.x86.Operand.Vector;

/**
 * Generates products of 32 codes of weights and 32 signed codes of x, from −127 to 127, as sums of
 * four in eight lanes of 32 bits.
 *
 * <p>With VNNI that is one instruction, which adds to what is there; without, two: products added
 * up in pairs of 16 bits, which saturate, then pairs of those.
 *
 * <p>What a result is written to must be another register than the codes, which may be overwritten.
 */
record Products(Assembler a, Isa isa) {
  /** Sixteen ones of 16 bits, where there is no VNNI. */
  private static final Vector ONES = ymm(14);

  /** Fills the register that is kept. */
  void prepare() {
    if (!isa.vnni()) {
      a.emit(VPCMPEQW, ONES, ONES, ONES);
      a.emit(VPSRLW, ONES, ONES, 15);
    }
  }

  /** {@code into = Σ q·x}, of unsigned codes up to 127. */
  void unsigned(Vector into, Vector q, Memory x) {
    if (isa.vnni()) {
      a.emit(VPXOR, into, into, into);
      a.emit(isa.dotProduct(), into, q, x);
    } else {
      a.emit(VPMADDUBSW, q, q, x);
      a.emit(VPMADDWD, into, q, ONES);
    }
  }

  /** {@code into = Σ q·x + Σ r·y}, of unsigned codes up to 63. */
  void unsigned(Vector into, Vector q, Memory x, Vector r, Memory y) {
    if (isa.vnni()) {
      unsigned(into, q, x);
      a.emit(isa.dotProduct(), into, r, y);
    } else {
      a.emit(VPMADDUBSW, q, q, x);
      a.emit(VPMADDUBSW, r, r, y);
      a.emit(VPADDW, q, q, r);
      a.emit(VPMADDWD, into, q, ONES);
    }
  }

  /**
   * {@code into = Σ q·x}, of signed codes. Products of an unsigned and a signed number are all
   * there is: |q| · (x with q's sign).
   *
   * @param t may be overwritten
   */
  void signed(Vector into, Vector q, Memory x, Vector t) {
    magnitudes(q, x, t);
    if (isa.vnni()) {
      a.emit(VPXOR, into, into, into);
      a.emit(isa.dotProduct(), into, q, t);
    } else {
      a.emit(VPMADDUBSW, q, q, t);
      a.emit(VPMADDWD, into, q, ONES);
    }
  }

  /** {@code into = Σ q·x + Σ r·y}, of signed codes; see the other. */
  void signed(Vector into, Vector q, Memory x, Vector r, Memory y, Vector t) {
    signed(into, q, x, t);
    if (isa.vnni()) {
      magnitudes(r, y, t);
      a.emit(isa.dotProduct(), into, r, t);
    } else {
      signed(r, r, y, t);
      a.emit(VPADDD, into, into, r);
    }
  }

  private void magnitudes(Vector q, Memory x, Vector t) {
    a.emit(VMOVDQU, t, x);
    a.emit(VPSIGNB, t, t, q);
    a.emit(VPABSB, q, q);
  }

  /**
   * {@code into = Σ scale·q·x}, of unsigned codes up to 127 with a scale for each two. VNNI would
   * not shorten it: a product with scales of 32 bits would come on top.
   *
   * @param scales sixteen signed numbers of 16 bits
   */
  void scaled(Vector into, Vector q, Memory x, Vector scales) {
    a.emit(VPMADDUBSW, q, q, x);
    a.emit(VPMADDWD, into, q, scales);
  }
}

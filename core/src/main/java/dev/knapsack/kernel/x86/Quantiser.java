package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;
import static dev.knapsack.kernel.x86.Operand.xmm;
import static dev.knapsack.kernel.x86.Operand.ymm;
import static dev.knapsack.kernel.x86.Register.*;

import dev.knapsack.kernel.x86.Assembler.Condition;
import dev.knapsack.kernel.x86.Operand.Vector;
import dev.knapsack.tensor.Q8Activations;

/**
 * Generates what turns float32 activations into {@link Q8Activations}, bit for bit as they are
 * defined, NaN and infinities included.
 *
 * <p>Arguments of the code: the numbers, the blocks, nothing, the number of blocks.
 */
final class Quantiser {
  private static final int NUMBERS = 32;

  /** The comparison that is true where neither number is NaN. */
  private static final int ORDERED = 7;

  /** The comparison that is true where the first number is at least the second. */
  private static final int AT_LEAST = 13;

  private final Assembler a = new Assembler();

  private Quantiser() {}

  static byte[] code() {
    return new Quantiser().generate();
  }

  private byte[] generate() {
    Label loop = new Label();
    a.place(loop);
    for (int i = 0; i < 4; i++) {
      a.emit(VMOVUPS, ymm(i), RDI.at(32 * i));
    }
    largest(xmm(8));
    Vector scale = xmm(9);
    Vector inverse = xmm(10);
    a.emit(VMOVSS, xmm(11), Constants.of(a, 127));
    a.emit(VDIVSS, scale, xmm(8), xmm(11));
    a.emit(VDIVSS, inverse, xmm(11), xmm(8));
    // A scale that is NaN or below the normal numbers leaves no codes.
    a.emit(VBROADCASTSS, xmm(12), Constants.of(a, Float.MIN_NORMAL));
    a.emit(VCMPPS, xmm(12), scale, xmm(12), AT_LEAST);
    a.emit(VPAND, inverse, inverse, xmm(12));
    a.emit(VBROADCASTSS, ymm(10), inverse);
    for (int i = 0; i < 4; i++) {
      a.emit(VMULPS, ymm(i), ymm(i), ymm(10));
      a.emit(VCMPPS, ymm(12), ymm(i), ymm(i), ORDERED);
      a.emit(VPAND, ymm(i), ymm(i), ymm(12));
      a.emit(VCVTPS2DQ, ymm(i), ymm(i));
    }
    sums(scale);
    a.emit(VPACKSSDW, ymm(0), ymm(0), ymm(1));
    a.emit(VPACKSSDW, ymm(2), ymm(2), ymm(3));
    a.emit(VPACKSSWB, ymm(0), ymm(0), ymm(2));
    // Packing works in halves of a register: four numbers of each vector in turn.
    a.emit(VMOVDQU, ymm(4), Constants.bytes(a, 32, i -> i % 4 == 0 ? place(i / 4) : 0));
    a.emit(VPERMD, ymm(0), ymm(4), ymm(0));
    a.store(VMOVDQU_STORE, RSI.at(0), ymm(0));
    a.add(RDI, NUMBERS * Float.BYTES);
    a.add(RSI, Q8Activations.FORMAT.blockBytes());
    a.subtract(RCX, 1);
    a.jump(Condition.NOT_EQUAL, loop);
    a.zeroUpper();
    a.ret();
    return a.finish();
  }

  /** The place of the i-th four numbers in the packed registers. */
  private static int place(int i) {
    return i / 2 + i % 2 * 4;
  }

  /** The largest magnitude: as integers, so that NaN is larger than all else. */
  private void largest(Vector to) {
    a.emit(VBROADCASTSS, ymm(12), Constants.of(a, Float.intBitsToFloat(0x7FFFFFFF)));
    for (int i = 0; i < 4; i++) {
      a.emit(VPAND, ymm(4 + i), ymm(i), ymm(12));
    }
    a.emit(VPMAXSD, ymm(4), ymm(4), ymm(5));
    a.emit(VPMAXSD, ymm(6), ymm(6), ymm(7));
    a.emit(VPMAXSD, ymm(4), ymm(4), ymm(6));
    a.extract(VEXTRACTI128, xmm(5), ymm(4), 1);
    a.emit(VPMAXSD, xmm(4), xmm(4), xmm(5));
    a.emit(VPSHUFD, xmm(5), xmm(4), 0x4E);
    a.emit(VPMAXSD, xmm(4), xmm(4), xmm(5));
    a.emit(VPSHUFD, xmm(5), xmm(4), 0xB1);
    a.emit(VPMAXSD, to, xmm(4), xmm(5));
  }

  /** Stores the scale, and the sums of the codes by it. */
  private void sums(Vector scale) {
    a.emit(VPADDD, ymm(4), ymm(0), ymm(1));
    a.emit(VPADDD, ymm(5), ymm(2), ymm(3));
    a.emit(VPHADDD, ymm(4), ymm(4), ymm(5));
    a.emit(VPHADDD, ymm(4), ymm(4), ymm(4));
    a.extract(VEXTRACTI128, xmm(5), ymm(4), 1);
    a.emit(VPADDD, xmm(4), xmm(4), xmm(5));
    // Lanes: the first half, the second, and again.
    a.emit(VPSHUFD, xmm(5), xmm(4), 0xB1);
    a.emit(VPADDD, xmm(5), xmm(4), xmm(5));
    a.emit(VCVTDQ2PS, xmm(4), xmm(4));
    a.emit(VCVTDQ2PS, xmm(5), xmm(5));
    a.emit(VBROADCASTSS, xmm(6), scale);
    a.emit(VMULPS, xmm(4), xmm(4), xmm(6));
    a.emit(VMULPS, xmm(5), xmm(5), xmm(6));
    a.store(VMOVSS_STORE, RSI.at(Q8Activations.SCALE), scale);
    a.store(VMOVSS_STORE, RSI.at(Q8Activations.SUM), xmm(5));
    a.store(VMOVQ_STORE, RSI.at(Q8Activations.HALF_SUMS), xmm(4));
  }
}

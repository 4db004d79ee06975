package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;
import static dev.knapsack.kernel.x86.Operand.ymm;
import static dev.knapsack.kernel.x86.Register.*;

import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.x86.Assembler.Condition;
import dev.knapsack.kernel.x86.Operand.Vector;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Multiply-adds of ones in registers alone, with the instructions that products are made of: the
 * peak that they are measured against. The ones are added up, and so counted.
 *
 * <p>Twelve sums are under way at once, more than there are steps of a multiply-add in flight.
 *
 * <p>Arguments of the code: where the sums are stored, nothing, nothing, how often.
 */
final class OnesCode {
  private static final int SUMS = 12;

  /** Ones are added up in 16 bits, two at a time: at most 16,383 times. */
  private static final int ROUNDS = 8192;

  private static final Vector PRODUCTS = ymm(13);
  private static final Vector W = ymm(14);
  private static final Vector X = ymm(15);

  /** The instruction that does most on a processor. */
  private enum Kind {
    /** {@code vfmadd231ps}. */
    FLOAT,
    /** {@code vpmaddubsw} and {@code vpaddw}, for want of the next one. */
    CODES,
    /** {@code vpdpbusd}. */
    DOT
  }

  private final Kind kind;
  private final int lanes;
  private final Code code;

  OnesCode(Isa isa, Compute.Precision precision, Code.Loader loader) {
    this.kind = kind(isa, precision);
    this.lanes = SUMS * isa.bits() / Float.SIZE;
    this.code = loader.load(code(isa, precision));
  }

  private static Kind kind(Isa isa, Compute.Precision precision) {
    if (precision == Compute.Precision.FLOAT) {
      return Kind.FLOAT;
    }
    return isa.vnni() ? Kind.DOT : Kind.CODES;
  }

  static byte[] code(Isa isa, Compute.Precision precision) {
    Kind kind = kind(isa, precision);
    int bits = isa.bits();
    Assembler a = new Assembler();
    if (kind == Kind.FLOAT) {
      a.emit(VBROADCASTSS, W.as(bits), Constants.of(a, 1));
    } else {
      a.emit(VPCMPEQB, W, W, W);
      a.emit(VPABSB, W, W);
      a.emit(VPBROADCASTB, W.as(bits), W.as(128));
    }
    a.emit(VMOVUPS, X.as(bits), W.as(bits));
    for (int i = 0; i < SUMS; i++) {
      a.emit(VXORPS, ymm(i), ymm(i), ymm(i)); // the upper half too
    }
    Label loop = new Label();
    a.align(32);
    a.place(loop);
    for (int i = 0; i < SUMS; i++) {
      Vector sum = ymm(i).as(bits);
      switch (kind) {
        case FLOAT -> a.emit(VFMADD231PS, sum, W.as(bits), X.as(bits));
        case DOT -> a.emit(isa.dotProduct(), sum, W.as(bits), X.as(bits));
        case CODES -> {
          a.emit(VPMADDUBSW, PRODUCTS, W, X);
          a.emit(VPADDW, ymm(i), ymm(i), PRODUCTS);
        }
      }
    }
    a.subtract(RCX, 1);
    a.jump(Condition.NOT_EQUAL, loop);
    for (int i = 0; i < SUMS; i++) {
      if (kind == Kind.CODES) {
        a.emit(VPMADDWD, ymm(i), ymm(i), Constants.bytes(a, 32, at -> at % 2 == 0 ? 1 : 0));
      }
      a.store(VMOVUPS_STORE, RDI.at(i * bits / Byte.SIZE), ymm(i).as(bits));
    }
    a.zeroUpper();
    a.ret();
    return a.finish();
  }

  /** Does them, and counts them by their sum. */
  double multiplyAdd() {
    MemorySegment sums = MemorySegment.ofArray(new int[lanes]);
    code.call(sums, MemorySegment.NULL, MemorySegment.NULL, ROUNDS, 0, 0, 0);
    double all = 0;
    for (int i = 0; i < lanes; i++) {
      all +=
          kind == Kind.FLOAT
              ? sums.getAtIndex(ValueLayout.JAVA_FLOAT, i)
              : sums.getAtIndex(ValueLayout.JAVA_INT, i);
    }
    return all;
  }
}

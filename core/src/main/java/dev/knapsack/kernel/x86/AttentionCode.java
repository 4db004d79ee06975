package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;
import static dev.knapsack.kernel.x86.Operand.xmm;
import static dev.knapsack.kernel.x86.Operand.ymm;
import static dev.knapsack.kernel.x86.Register.*;

import dev.knapsack.kernel.Attention;
import dev.knapsack.kernel.x86.Assembler.Condition;
import dev.knapsack.kernel.x86.Operand.Memory;
import dev.knapsack.kernel.x86.Operand.Vector;
import org.jspecify.annotations.Nullable;

/**
 * Generates the inner loops of attention, on heads of a multiple of 8 numbers.
 *
 * <p>Arguments of the code: the scratch memory, a page or nothing, nothing, then up to four
 * numbers, which each method names; places are in bytes.
 */
final class AttentionCode {
  private static final int VECTOR = 32;

  private static final Strided FIRST_KEYS = new Strided(RCX, R8, R10);

  /** The fifth to the eighth; three times the stride is the same. */
  private static final Strided LAST_KEYS = new Strided(RSI, R8, R10);

  private final Assembler a = new Assembler();

  private AttentionCode() {}

  /**
   * Decodes numbers of a page: arguments are the place to write to, the place in the page, and how
   * many numbers, a multiple of 8 and of the format's block. Null for formats without code.
   */
  static byte @Nullable [] decode(String format) {
    AttentionCode code = new AttentionCode();
    return switch (format) {
      case "F32" -> code.decodeEights(4);
      case "F16" -> code.decodeEights(2);
      case "BF16" -> code.decodeEights(-2);
      case "Q8_0" -> code.decodeBlocks(34);
      case "Q4_0" -> code.decodeBlocks(18);
      default -> null;
    };
  }

  private void decodePlaces() {
    a.add(RDI, RCX);
    a.add(RSI, R8);
  }

  private byte[] decodeEights(int bytes) {
    decodePlaces();
    Label loop = new Label();
    a.place(loop);
    switch (bytes) {
      case 4 -> a.emit(VMOVUPS, ymm(0), RSI.at(0));
      case 2 -> a.emit(VCVTPH2PS, ymm(0), RSI.at(0));
      default -> {
        a.emit(VPMOVZXWD, ymm(0), RSI.at(0));
        a.emit(VPSLLD, ymm(0), ymm(0), 16);
      }
    }
    a.store(VMOVUPS_STORE, RDI.at(0), ymm(0));
    a.add(RDI, VECTOR);
    a.add(RSI, 8 * Math.abs(bytes));
    a.subtract(R9, 8);
    return end(loop);
  }

  private byte[] decodeBlocks(int bytes) {
    decodePlaces();
    Label loop = new Label();
    a.place(loop);
    a.emit(VPBROADCASTW, xmm(8), RSI.at(0));
    a.emit(VCVTPH2PS, ymm(8), xmm(8));
    if (bytes == 18) {
      a.emit(VMOVDQU, xmm(4), RSI.at(2));
      a.emit(VPSRLW, xmm(5), xmm(4), 4);
      a.emit(VINSERTI128, ymm(4), ymm(4), xmm(5), 1);
      a.emit(VPAND, ymm(4), ymm(4), Constants.bytes(a, VECTOR, i -> 0x0F));
      a.emit(VPSUBB, ymm(4), ymm(4), Constants.bytes(a, VECTOR, i -> 8));
    } else {
      a.emit(VMOVDQU, ymm(4), RSI.at(2));
    }
    a.extract(VEXTRACTI128, xmm(5), ymm(4), 1);
    for (int i = 0; i < 4; i++) {
      Vector codes = xmm(4 + i / 2);
      if (i % 2 == 1) {
        a.emit(VPSRLDQ, codes, codes, 8);
      }
      a.emit(VPMOVSXBD, ymm(i), codes);
      a.emit(VCVTDQ2PS, ymm(i), ymm(i));
      a.emit(VMULPS, ymm(i), ymm(i), ymm(8));
      a.store(VMOVUPS_STORE, RDI.at(VECTOR * i), ymm(i));
    }
    a.add(RDI, 4 * VECTOR);
    a.add(RSI, bytes);
    a.subtract(R9, 32);
    return end(loop);
  }

  private byte[] end(Label loop) {
    a.jump(Condition.NOT_EQUAL, loop);
    return end();
  }

  private byte[] end() {
    a.zeroUpper();
    a.ret();
    return a.finish();
  }

  /** Arguments: the places of the query and of the keys, bytes of a key, keys. */
  static byte[] scores() {
    return new AttentionCode().generateScores();
  }

  /** Puts the numbers into rdx, rcx, r8 and r9. */
  private void numbers() {
    a.move(RDX, RCX);
    a.move(RCX, R8);
    a.move(R8, R9);
    a.move(R9, Code.FOURTH);
  }

  private byte[] generateScores() {
    numbers();
    a.add(RDX, RDI);
    a.add(RCX, RDI);
    FIRST_KEYS.prepare(a);
    Label eights = new Label();
    Label ones = new Label();
    Label done = new Label();
    a.place(eights);
    a.compare(R9, 8);
    a.jump(Condition.BELOW, ones);
    a.address(RSI, RCX.at(R8, 4, 0));
    keys(8);
    // Pairs, then fours of each half, then the halves: eight sums side by side.
    for (int i = 0; i < 8; i += 2) {
      a.emit(VHADDPS, ymm(i), ymm(i), ymm(i + 1));
    }
    a.emit(VHADDPS, ymm(0), ymm(0), ymm(2));
    a.emit(VHADDPS, ymm(4), ymm(4), ymm(6));
    a.emit(VPERM2I128, ymm(1), ymm(0), ymm(4), 0x31);
    a.emit(VINSERTI128, ymm(0), ymm(0), xmm(4), 1);
    a.emit(VADDPS, ymm(0), ymm(0), ymm(1));
    a.store(VMOVUPS_STORE, RDI.at(0), ymm(0));
    a.add(RDI, VECTOR);
    a.address(RCX, RCX.at(R8, 8, 0));
    a.subtract(R9, 8);
    a.jump(eights);
    a.place(ones);
    a.compare(R9, 1);
    a.jump(Condition.BELOW, done);
    keys(1);
    // In the order of the eights.
    a.emit(VHADDPS, ymm(0), ymm(0), ymm(0));
    a.emit(VHADDPS, ymm(0), ymm(0), ymm(0));
    a.extract(VEXTRACTF128, xmm(1), ymm(0), 1);
    a.emit(VADDPS, xmm(0), xmm(0), xmm(1));
    a.store(VMOVSS_STORE, RDI.at(0), xmm(0));
    a.add(RDI, Float.BYTES);
    a.add(RCX, R8);
    a.subtract(R9, 1);
    a.jump(ones);
    a.place(done);
    return end();
  }

  /** Products of the query and some keys, in the first registers. */
  private void keys(int count) {
    for (int i = 0; i < count; i++) {
      a.emit(VXORPS, ymm(i), ymm(i), ymm(i));
    }
    Label loop = new Label();
    a.move(RAX, RDX);
    a.address(R11, RDX.at(R8, 1, 0));
    a.place(loop);
    a.emit(VMOVUPS, ymm(8), RAX.at(0));
    for (int i = 0; i < count; i++) {
      Memory key = (i < 4 ? FIRST_KEYS : LAST_KEYS).at(i % 4, 0);
      a.emit(VFMADD231PS, ymm(i), ymm(8), key);
    }
    a.add(RAX, VECTOR);
    a.add(RCX, VECTOR);
    a.add(RSI, VECTOR);
    a.compare(RAX, R11);
    a.jump(Condition.BELOW, loop);
    a.subtract(RCX, R8);
  }

  /** Argument: the place of the state. */
  static byte[] softmax() {
    return new AttentionCode().generateSoftmax();
  }

  private byte[] generateSoftmax() {
    int vectors = Attention.CHUNK / 8;
    numbers();
    a.add(RDX, RDI);
    Vector max = ymm(8);
    a.emit(VMOVUPS, max, RDI.at(0));
    for (int i = 1; i < vectors; i++) {
      a.emit(VMAXPS, max, max, RDI.at(VECTOR * i));
    }
    a.extract(VEXTRACTF128, xmm(9), max, 1);
    a.emit(VMAXPS, xmm(8), xmm(8), xmm(9));
    a.emit(VPSHUFD, xmm(9), xmm(8), 0x4E);
    a.emit(VMAXPS, xmm(8), xmm(8), xmm(9));
    a.emit(VPSHUFD, xmm(9), xmm(8), 0xB1);
    a.emit(VMAXPS, xmm(8), xmm(8), xmm(9));
    a.emit(VMOVSS, xmm(10), RDX.at(0));
    a.emit(VMAXSS, xmm(8), xmm(8), xmm(10));
    // All scores may be −∞, which has no difference to itself.
    a.emit(VMAXSS, xmm(8), xmm(8), Constants.of(a, -Float.MAX_VALUE));
    a.store(VMOVSS_STORE, RDX.at(0), xmm(8));
    a.emit(VSUBSS, xmm(0), xmm(10), xmm(8));
    a.emit(VBROADCASTSS, max, xmm(8));
    a.emit(VBROADCASTSS, ymm(0), xmm(0));
    Exponential.emit(a, ymm(0));
    a.store(VMOVSS_STORE, RDX.at(8), xmm(0));
    a.emit(VMULSS, xmm(11), xmm(0), RDX.at(4));
    Vector sum = ymm(12);
    a.emit(VXORPS, sum, sum, sum);
    Label loop = new Label();
    a.move(RCX, vectors);
    a.place(loop);
    a.emit(VMOVUPS, ymm(0), RDI.at(0));
    a.emit(VSUBPS, ymm(0), ymm(0), max);
    Exponential.emit(a, ymm(0));
    a.store(VMOVUPS_STORE, RDI.at(0), ymm(0));
    a.emit(VADDPS, sum, sum, ymm(0));
    a.add(RDI, VECTOR);
    a.subtract(RCX, 1);
    a.jump(Condition.NOT_EQUAL, loop);
    Lanes.sum(a, sum, ymm(0));
    a.emit(VADDSS, xmm(12), xmm(12), xmm(11));
    a.store(VMOVSS_STORE, RDX.at(4), xmm(12));
    return end();
  }

  /**
   * Arguments: the places of the result and of the values, bytes of a value, and the count in the
   * lower half of a number, the bits of the decay in the upper.
   */
  static byte[] addValues() {
    return new AttentionCode().generateAddValues();
  }

  private byte[] generateAddValues() {
    numbers();
    a.add(RDX, RDI);
    a.add(RCX, RDI);
    a.move(RAX, R9);
    a.shiftRight(RAX, 32);
    a.move(xmm(15), RAX);
    a.emit(VBROADCASTSS, ymm(15), xmm(15));
    a.shiftLeft(R9, 32);
    a.shiftRight(R9, 30);
    // From here the bytes of the weights, and of a value's columns that are still to do.
    a.add(R9, RDI);
    a.move(R10, R8);
    columns(8);
    columns(1);
    return end();
  }

  /** As many columns as there are, some vectors of them at a time. */
  private void columns(int vectors) {
    Label next = new Label();
    Label done = new Label();
    Label loop = new Label();
    a.place(next);
    a.compare(R10, vectors * VECTOR);
    a.jump(Condition.BELOW, done);
    for (int i = 0; i < vectors; i++) {
      a.emit(VMULPS, ymm(i), ymm(15), RDX.at(VECTOR * i));
    }
    a.move(RAX, RDI);
    a.move(R11, RCX);
    a.place(loop);
    a.emit(VBROADCASTSS, ymm(14), RAX.at(0));
    for (int i = 0; i < vectors; i++) {
      a.emit(VFMADD231PS, ymm(i), ymm(14), R11.at(VECTOR * i));
    }
    a.add(RAX, Float.BYTES);
    a.add(R11, R8);
    a.compare(RAX, R9);
    a.jump(Condition.BELOW, loop);
    for (int i = 0; i < vectors; i++) {
      a.store(VMOVUPS_STORE, RDX.at(VECTOR * i), ymm(i));
    }
    a.add(RDX, vectors * VECTOR);
    a.add(RCX, vectors * VECTOR);
    a.subtract(R10, vectors * VECTOR);
    a.jump(next);
    a.place(done);
  }
}

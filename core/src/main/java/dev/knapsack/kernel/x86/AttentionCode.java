package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;
import static dev.knapsack.kernel.x86.Operand.xmm;
import static dev.knapsack.kernel.x86.Operand.ymm;
import static dev.knapsack.kernel.x86.Register.*;

import dev.knapsack.kernel.ChunkedAttention;
import dev.knapsack.kernel.x86.Assembler.Condition;
import dev.knapsack.kernel.x86.Operand.Memory;
import dev.knapsack.kernel.x86.Operand.Vector;

/**
 * Generates the inner loops of attention, on heads of a multiple of 8 numbers: see {@link
 * ChunkedAttention.Steps}.
 *
 * <p>Arguments of the code: the scratch memory, where keys, values or numbers lie, nothing, then
 * numbers, which each method names; places are in bytes.
 */
final class AttentionCode {
  private static final int VECTOR = 32;

  /** Bytes of a token's scores. */
  private static final int SCORES = ChunkedAttention.QUERIES * Float.BYTES;

  private static final Strided QUERIES = new Strided(RDX, R9, R10);

  /** Prepared where queries are not in use. */
  private static final Strided RESULTS = QUERIES;

  private static final Vector SCALE = ymm(12);
  private static final Vector OFFSET = ymm(13);
  private static final Vector OTHER_SCALE = ymm(14);
  private static final Vector OTHER_OFFSET = ymm(15);

  private final Assembler a = new Assembler();

  private AttentionCode() {}

  /**
   * Decodes numbers of a page: arguments are the place to write to, the place in the page, and how
   * many numbers, a multiple of 8 and of the format's block.
   */
  static byte[] decode(PageCode page) {
    return new AttentionCode().generateDecode(page);
  }

  private byte[] generateDecode(PageCode page) {
    a.add(RDI, RCX);
    a.add(RSI, R8);
    Label loop = new Label();
    a.place(loop);
    page.begin(a, RSI.at(0), SCALE, OFFSET);
    for (int i = 0; i < page.vectors(); i++) {
      page.read(a, RSI.at(0), i, ymm(i), SCALE, OFFSET);
      a.store(VMOVUPS_STORE, RDI.at(VECTOR * i), ymm(i));
    }
    a.add(RDI, VECTOR * page.vectors());
    a.add(RSI, page.bytes());
    a.subtract(R9, 8 * page.vectors());
    a.jump(Condition.NOT_EQUAL, loop);
    return end();
  }

  private byte[] end() {
    a.zeroUpper();
    a.ret();
    return a.finish();
  }

  /** Takes apart the fourth number: what is in its lower half, and in its upper. */
  private void fourth(Register low, Register high) {
    a.move(high, Code.FOURTH);
    a.move(low, high);
    a.shiftRight(high, 32);
    a.shiftLeft(low, 32);
    a.shiftRight(low, 32);
  }

  /**
   * Products of four queries and some keys. Arguments: the place of the queries, the place of the
   * keys, bytes of a query, and the number of keys, with the bytes from a key to the next in the
   * upper half.
   *
   * <p>Two keys at a time meet four queries, so that six loads serve eight multiplications.
   */
  static byte[] scores(PageCode page) {
    return new AttentionCode().generateScores(page);
  }

  private byte[] generateScores(PageCode page) {
    a.address(RDX, RDI.at(RCX, 1, 0));
    a.add(RSI, R8);
    fourth(R11, R8);
    QUERIES.prepare(a);
    Label pairs = new Label();
    Label one = new Label();
    Label done = new Label();
    a.place(pairs);
    a.compare(R11, 2);
    a.jump(Condition.BELOW, one);
    a.move(RAX, RSI);
    keys(page, 2);
    sumsOfOne(0);
    sumsOfOne(4);
    a.emit(VPERM2I128, ymm(1), ymm(0), ymm(4), 0x31);
    a.emit(VINSERTI128, ymm(0), ymm(0), xmm(4), 1);
    a.emit(VADDPS, ymm(0), ymm(0), ymm(1));
    a.store(VMOVUPS_STORE, RDI.at(0), ymm(0));
    a.add(RDI, 2 * SCORES);
    a.address(RSI, RAX.at(R8, 2, 0));
    a.subtract(R11, 2);
    a.jump(pairs);
    a.place(one);
    a.compare(R11, 1);
    a.jump(Condition.BELOW, done);
    keys(page, 1);
    sumsOfOne(0);
    a.extract(VEXTRACTF128, xmm(1), ymm(0), 1);
    a.emit(VADDPS, xmm(0), xmm(0), xmm(1));
    a.store(VMOVUPS_STORE, RDI.at(0), xmm(0));
    a.place(done);
    return end();
  }

  /** One key's four sums, two halves of each side by side, in the first of its registers. */
  private void sumsOfOne(int first) {
    a.emit(VHADDPS, ymm(first), ymm(first), ymm(first + 1));
    a.emit(VHADDPS, ymm(first + 2), ymm(first + 2), ymm(first + 3));
    a.emit(VHADDPS, ymm(first), ymm(first), ymm(first + 2));
  }

  /** Products of four queries and one or two keys, in registers 0–3 and 4–7. */
  private void keys(PageCode page, int count) {
    Vector key = ymm(8);
    Vector other = ymm(9);
    Vector query = ymm(10);
    Memory first = RSI.at(0);
    Memory second = RSI.at(R8, 1, 0);
    for (int i = 0; i < 4 * count; i++) {
      a.emit(VXORPS, ymm(i), ymm(i), ymm(i));
    }
    Label loop = new Label();
    a.move(RCX, R9);
    a.place(loop);
    page.begin(a, first, SCALE, OFFSET);
    if (count == 2) {
      page.begin(a, second, OTHER_SCALE, OTHER_OFFSET);
    }
    for (int v = 0; v < page.vectors(); v++) {
      page.read(a, first, v, key, SCALE, OFFSET);
      if (count == 2) {
        page.read(a, second, v, other, OTHER_SCALE, OTHER_OFFSET);
      }
      for (int i = 0; i < 4; i++) {
        a.emit(VMOVUPS, query, QUERIES.at(i, VECTOR * v));
        a.emit(VFMADD231PS, ymm(i), query, key);
        if (count == 2) {
          a.emit(VFMADD231PS, ymm(4 + i), query, other);
        }
      }
    }
    a.add(RDX, VECTOR * page.vectors());
    a.add(RSI, page.bytes());
    a.subtract(RCX, VECTOR * page.vectors());
    a.jump(Condition.NOT_EQUAL, loop);
    a.subtract(RDX, R9);
  }

  /** Arguments: the place of the results, the number of vectors of scores. */
  static byte[] softmax() {
    return new AttentionCode().generateSoftmax();
  }

  private byte[] generateSoftmax() {
    a.address(RDX, RDI.at(RCX, 1, 0));
    Memory maxima = RDX.at(ChunkedAttention.MAX * Float.BYTES);
    Memory sums = RDX.at(ChunkedAttention.SUM * Float.BYTES);
    Vector max = ymm(8);
    Vector before = xmm(10);
    a.emit(VMOVUPS, max, RDI.at(0));
    a.move(RAX, RDI);
    a.move(RCX, R8);
    Label maximum = new Label();
    a.place(maximum);
    a.emit(VMAXPS, max, max, RAX.at(0));
    a.add(RAX, VECTOR);
    a.subtract(RCX, 1);
    a.jump(Condition.NOT_EQUAL, maximum);
    a.extract(VEXTRACTF128, xmm(9), max, 1);
    a.emit(VMAXPS, xmm(8), xmm(8), xmm(9));
    a.emit(VMOVUPS, before, maxima);
    a.emit(VMAXPS, xmm(8), xmm(8), before);
    // All scores may be −∞, which has no difference to itself.
    a.emit(VBROADCASTSS, xmm(9), Constants.of(a, -Float.MAX_VALUE));
    a.emit(VMAXPS, xmm(8), xmm(8), xmm(9));
    a.store(VMOVUPS_STORE, maxima, xmm(8));
    a.emit(VSUBPS, xmm(0), before, xmm(8));
    a.emit(VINSERTI128, max, max, xmm(8), 1);
    Exponential.emit(a, ymm(0));
    a.store(VMOVUPS_STORE, RDX.at(ChunkedAttention.DECAY * Float.BYTES), xmm(0));
    a.emit(VMULPS, xmm(11), xmm(0), sums);
    Vector sum = ymm(12);
    a.emit(VXORPS, sum, sum, sum);
    Label weights = new Label();
    a.place(weights);
    a.emit(VMOVUPS, ymm(0), RDI.at(0));
    a.emit(VSUBPS, ymm(0), ymm(0), max);
    Exponential.emit(a, ymm(0));
    a.store(VMOVUPS_STORE, RDI.at(0), ymm(0));
    a.emit(VADDPS, sum, sum, ymm(0));
    a.add(RDI, VECTOR);
    a.subtract(R8, 1);
    a.jump(Condition.NOT_EQUAL, weights);
    a.extract(VEXTRACTF128, xmm(9), sum, 1);
    a.emit(VADDPS, xmm(12), xmm(12), xmm(9));
    a.emit(VADDPS, xmm(12), xmm(12), xmm(11));
    a.store(VMOVUPS_STORE, sums, xmm(12));
    return end();
  }

  /**
   * Adds weighted values to four results. Arguments: the place of the results, the place of the
   * values, bytes of a result, and the number of values, with the bytes of a value in the upper
   * half.
   */
  static byte[] addValues(PageCode page) {
    return new AttentionCode().generateAddValues(page);
  }

  private byte[] generateAddValues(PageCode page) {
    a.address(RDX, RDI.at(RCX, 1, 0));
    a.address(RCX, RDX.at(ChunkedAttention.DECAY * Float.BYTES));
    a.add(RSI, R8);
    fourth(R11, R8);
    // From here the end of the weights.
    a.shiftLeft(R11, 4);
    a.add(R11, RDI);
    RESULTS.prepare(a);
    a.push(RBX);
    a.push(R12);
    a.move(RBX, R9);
    if (page.vectors() == 1) {
      columns(page, 2);
    }
    columns(page, 1);
    a.pop(R12);
    a.pop(RBX);
    return end();
  }

  /** All columns that are still to do, some blocks of them at a time; RBX counts their bytes. */
  private void columns(PageCode page, int blocks) {
    int vectors = blocks * page.vectors();
    Label next = new Label();
    Label done = new Label();
    a.place(next);
    a.compare(RBX, vectors * VECTOR);
    a.jump(Condition.BELOW, done);
    for (int v = 0; v < vectors; v += 2) {
      values(page, v, Math.min(2, vectors));
    }
    a.add(RDX, vectors * VECTOR);
    a.add(RSI, blocks * page.bytes());
    a.subtract(RBX, vectors * VECTOR);
    a.jump(next);
    a.place(done);
  }

  /** All values' vectors {@code from} and the next, for four results. */
  private void values(PageCode page, int from, int count) {
    Vector weight = ymm(10);
    for (int i = 0; i < 4; i++) {
      a.emit(VBROADCASTSS, weight, RCX.at(Float.BYTES * i));
      for (int v = 0; v < count; v++) {
        a.emit(VMULPS, ymm(2 * i + v), weight, RESULTS.at(i, VECTOR * (from + v)));
      }
    }
    Label loop = new Label();
    a.move(RAX, RDI);
    a.move(R12, RSI);
    a.place(loop);
    for (int v = 0; v < count; v++) {
      int block = (from + v) / page.vectors();
      Memory value = R12.at(block * page.bytes());
      if (v == 0 || page.vectors() == 1) {
        page.begin(a, value, SCALE, OFFSET);
      }
      page.read(a, value, (from + v) % page.vectors(), ymm(8 + v), SCALE, OFFSET);
    }
    for (int i = 0; i < 4; i++) {
      a.emit(VBROADCASTSS, weight, RAX.at(Float.BYTES * i));
      for (int v = 0; v < count; v++) {
        a.emit(VFMADD231PS, ymm(2 * i + v), weight, ymm(8 + v));
      }
    }
    a.add(RAX, SCORES);
    a.add(R12, R8);
    a.compare(RAX, R11);
    a.jump(Condition.BELOW, loop);
    for (int i = 0; i < 4; i++) {
      for (int v = 0; v < count; v++) {
        a.store(VMOVUPS_STORE, RESULTS.at(i, VECTOR * (from + v)), ymm(2 * i + v));
      }
    }
  }
}

package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;
import static dev.knapsack.kernel.x86.Operand.xmm;
import static dev.knapsack.kernel.x86.Operand.ymm;
import static dev.knapsack.kernel.x86.Register.*;

import dev.knapsack.kernel.x86.Assembler.Condition;
import dev.knapsack.kernel.x86.Operand.Memory;
import dev.knapsack.kernel.x86.Operand.Vector;
import java.util.function.IntFunction;

/**
 * Generates what lays rows of a format out as {@link Tile}s, eight at a time: a tile, or the half
 * of one.
 *
 * <p>Arguments of the code: the first row, the first tile, nothing, the number of blocks in a row,
 * bytes in a row, bytes from one tile to the next, the number of tiles.
 */
final class Packer {
  /** Rows at a time. */
  private static final int EIGHT = 8;

  /** Bytes of four codes of those rows. */
  private static final int VECTOR = 32;

  /** Bytes that the processor reads from memory at a time. */
  static final int LINE = 64;

  /** The address of as many blocks that follow the eight rows. */
  private static final Register NEXT = RDX;

  /** The last of the multiples of a row's bytes is the seventh. */
  private static final Strided ROWS = new Strided(RDI, R8, R10, R11, RAX);

  private static final Register BLOCKS = RBX;

  /** Eights of rows that are left. */
  private static final Register EIGHTS = RBP;

  private final Assembler a = new Assembler();
  private final RowCode format;
  private final Tile tile;

  private Packer(RowCode format, Isa isa) {
    this.format = format;
    this.tile = format.tile(isa);
  }

  static byte[] code(RowCode format, Isa isa) {
    return new Packer(format, isa).generate();
  }

  private byte[] generate() {
    Label eight = new Label();
    Label loop = new Label();
    a.push(BLOCKS);
    a.push(EIGHTS);
    a.move(BLOCKS, RCX);
    a.move(EIGHTS, Code.FOURTH.plus(2 * Long.BYTES));
    if (tile.rows() > EIGHT) {
      a.add(EIGHTS, EIGHTS);
    }
    a.emit(VMOVDQU, RowDot.LOW_BITS, Constants.bytes(a, VECTOR, i -> 0x0F));
    ROWS.prepare(a);
    a.place(eight);
    a.move(RCX, BLOCKS);
    a.address(NEXT, RDI.at(R8, EIGHT, 0));
    a.place(loop);
    int runs = format.columns() / 32;
    for (int run = 0; run < runs; run++) {
      askForNext(run, runs);
      codes(run);
    }
    format.packScales(this, a);
    a.add(RDI, format.bytes());
    a.add(NEXT, EIGHT * format.bytes());
    a.add(RSI, runs * tile.bytes());
    a.subtract(RCX, 1);
    a.jump(Condition.NOT_EQUAL, loop);
    a.add(RDI, RAX);
    a.subtract(EIGHTS, 1);
    if (tile.rows() > EIGHT) {
      toOtherHalf();
    }
    a.compare(EIGHTS, 0);
    a.jump(Condition.NOT_EQUAL, eight);
    a.zeroUpper();
    a.pop(EIGHTS);
    a.pop(BLOCKS);
    a.ret();
    return a.finish();
  }

  /** From the end of a tile's first half to its second, or from that to the next tile. */
  private void toOtherHalf() {
    Label first = new Label();
    a.add(RSI, -VECTOR);
    a.move(RCX, EIGHTS);
    a.and(RCX, 1);
    a.jump(Condition.EQUAL, first);
    a.subtract(RSI, R9);
    a.add(RSI, 2 * VECTOR);
    a.place(first);
  }

  /**
   * Asks for a part of what follows the eight rows: short rows, each read from its beginning, are
   * over before the processor has noticed that they are read in order.
   */
  private void askForNext(int part, int parts) {
    int lines = Math.ceilDiv(EIGHT * format.bytes(), LINE);
    for (int line = lines * part / parts; line < lines * (part + 1) / parts; line++) {
      a.prefetch(NEXT.at(line * LINE));
    }
  }

  /** Row {@code r}'s block. */
  static Memory row(int r) {
    return ROWS.at(r, 0);
  }

  private void codes(int run) {
    for (int r = 0; r < EIGHT; r++) {
      format.codes(a, row(r), run, ymm(r), ymm(8), ymm(9));
    }
    transpose();
    for (int k = 0; k < Tile.STEPS; k++) {
      Vector codes = transposed(k);
      Memory to = RSI.at(run * tile.bytes() + tile.step(k));
      if (tile.split()) {
        a.emit(VPAND, ymm(14), codes, RowDot.LOW_BITS);
        a.store(VMOVDQU_STORE, to, ymm(14));
        a.emit(VPSRLW, codes, codes, 4);
        a.emit(VPAND, codes, codes, RowDot.LOW_BITS);
        a.store(VMOVDQU_STORE, to.plus(tile.vector()), codes);
      } else {
        a.store(VMOVDQU_STORE, to, codes);
      }
    }
  }

  /**
   * Takes eight vectors of eight 32-bit numbers, one a row in registers 0–7, to eight vectors of a
   * number of each row.
   */
  private void transpose() {
    // Within the halves of each register, four rows at a time.
    for (int r = 0; r < 8; r += 4) {
      a.emit(VPUNPCKLDQ, ymm(8), ymm(r), ymm(r + 1));
      a.emit(VPUNPCKHDQ, ymm(9), ymm(r), ymm(r + 1));
      a.emit(VPUNPCKLDQ, ymm(10), ymm(r + 2), ymm(r + 3));
      a.emit(VPUNPCKHDQ, ymm(11), ymm(r + 2), ymm(r + 3));
      a.emit(VPUNPCKLQDQ, ymm(r), ymm(8), ymm(10));
      a.emit(VPUNPCKHQDQ, ymm(r + 1), ymm(8), ymm(10));
      a.emit(VPUNPCKLQDQ, ymm(r + 2), ymm(9), ymm(11));
      a.emit(VPUNPCKHQDQ, ymm(r + 3), ymm(9), ymm(11));
    }
    // Then the halves change places.
    for (int k = 0; k < 4; k++) {
      a.emit(VPERM2I128, ymm(8 + k), ymm(k), ymm(k + 4), 0x31);
      a.emit(VINSERTI128, ymm(k), ymm(k), xmm(k + 4), 1);
    }
  }

  /** The register in which {@link #transpose} leaves the numbers {@code k}. */
  private static Vector transposed(int k) {
    return k < 4 ? ymm(k) : ymm(4 + k);
  }

  /** Stores the scales of this half of a run, and offsets of {@code factor} times as much. */
  private void storeScales(Vector scales, int run, int half, float factor) {
    a.store(VMOVUPS_STORE, RSI.at(run * tile.bytes() + tile.scales(half)), scales);
    if (factor != 0) {
      a.emit(VBROADCASTSS, ymm(14), Constants.of(a, factor));
      a.emit(VMULPS, scales, scales, ymm(14));
      storeOffsets(scales, run, half);
    }
  }

  private void storeOffsets(Vector offsets, int run, int half) {
    a.store(VMOVUPS_STORE, RSI.at(run * tile.bytes() + tile.offsets(half)), offsets);
  }

  /** Stores the scales of blocks of 32, and offsets of {@code factor} times as much. */
  void storeScales(Vector scales, float factor) {
    storeScales(scales, 0, 0, factor);
  }

  /** Stores the offsets of blocks of 32. */
  void storeOffsets(Vector offsets) {
    storeOffsets(offsets, 0, 0);
  }

  /** Stores a row's one scale for all runs, and offsets of {@code factor} times as much. */
  void packWhole(Vector scales, float factor) {
    int runs = format.columns() / 32;
    for (int run = 0; run < runs; run++) {
      storeScales(scales, run, 0, 0);
    }
    a.emit(VBROADCASTSS, ymm(14), Constants.of(a, factor));
    a.emit(VMULPS, scales, scales, ymm(14));
    for (int run = 0; run < runs; run++) {
      storeOffsets(scales, run, 0);
    }
  }

  /** The use of eight rows' vectors of eight numbers. */
  enum Use {
    SCALES,
    OFFSETS
  }

  /**
   * Scales or offsets of eight runs, or of eight halves of runs where those have their own.
   *
   * @param first the first of the runs, or of the halves
   * @param eight writes the code that leaves a row's eight in its register
   * @param factor of offsets that are made of scales, or 0
   */
  void pack(Use use, int first, IntFunction<Vector> eight, float factor) {
    for (int r = 0; r < EIGHT; r++) {
      Vector row = eight.apply(r);
      if (row.number() != r) {
        throw new IllegalArgumentException("Row " + r + " belongs in its own register");
      }
    }
    transpose();
    int parts = tile.halves() ? 2 : 1;
    for (int k = 0; k < 8; k++) {
      int run = (first + k) / parts;
      int half = (first + k) % parts;
      switch (use) {
        case SCALES -> storeScales(transposed(k), run, half, factor);
        case OFFSETS -> storeOffsets(transposed(k), run, half);
      }
    }
  }
}

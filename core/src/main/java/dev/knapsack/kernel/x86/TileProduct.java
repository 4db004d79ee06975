package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;
import static dev.knapsack.kernel.x86.Register.*;

import dev.knapsack.kernel.x86.Assembler.Condition;
import dev.knapsack.kernel.x86.Operand.Memory;
import dev.knapsack.kernel.x86.Operand.Vector;
import dev.knapsack.tensor.Q8Activations;

/**
 * Generates the product of {@link Tile}s and a few tokens, all sums of one in registers.
 *
 * <p>Four codes of each of a vector of rows meet four codes of one token, spread over all lanes, in
 * one instruction. With VNNI that is all: it adds to 32-bit lanes. Without, the products are added
 * up in 16 bits as long as they fit ({@link Tile#chain}), so that most of the work is two
 * instructions for 32 products.
 *
 * <p>What bounds it, for a token and 32 columns, is where multiplications run. Zen 4, AVX-512: one
 * vector a cycle, 8 of codes and 3 of scales and offsets, so 512 products in 11 cycles, 46 of 64 at
 * the peak; a token's codes are an operand in memory, one reading for each product, of two possible
 * a cycle. Intel's servers do two a cycle: 93. AVX-VNNI, two vectors of 256 bits a cycle: 256
 * products in 6 cycles, 43. These are counts, not measurements.
 *
 * <p>Arguments of the code: the first tile, the first token's x, its first output, the number of
 * groups in a tile, bytes between tokens in x, bytes between tokens in the outputs, the number of
 * tiles.
 */
final class TileProduct {
  private static final int X_BLOCK = Q8Activations.FORMAT.blockBytes();

  /** Tokens that are reached from one register; what lies after them, from another. */
  private static final int REACH = 7;

  private static final Strided X_FIRST = new Strided(RSI, R8, R10, R11);
  private static final Strided X_LAST = new Strided(RAX, R8, R10, R11);

  private static final Register GROUPS = RBX;
  private static final Register TILES = RBP;
  private static final Register X = R12;

  // Prepared when x is done with.
  private static final Strided OUTPUTS_FIRST = new Strided(RDX, R9, R10, R11);
  private static final Strided OUTPUTS_LAST = new Strided(RAX, R9, R10, R11);

  private final Assembler a = new Assembler();
  private final Tile tile;
  private final Isa isa;
  private final int tokens;

  /** Steps that share a scale. */
  private final int scaled;

  private TileProduct(Tile tile, int tokens) {
    this.tile = tile;
    this.isa = tile.isa();
    this.tokens = tokens;
    this.scaled = scaled(tile);
  }

  static byte[] code(Tile tile, int tokens) {
    return new TileProduct(tile, tokens).generate();
  }

  private static int scaled(Tile tile) {
    return tile.halves() ? Tile.STEPS / 2 : Tile.STEPS;
  }

  /** The most tokens that the registers allow: each has two or three sums. */
  static int mostTokens(Tile tile) {
    boolean threeSums = tile.split() || tile.chain() < scaled(tile);
    return (tile.isa().registers() - OTHERS) / (threeSums ? 3 : 2);
  }

  private Vector sum(int token) {
    return vector(token);
  }

  /** Products of codes: in 16 bits while a chain lasts, in 32 after it. */
  private Vector products(int token) {
    return vector(tokens + token);
  }

  /** Of split codes, the products of the higher bits; of short chains, the one under way. */
  private Vector more(int token) {
    return vector(2 * tokens + token);
  }

  /** Registers that hold no sums. */
  private static final int OTHERS = 4;

  private Vector weights() {
    return last(0);
  }

  /** Of split codes; then, the offsets. */
  private Vector highWeights() {
    return last(1);
  }

  private Vector x() {
    return last(2);
  }

  private Vector t() {
    return last(3);
  }

  private Vector last(int i) {
    return vector(isa.registers() - OTHERS + i);
  }

  private Vector vector(int number) {
    return new Vector(number, isa.bits());
  }

  private Memory x(int token, int displacement) {
    return place(X_FIRST, X_LAST, token, displacement);
  }

  private static Memory place(Strided first, Strided last, int token, int displacement) {
    return token < REACH ? first.at(token, displacement) : last.at(token - REACH, displacement);
  }

  private void prepare(Strided first, Strided last) {
    first.prepare(a);
    if (tokens > REACH) {
      a.address(last.first(), first.at(REACH - 1, 0));
      a.add(last.first(), first.stride());
    }
  }

  private byte[] generate() {
    Label next = new Label();
    Label loop = new Label();
    a.push(GROUPS);
    a.push(TILES);
    a.push(X);
    a.move(GROUPS, RCX);
    a.move(TILES, Code.FOURTH.plus(3 * Long.BYTES));
    a.move(X, RSI);
    a.place(next);
    a.move(RCX, GROUPS);
    a.move(RSI, X);
    prepare(X_FIRST, X_LAST);
    for (int t = 0; t < tokens; t++) {
      a.emit(VXORPS, sum(t), sum(t), sum(t));
    }
    a.align(32);
    a.place(loop);
    for (int first = 0; first < Tile.STEPS; first += scaled) {
      if (isa.vnni()) {
        dotProducts(first);
      } else {
        chains(first);
      }
      scale(first / scaled);
    }
    a.add(RDI, tile.bytes());
    a.add(RSI, X_BLOCK);
    if (tokens > REACH) {
      a.add(RAX, X_BLOCK);
    }
    a.subtract(RCX, 1);
    a.jump(Condition.NOT_EQUAL, loop);
    prepare(OUTPUTS_FIRST, OUTPUTS_LAST);
    for (int t = 0; t < tokens; t++) {
      a.store(VMOVUPS_STORE, place(OUTPUTS_FIRST, OUTPUTS_LAST, t, 0), sum(t));
    }
    a.add(RDX, tile.vector());
    a.subtract(TILES, 1);
    a.jump(Condition.NOT_EQUAL, next);
    a.zeroUpper();
    a.pop(X);
    a.pop(TILES);
    a.pop(GROUPS);
    a.ret();
    return a.finish();
  }

  /** The steps that share a scale, from {@code first}: their products in 32 bits. */
  private void dotProducts(int first) {
    for (int t = 0; t < tokens; t++) {
      a.emit(VXORPS, products(t), products(t), products(t));
    }
    for (int k = first; k < first + scaled; k++) {
      a.emit(VMOVUPS, weights(), RDI.at(tile.step(k)));
      for (int t = 0; t < tokens; t++) {
        Memory codes = x(t, 4 * k);
        if (isa.broadcasts()) {
          a.emit(isa.dotProduct(), products(t), weights(), codes.broadcast());
        } else {
          a.emit(VPBROADCASTD, x(), codes);
          a.emit(isa.dotProduct(), products(t), weights(), x());
        }
      }
    }
  }

  /** Products of codes without VNNI. */
  private void chains(int first) {
    boolean whole = tile.split() || tile.chain() >= scaled;
    for (int chain = 0; chain < scaled; chain += tile.chain()) {
      int length = Math.min(tile.chain(), scaled - chain);
      for (int k = 0; k < length; k++) {
        step(first + chain + k, k == 0, !whole && chain > 0);
      }
      for (int t = 0; t < tokens; t++) {
        boolean later = !whole && chain > 0;
        Vector chained = later ? more(t) : products(t);
        a.emit(VPMADDWD, chained, chained, words(1));
        if (tile.split()) {
          a.emit(VPMADDWD, more(t), more(t), words(16));
        }
        if (tile.split() || later) {
          a.emit(VPADDD, products(t), products(t), more(t));
        }
      }
    }
  }

  private Memory words(int value) {
    return Constants.bytes(a, tile.vector(), i -> i % 2 == 0 ? value : 0);
  }

  /** Four columns: of all rows at once, for each token. */
  private void step(int k, boolean begins, boolean intoMore) {
    a.emit(VMOVDQU, weights(), RDI.at(tile.step(k)));
    if (tile.split()) {
      a.emit(VMOVDQU, highWeights(), RDI.at(tile.step(k) + tile.vector()));
    }
    for (int t = 0; t < tokens; t++) {
      a.emit(VPBROADCASTD, x(), x(t, 4 * k));
      multiply(intoMore ? more(t) : products(t), weights(), begins);
      if (tile.split()) {
        multiply(more(t), highWeights(), begins);
      }
    }
  }

  private void multiply(Vector into, Vector weights, boolean begins) {
    if (begins) {
      a.emit(VPMADDUBSW, into, weights, x());
    } else {
      a.emit(VPMADDUBSW, t(), weights, x());
      a.emit(VPADDW, into, into, t());
    }
  }

  /** Adds the products by their scales, and the offsets by the sums of x. */
  private void scale(int half) {
    int sums = tile.halves() ? Q8Activations.HALF_SUMS + 4 * half : Q8Activations.SUM;
    a.emit(VMOVUPS, weights(), RDI.at(tile.scales(half)));
    a.emit(VMOVUPS, highWeights(), RDI.at(tile.offsets(half)));
    for (int t = 0; t < tokens; t++) {
      a.emit(VCVTDQ2PS, products(t), products(t));
      multiply(VMULPS, t(), weights(), x(t, Q8Activations.SCALE));
      a.emit(VFMADD231PS, sum(t), products(t), t());
      multiply(VFMADD231PS, sum(t), highWeights(), x(t, sums));
    }
  }

  /** With a number of x in all lanes. */
  private void multiply(Instruction i, Vector d, Vector factor, Memory number) {
    if (isa.broadcasts()) {
      a.emit(i, d, factor, number.broadcast());
    } else {
      a.emit(VBROADCASTSS, x(), number);
      a.emit(i, d, factor, x());
    }
  }
}

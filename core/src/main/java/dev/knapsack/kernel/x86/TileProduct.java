package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;
import static dev.knapsack.kernel.x86.Operand.ymm;
import static dev.knapsack.kernel.x86.Register.*;

import dev.knapsack.kernel.x86.Assembler.Condition;
import dev.knapsack.kernel.x86.Operand.Memory;
import dev.knapsack.kernel.x86.Operand.Vector;
import dev.knapsack.tensor.Q8Activations;

/**
 * Generates the product of a {@link Tile} and a few tokens, all sums in registers.
 *
 * <p>Four codes of each of eight rows meet four codes of one token, spread over all lanes, in one
 * instruction; the products are added up in 16 bits as long as they fit ({@link Tile#chain}), so
 * that most of the work is two instructions for 32 products.
 *
 * <p>Arguments of the code: the tile, the first token's x, the first token's outputs, the number of
 * groups, bytes between tokens in x, bytes between tokens in the outputs.
 */
final class TileProduct {
  private static final int X_BLOCK = Q8Activations.FORMAT.blockBytes();

  private static final Strided X_TOKENS = new Strided(RSI, R8, R10, R11);

  /** Prepared when x is done with. */
  private static final Strided OUTPUTS = new Strided(RDX, R9, R10, R11);

  private final Assembler a = new Assembler();
  private final Tile tile;
  private final int tokens;

  /** Steps that share a scale. */
  private final int scaled;

  private TileProduct(Tile tile, int tokens) {
    this.tile = tile;
    this.tokens = tokens;
    this.scaled = tile.halves() ? Tile.STEPS / 2 : Tile.STEPS;
  }

  static byte[] code(Tile tile, int tokens) {
    return new TileProduct(tile, tokens).generate();
  }

  /** The most tokens that the registers allow: each has two or three sums. */
  static int mostTokens(Tile tile) {
    return threeSums(tile) ? 4 : 6;
  }

  private static boolean threeSums(Tile tile) {
    return tile.split() || tile.chain() < (tile.halves() ? Tile.STEPS / 2 : Tile.STEPS);
  }

  private Vector sum(int token) {
    return ymm(token);
  }

  /** Products of codes: in 16 bits while a chain lasts, in 32 after it. */
  private Vector products(int token) {
    return ymm(tokens + token);
  }

  /** Of split codes, the products of the higher bits; of short chains, the one under way. */
  private Vector more(int token) {
    return ymm(2 * tokens + token);
  }

  private static final Vector WEIGHTS = ymm(12);
  private static final Vector HIGH_WEIGHTS = ymm(15);
  private static final Vector X = ymm(13);
  private static final Vector T = ymm(14);

  private byte[] generate() {
    Label loop = new Label();
    X_TOKENS.prepare(a);
    for (int t = 0; t < tokens; t++) {
      a.emit(VXORPS, sum(t), sum(t), sum(t));
    }
    a.align(32);
    a.place(loop);
    for (int first = 0; first < Tile.STEPS; first += scaled) {
      steps(first);
      scale(first / scaled);
    }
    a.add(RDI, tile.bytes());
    a.add(RSI, X_BLOCK);
    a.subtract(RCX, 1);
    a.jump(Condition.NOT_EQUAL, loop);
    OUTPUTS.prepare(a);
    for (int t = 0; t < tokens; t++) {
      a.store(VMOVUPS_STORE, OUTPUTS.at(t, 0), sum(t));
    }
    a.zeroUpper();
    a.ret();
    return a.finish();
  }

  /** The steps that share a scale, from {@code first}: their products in 32 bits. */
  private void steps(int first) {
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
    return Constants.bytes(a, Tile.VECTOR, i -> i % 2 == 0 ? value : 0);
  }

  /** Four columns: of eight rows at once, for each token. */
  private void step(int k, boolean begins, boolean intoMore) {
    a.emit(VMOVDQU, WEIGHTS, RDI.at(tile.step(k)));
    if (tile.split()) {
      a.emit(VMOVDQU, HIGH_WEIGHTS, RDI.at(tile.step(k) + Tile.VECTOR));
    }
    for (int t = 0; t < tokens; t++) {
      a.emit(VPBROADCASTD, X, X_TOKENS.at(t, 4 * k));
      multiply(intoMore ? more(t) : products(t), WEIGHTS, begins);
      if (tile.split()) {
        multiply(more(t), HIGH_WEIGHTS, begins);
      }
    }
  }

  private void multiply(Vector into, Vector weights, boolean begins) {
    if (begins) {
      a.emit(VPMADDUBSW, into, weights, X);
    } else {
      a.emit(VPMADDUBSW, T, weights, X);
      a.emit(VPADDW, into, into, T);
    }
  }

  /** Adds the products by their scales, and the offsets by the sums of x. */
  private void scale(int half) {
    int sums = tile.halves() ? Q8Activations.HALF_SUMS + 4 * half : Q8Activations.SUM;
    a.emit(VMOVUPS, WEIGHTS, RDI.at(tile.scales(half)));
    for (int t = 0; t < tokens; t++) {
      a.emit(VCVTDQ2PS, products(t), products(t));
      a.emit(VBROADCASTSS, T, X_TOKENS.at(t, Q8Activations.SCALE));
      a.emit(VMULPS, T, T, WEIGHTS);
      a.emit(VFMADD231PS, sum(t), products(t), T);
      a.emit(VBROADCASTSS, X, X_TOKENS.at(t, sums));
      a.emit(VFMADD231PS, sum(t), X, RDI.at(tile.offsets(half)));
    }
  }
}

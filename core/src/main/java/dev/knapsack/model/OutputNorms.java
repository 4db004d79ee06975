package dev.knapsack.model;

import dev.knapsack.kernel.MatrixProducts;
import dev.knapsack.kernel.Scratch;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The most that each value of a step can move what attention adds to the residual stream: {@code
 * ‖W_o v‖₁}, the mean over the query heads that share a KV head (Feng et al., arXiv 2502.03805).
 *
 * <p>That is the arithmetic of one projection of attention's results. Some rows of W_o at a time
 * are decoded, once for all values of the step. They are divided into a fixed number of parts, so
 * that sums do not depend on how many workers there are.
 */
final class OutputNorms {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  private static final int PARTS = 8;

  /** Rows of W_o that are decoded at a time. */
  private static final int ROWS = 32;

  private static final int LINE_FLOATS = 16;

  private final float[] norms;
  private final int kvHeads;

  private OutputNorms(float[] norms, int kvHeads) {
    this.norms = norms;
    this.kvHeads = kvHeads;
  }

  float of(int row, int kvHead) {
    return norms[row * kvHeads + kvHead];
  }

  /** Numbers in {@link Slot#NORMS} for each part. */
  private static int partNumbers(Attention layer, int tokens) {
    return ROWS * (line(layer.attendedColumns()) + line(layer.valueSize()) + line(tokens))
        + line(tokens * layer.kvHeads());
  }

  private static int line(int numbers) {
    return Math.ceilDiv(numbers, LINE_FLOATS) * LINE_FLOATS;
  }

  /** Numbers in {@link Slot#NORMS} for a step of so many tokens. */
  static int numbers(Attention layer, int tokens) {
    return Math.addExact(
        tokens * layer.valueColumns(), Math.multiplyExact(PARTS, partNumbers(layer, tokens)));
  }

  /**
   * Computes them.
   *
   * @param values a row a token, as projected: not transformed
   */
  static OutputNorms of(Attention.Weights weights, Matrix values, Blocks blocks) {
    Attention layer = weights.spec();
    Linear projection = weights.output();
    if (projection == null) {
      return unprojected(values, layer);
    }
    int tokens = values.rows();
    int numbers = numbers(layer, tokens);
    MemorySegment memory = blocks.matrix(Slot.NORMS, 1, numbers).data();
    Matrix byHead = matrix(memory, 0, layer.kvHeads() * tokens, layer.valueSize());
    for (int row = 0; row < tokens; row++) {
      for (int head = 0; head < layer.kvHeads(); head++) {
        MemorySegment.copy(
            values.data(),
            values.rowOffset(row) + head * byHead.rowBytes(),
            byHead.data(),
            byHead.rowOffset(head * tokens + row),
            byHead.rowBytes());
      }
    }
    Matrix output = projection.matrix();
    int chunks = Math.ceilDiv(output.rows(), ROWS);
    Part[] parts = new Part[PARTS];
    for (int p = 0; p < PARTS; p++) {
      int at = tokens * layer.valueColumns() + p * partNumbers(layer, tokens);
      parts[p] = new Part(layer, output, byHead, memory, at);
    }
    blocks.compute.spread(
        PARTS,
        (part, scratch) -> {
          parts[part].sums.data().fill((byte) 0);
          for (int c = chunks * part / PARTS; c < chunks * (part + 1) / PARTS; c++) {
            parts[part].add(c * ROWS, Math.min(output.rows(), (c + 1) * ROWS), blocks, scratch);
          }
        });
    float[] norms = new float[tokens * layer.kvHeads()];
    float share = (float) layer.kvHeads() / layer.heads();
    for (int i = 0; i < norms.length; i++) {
      float sum = 0;
      for (Part part : parts) {
        sum += part.sums.data().getAtIndex(FLOAT, i);
      }
      norms[i] = sum * share;
    }
    return new OutputNorms(norms, layer.kvHeads());
  }

  /** Norms of values that are added as they are. */
  private static OutputNorms unprojected(Matrix values, Attention layer) {
    float[] norms = new float[values.rows() * layer.kvHeads()];
    float[] value = new float[layer.valueSize()];
    for (int i = 0; i < norms.length; i++) {
      int row = i / layer.kvHeads();
      values.read(row, (long) i % layer.kvHeads() * value.length, value);
      for (float number : value) {
        norms[i] += Math.abs(number);
      }
    }
    return new OutputNorms(norms, layer.kvHeads());
  }

  private static Matrix matrix(MemorySegment memory, int at, int rows, int columns) {
    return new Matrix(
        Formats.F32,
        rows,
        columns,
        memory.asSlice((long) at * Float.BYTES, Formats.F32.bytes((long) rows * columns)));
  }

  /** Sums over some rows of W_o. */
  private static final class Part {
    final Attention layer;
    final Matrix output;
    final Matrix values;
    final int tokens;
    final Matrix decoded;
    final Matrix slice;
    final Matrix products;
    final Matrix sums;

    /**
     * @param values by KV head, and within it by token
     * @param at where its numbers begin in the memory
     */
    Part(Attention layer, Matrix output, Matrix values, MemorySegment memory, int at) {
      this.layer = layer;
      this.output = output;
      this.values = values;
      this.tokens = values.rows() / layer.kvHeads();
      decoded = matrix(memory, at, ROWS, layer.attendedColumns());
      int next = at + ROWS * line(layer.attendedColumns());
      slice = matrix(memory, next, ROWS, layer.valueSize());
      next += ROWS * line(layer.valueSize());
      products = matrix(memory, next, tokens, ROWS);
      next += ROWS * line(tokens);
      sums = matrix(memory, next, tokens, layer.kvHeads());
    }

    void add(int from, int to, Blocks blocks, Scratch scratch) {
      int rows = to - from;
      for (int row = 0; row < rows; row++) {
        output.decodeRow(from + row, decoded.data(), decoded.rowOffset(row));
      }
      int group = layer.heads() / layer.kvHeads();
      Matrix w = slice.rows(0, rows);
      Matrix out = matrix(products.data(), 0, tokens, rows);
      for (int head = 0; head < layer.heads(); head++) {
        for (int row = 0; row < rows; row++) {
          long at = decoded.rowOffset(row) + head * slice.rowBytes();
          MemorySegment.copy(decoded.data(), at, w.data(), w.rowOffset(row), slice.rowBytes());
        }
        int kvHead = head / group;
        Matrix x = values.rows(kvHead * tokens, (kvHead + 1) * tokens);
        blocks
            .compute
            .kernels()
            .products()
            .matmul(w, x, MatrixProducts.Tokens.of(tokens), out, 0, rows, scratch);
        for (int t = 0; t < tokens; t++) {
          float sum = 0;
          for (int row = 0; row < rows; row++) {
            sum += Math.abs(out.data().getAtIndex(FLOAT, (long) t * rows + row));
          }
          long i = (long) t * layer.kvHeads() + kvHead;
          sums.data().setAtIndex(FLOAT, i, sums.data().getAtIndex(FLOAT, i) + sum);
        }
      }
    }
  }
}

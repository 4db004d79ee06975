package dev.knapsack.kernel;

import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * The arithmetic of one step, on plain ranges of rows: no threads, no allocation per call, no state
 * that outlives a call.
 *
 * <p>Activations are {@link Matrix} values in F32, one row a token. {@link ScalarKernels} defines
 * each operation; every other provider is tested against it. {@link Compute} spreads the work over
 * a {@link WorkerTeam}.
 *
 * <p>An output element is computed by one call, in an order that does not depend on the range asked
 * for, so that results do not depend on how work was split. One token and several may be multiplied
 * in different orders, and so differ in rounding; how many others there are changes nothing, and
 * {@link Tokens} says which of the two it is to be.
 *
 * <p>Scratch memory is the calling thread's own, at least {@link #scratchBytes} bytes, of the kind
 * {@link #heapScratch} says; what it holds is of no use after the call.
 */
public interface Kernels {
  /** {@code scalar}, {@code vector} or {@code x86}. */
  String name();

  /** In which of two orders a matrix product is computed. */
  enum Tokens {
    /** Each token as if it were the only one. */
    ALONE,
    /** Each token as one of several, also where it is the only one. */
    TOGETHER;

    /** The order that is fastest for so many. */
    public static Tokens of(int count) {
      return count == 1 ? ALONE : TOGETHER;
    }
  }

  /**
   * Matrix product: {@code out[t][r] = Σ_c w[r][c] · x[t][c]} for rows {@code r} in {@code [from,
   * to)} of the weights and all tokens {@code t}.
   *
   * @param w weights, any format, rows × columns
   * @param x activations, tokens × columns, F32 or {@link dev.knapsack.tensor.Q8Activations}
   * @param out F32, tokens × rows
   */
  void matmul(
      Matrix w, Matrix x, Tokens tokens, Matrix out, int from, int to, MemorySegment scratch);

  /** Matrix product in the order that is fastest for so many tokens. */
  default void matmul(Matrix w, Matrix x, Matrix out, int from, int to, MemorySegment scratch) {
    matmul(w, x, Tokens.of(x.rows()), out, from, to, scratch);
  }

  /**
   * The form of activations when they meet weights in a block format, where nobody says otherwise:
   * {@link Compute.Precision#EIGHT_BIT} for a provider that multiplies codes.
   */
  Compute.Precision precision();

  /** Rows by whose multiples a matrix product is best split. */
  int rowTile();

  /**
   * True where scratch memory is a float array on the heap ({@link MemorySegment#ofArray(float[])})
   * and not native.
   */
  boolean heapScratch();

  /** Scratch bytes that one call needs at the most. */
  long scratchBytes(KernelLimits limits);

  /**
   * Multiplies and adds ones for some ten microseconds, in registers alone and with the instruction
   * that matrix products are made of: no product can be faster.
   *
   * @param precision of the activations that such products are of
   * @return what the ones add up to: how many multiply-adds were done
   */
  double multiplyAddOnes(Compute.Precision precision);

  /**
   * Quantises rows {@code [from, to)} of F32 activations to {@link
   * dev.knapsack.tensor.Q8Activations}.
   */
  void quantise(Matrix x, Matrix out, int from, int to);

  /**
   * Encodes rows {@code [from, to)} of F32 values as {@code out}'s format; for KV pages, among
   * others.
   */
  void encode(Matrix x, Matrix out, int from, int to);

  /**
   * Decodes row {@code row} of a matrix in any format into F32 at {@code targetOffset} bytes of
   * {@code target}.
   */
  void decodeRow(Matrix w, int row, MemorySegment target, long targetOffset);

  /**
   * RMS norm over groups of {@code groupSize} columns: {@code y = x / √(mean(x²) + ε) · weight};
   * {@code groupSize == columns} is the usual norm, the head size is a norm per head. {@code out}
   * may be {@code x}.
   *
   * @param weight F32 of {@code groupSize} numbers, or null for an unweighted norm
   */
  void rmsNorm(
      Matrix x,
      @Nullable MemorySegment weight,
      int groupSize,
      float epsilon,
      Matrix out,
      int from,
      int to);

  /**
   * Layer norm over columns: {@code y = (x − mean) / √(var + ε) · weight + bias}. {@code out} may
   * be {@code x}.
   */
  void layerNorm(
      Matrix x,
      MemorySegment weight,
      @Nullable MemorySegment bias,
      float epsilon,
      Matrix out,
      int from,
      int to);

  /** {@code x[t] += scale · y[t]} for rows {@code [from, to)}. */
  void add(Matrix x, Matrix y, float scale, int from, int to);

  /**
   * {@code x[t] += bias} for rows {@code [from, to)}; {@code bias} is F32 of {@code columns}
   * numbers.
   */
  void addBias(Matrix x, MemorySegment bias, int from, int to);

  /** {@code x[t] *= scale} for rows {@code [from, to)}. */
  void scale(Matrix x, float scale, int from, int to);

  /** {@code x = cap · tanh(x / cap)} for rows {@code [from, to)}. */
  void softCap(Matrix x, float cap, int from, int to);

  /**
   * Rotates heads of {@code headSize} columns by position, in place: row {@code t} stands at {@code
   * positions[t]}.
   *
   * <p>The first {@code rope.dimensions()} numbers of a head are rotated, the others left.
   */
  void rope(Matrix x, int headSize, Rope rope, int[] positions, int from, int to);

  /**
   * {@code out = activation(gate) · up}, element by element, for rows {@code [from, to)}. {@code
   * out} may be {@code gate}.
   */
  void gatedActivation(Activation activation, Matrix gate, Matrix up, Matrix out, int from, int to);

  /**
   * Softmax of {@code length} numbers in place, with an optional soft cap {@code cap · tanh(x /
   * cap)} first (0: none) and an optional sink: a logit that takes part in the denominator alone
   * ({@code NaN}: none).
   */
  void softmax(MemorySegment x, long offset, int length, float softCap, float sink);

  /**
   * Attention of query rows {@code [from, to)} with one KV head, over the pages where the cache
   * lies: for each query head of the group, {@code out = Σ_j softmax_j(scale · q·k_j) v_j} over the
   * cached tokens that the row may see.
   *
   * <p>Row {@code t} stands at {@code firstPosition + t}; it sees cached tokens at positions {@code
   * p} with {@code p ≤ firstPosition + t} (when causal) and {@code |firstPosition + t − p| <
   * window} (when there is a window).
   *
   * @param q F32, tokens × (heads · keySize)
   * @param out F32, tokens × (heads · valueSize)
   */
  void attention(
      AttentionShape shape,
      Matrix q,
      int firstPosition,
      KvSpan[] spans,
      int kvHead,
      Matrix out,
      int from,
      int to,
      MemorySegment scratch);

  /**
   * A part of {@link #attention}: takes some of the spans into what the rows have seen so far, so
   * that the tokens of a long context can be met piece by piece, by whoever has them.
   */
  void attentionPart(
      AttentionShape shape,
      Matrix q,
      int firstPosition,
      KvSpan[] spans,
      int kvHead,
      PartialAttention part,
      int from,
      int to,
      MemorySegment scratch);

  /**
   * The attention weights themselves, for those who want to know which tokens matter: a second
   * reading of the keys, and none of the values.
   *
   * @param out F32, a row for each query row of {@code [from, to)} and, within it, query head of
   *     the group; a column for each token of the spans, 0 where it is not seen
   */
  void attentionWeights(
      AttentionShape shape,
      Matrix q,
      int firstPosition,
      KvSpan[] spans,
      int kvHead,
      Matrix out,
      int from,
      int to,
      MemorySegment scratch);
}

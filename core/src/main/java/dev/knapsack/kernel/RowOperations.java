package dev.knapsack.kernel;

import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** Operations on rows of F32 activations, each row by itself. */
public interface RowOperations {
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

  /**
   * {@code out[t] = x[t] + share · y[t]} for rows {@code [from, to)}, column by column; {@code
   * share} is F32 of {@code columns} numbers.
   */
  void mix(Matrix x, Matrix y, MemorySegment share, Matrix out, int from, int to);

  /** {@code x[t] *= scale} for rows {@code [from, to)}. */
  void scale(Matrix x, float scale, int from, int to);

  /** {@code x = cap · tanh(x / cap)} for rows {@code [from, to)}. */
  void softCap(Matrix x, float cap, int from, int to);

  /**
   * {@code x = activation(x)} for rows {@code [from, to)}: of a layer without a gate.
   *
   * @throws IllegalArgumentException if the activation is of gated layers alone
   */
  void activate(Activation activation, Matrix x, int from, int to);

  /** {@code x = curve(x)} for rows {@code [from, to)}. */
  void xielu(Xielu curve, Matrix x, int from, int to);

  /**
   * Rotates heads of {@code headSize} columns by position, in place: row {@code t} stands at {@code
   * positions[t]}.
   *
   * <p>The first {@code rope.dimensions()} numbers of a head are rotated, the others left.
   */
  void rope(Matrix x, int headSize, Rope rope, int[] positions, int from, int to);

  /**
   * Softmax of {@code length} numbers in place.
   *
   * @param sink a logit that takes part in the denominator alone; {@code NaN} for none
   */
  void softmax(MemorySegment x, long offset, int length, float sink);
}

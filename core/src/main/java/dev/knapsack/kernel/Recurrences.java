package dev.knapsack.kernel;

/**
 * Steps of recurrences, in which a layer carries a state from token to token. A state's rows belong
 * to numbers of a key, or of what is like one, and its columns to numbers of a value; columns do
 * not see each other, so that all may be carried together, or some, without a bit's difference.
 */
public interface Recurrences {
  /**
   * A causal convolution of rows, of each channel by itself: {@code out[t] = bias + Σ taps[k] · x[t
   * + k]}, and then {@code out · σ(out)} where that is wanted.
   *
   * @param taps factors of each channel, tap by tap; the last meets the present row
   * @param bias of each channel
   * @param x the rows before the first, one fewer than taps, and then the {@code rows} rows
   * @param out receives as many rows
   */
  void convolve(float[] taps, float[] bias, boolean silu, float[] x, int rows, float[] out);

  /**
   * The parts that are kept over steps: {@code out[n] = e^(rate[n] · step)}, in each column.
   *
   * @param rate rows of as many numbers as {@code step} has, one or more
   * @param step of each column
   * @param out receives as many numbers as {@code rate} has; it may be {@code step}
   */
  void decay(float[] rate, float[] step, float[] out);

  /**
   * A token's step of the gated delta rule: {@code S = diag(decay) S}, {@code S += strength · key ⊗
   * (value − key S)}, {@code out = query S}.
   *
   * @param decay what is kept, of the numbers of each row of the state
   * @param value in these columns
   * @param state S, as many rows as a key has numbers of as many as {@code value} has
   * @param out receives as many numbers as {@code value} has
   */
  void deltaRule(
      float[] query,
      float[] key,
      float[] decay,
      float strength,
      float[] value,
      float[] state,
      float[] out);

  /**
   * A token's step of a state space with one decay (Mamba-2): {@code S = kept · S + b ⊗ (step ·
   * x)}, {@code out = c S + skip · x}.
   *
   * @param x in these columns
   * @param state S, as many rows as {@code b} has numbers of as many as {@code x} has
   * @param out receives as many numbers as {@code x} has
   */
  void stateSpace(
      float kept,
      float step,
      float skip,
      float[] x,
      float[] b,
      float[] c,
      float[] state,
      float[] out);

  /**
   * A token's step of a state space with a decay for each number (Mamba): {@code S = kept · S + b ⊗
   * (step · x)}, {@code out = c S + skip · x}.
   *
   * @param kept of each number of the state
   * @param step of each column, as {@code skip} and {@code x}
   * @param state S, as many rows as {@code b} has numbers of as many as {@code x} has
   * @param out receives as many numbers as {@code x} has
   */
  void selectiveScan(
      float[] kept,
      float[] step,
      float[] skip,
      float[] x,
      float[] b,
      float[] c,
      float[] state,
      float[] out);

  /**
   * A token's step of RWKV 7: {@code S = diag(decay) S − written ⊗ (removed S) + key ⊗ value},
   * {@code out = query S}.
   *
   * @param value in these columns
   * @param state S, as many rows as a key has numbers of as many as {@code value} has
   * @param out receives as many numbers as {@code value} has
   */
  void timeMix(
      float[] query,
      float[] key,
      float[] decay,
      float[] removed,
      float[] written,
      float[] value,
      float[] state,
      float[] out);
}

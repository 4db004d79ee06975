package dev.knapsack.cache;

import dev.knapsack.kernel.KvSpan;
import dev.knapsack.tensor.Matrix;
import java.util.function.IntConsumer;

/**
 * One step of one sequence in a layer, as a {@link StepObserver} sees it while it is computed: the
 * step's keys and values have been appended, and are not committed yet. Nothing of it is computed
 * unless it is asked for, but for {@link #outputNorm} and {@link #retention}.
 *
 * <p>Rows are the step's tokens, from 0 on. Valid until {@link PolicyView#observe} returns, but for
 * {@link #frame}.
 */
public interface LayerStep {
  /** Tokens of the step. */
  int rows();

  /** The position of a row in the sequence. */
  int position(int row);

  /**
   * Computes the attention weights of the rows of {@code [from, to)} and the query heads that share
   * a KV head; may be asked for several heads at once, by tasks of {@link #forEach}.
   *
   * @param spans what the KV head has cached, the step's tokens included
   * @param out for each row, a row for each query head of the group; a column for each token
   */
  void weights(int from, int to, int kvHead, KvSpan[] spans, Matrix out);

  /**
   * A row's queries as cached keys meet them: rotated to the row's position, and whatever else the
   * layout does to keys.
   *
   * @param out receives those of all query heads that share the KV head, {@link
   *     CachedHead#keySize()} numbers each
   */
  void queries(int row, int kvHead, float[] out);

  /**
   * A row's queries before RoPE, and as if the layout did nothing to keys.
   *
   * @param out receives those of all query heads that share the KV head, {@link
   *     LayerLayout.Heads#channels()} numbers each
   */
  void unrotatedQueries(int row, int kvHead, float[] out);

  /** The way from those to the cached keys; of use after the step, too. */
  QueryFrame frame();

  /**
   * The input that queries, keys and values are projections of: a row a token, F32, of the model's
   * width.
   */
  Matrix input();

  /**
   * The most by which a row's value can move what attention adds to the residual stream: {@code
   * ‖W_o v‖₁}, the mean over the query heads that share the KV head.
   *
   * @throws IllegalStateException unless the policy {@linkplain StepObserver#wantsOutputNorms
   *     wants} them
   */
  float outputNorm(int row, int kvHead);

  /**
   * The word of the layer's gate on a row: the logarithm, 0 or less, of the share of its weight
   * that the token has one token later in a KV head.
   *
   * @throws IllegalStateException unless the policy has {@linkplain StepObserver#gates gates}
   */
  float retention(int row, int kvHead);

  /** Does a task for each of {@code count} numbers, by all workers. */
  void forEach(int count, IntConsumer task);
}

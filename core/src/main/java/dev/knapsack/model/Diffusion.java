package dev.knapsack.model;

/**
 * The way in which a model denoises: it is given a text some of whose tokens are masks, and its
 * logits are those of the tokens that belong there.
 *
 * @param maskToken stands for a token that is yet to be decided
 * @param shifted whether the logits for a position are in the row before it, as in models that were
 *     made out of such as write token by token
 */
public record Diffusion(int maskToken, boolean shifted) {
  /**
   * Rows of logits that steps have for each answer: as many tokens are decided at once at the most.
   * They lie where a layer's activations have been, which take more of most models.
   */
  static final int ROWS = 128;

  /** The row that has the logits for a position. */
  public int row(int position) {
    return shifted ? Math.max(0, position - 1) : position;
  }
}

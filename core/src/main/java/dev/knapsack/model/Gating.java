package dev.knapsack.model;

/**
 * The choice of a token's experts, and what the chosen ones count with.
 *
 * @param function what makes a weight of a router's logit
 * @param normalise whether the chosen weights are divided by their sum
 * @param scale factor on the chosen weights
 * @param groups groups of as many experts each, some of which a token's experts are in; 1 for none
 * @param usedGroups groups that a token uses: those whose two best experts are best together
 * @param inputs whether weights are factors on what experts read, in place of their results
 */
public record Gating(
    Function function, boolean normalise, float scale, int groups, int usedGroups, boolean inputs) {
  /** The function that makes weights of a router's logits. */
  public enum Function {
    /** The softmax over all experts. */
    SOFTMAX,
    /** The softmax over the chosen ones. */
    SOFTMAX_OF_CHOSEN,
    /** The logistic function of each. */
    SIGMOID
  }

  /** Without groups, and on the results of experts. */
  public Gating(Function function, boolean normalise, float scale) {
    this(function, normalise, scale, 1, 1, false);
  }
}

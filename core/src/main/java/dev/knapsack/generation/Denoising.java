package dev.knapsack.generation;

/**
 * The way of an answer of a model that denoises: the answer is a stretch of masks that is decided
 * block by block from left to right, and in each block, step by step, where the model is surest.
 *
 * <p>The defaults are those of LLaDA's published code (Nie et al. 2025): blocks of 32 tokens, one
 * token a step. Its {@code steps} are those of all blocks together.
 *
 * @param blockLength tokens of a block; the last one may be shorter
 * @param steps steps in which a block is decided, as many tokens in each as in the others; 0 for
 *     one for each token. Fewer steps are faster, and tokens that are decided together do not know
 *     of each other
 * @param confidence where the model is surest
 * @param drafts texts of later steps, at the most, that a step computes beside its own, if they fit
 *     in it: those that come out as drafted need no step then. The answer is the same. Worth it
 *     where a step takes as long for more text, as where weights are streamed
 */
public record Denoising(int blockLength, int steps, Confidence confidence, int drafts) {
  /** Blocks of 32 tokens, one token a step, the likeliest first, no drafts. */
  public static final Denoising DEFAULT = new Denoising(32, 0, Confidence.PROBABILITY, 0);

  /** Tokens of an answer whose request does not say how many it may have. */
  public static final int USUAL_LENGTH = 128;

  /** The measure of how sure a model is of the token that it predicts for a mask. */
  public enum Confidence {
    /** The token's probability (LLaDA's low-confidence remasking; Dream's maskgit-plus). */
    PROBABILITY,
    /** The probability of the likeliest token less that of the second (Dream's top-k margin). */
    MARGIN,
    /** The entropy of the prediction, the least first (Dream's entropy). */
    ENTROPY,
    /** None: the order is random. */
    RANDOM
  }

  public Denoising {
    if (blockLength < 1 || steps < 0 || drafts < 0) {
      throw new IllegalArgumentException(
          "Blocks of %d tokens in %d steps with %d drafts; give 1 token or more, and 0 or more of the others."
              .formatted(blockLength, steps, drafts));
    }
  }

  /** The steps of a block of so many tokens. */
  public int steps(int tokens) {
    return steps == 0 ? tokens : Math.min(steps, tokens);
  }

  public Denoising withBlockLength(int value) {
    return new Denoising(value, steps, confidence, drafts);
  }

  public Denoising withSteps(int value) {
    return new Denoising(blockLength, value, confidence, drafts);
  }

  public Denoising withConfidence(Confidence value) {
    return new Denoising(blockLength, steps, value, drafts);
  }

  public Denoising withDrafts(int value) {
    return new Denoising(blockLength, steps, confidence, value);
  }
}

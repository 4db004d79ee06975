package dev.knapsack.model.arch;

import dev.knapsack.kernel.Rope;
import dev.knapsack.model.Gating;
import dev.knapsack.model.HeadNorms;
import dev.knapsack.model.QueryScale;
import org.jspecify.annotations.Nullable;

/**
 * Llama 4: in three layers of four, tokens see those of their chunk alone and are rotated and
 * normed; in the others, queries grow with their position. A weight of an expert is a factor on
 * what it reads.
 */
final class Llama4 extends Llama {
  private static final int CHUNK = 8192;

  /** Experts of the size whose queries and keys are not normed, where the file does not say so. */
  private static final int EXPERTS_WITHOUT_NORMS = 128;

  @Override
  int usualWindow() {
    return CHUNK;
  }

  @Override
  boolean usuallyWindowed(int layer) {
    return (layer + 1) % 4 != 0;
  }

  @Override
  boolean chunked() {
    return true;
  }

  @Override
  @Nullable Rope rope(Header header, int layer, int context) {
    return isRotated(header, layer) ? super.rope(header, layer, context) : null;
  }

  @Override
  HeadNorms headNorms(Header header, int layer) {
    boolean usual = header.optionalCount("expert_count") != EXPERTS_WITHOUT_NORMS;
    return isRotated(header, layer) && header.flag("use_qk_norm", usual)
        ? HeadNorms.PLAIN
        : HeadNorms.EACH;
  }

  @Override
  @Nullable QueryScale queryScale(Header header, int layer) {
    return isRotated(header, layer) ? null : new QueryScale(0.1f, CHUNK, 1);
  }

  @Override
  Gating.Function usualGating() {
    return Gating.Function.SIGMOID;
  }

  @Override
  boolean normaliseExperts() {
    return false;
  }

  @Override
  boolean weighsInputs() {
    return true;
  }

  @Override
  int usualSharedWidth(Header header, int denseWidth, int expertWidth) {
    return expertWidth;
  }
}

package dev.knapsack.engine;

import dev.knapsack.generation.Denoising.Confidence;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Measures of how sure a model is of a token, in its own distribution. */
final class Confidences {
  private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT_UNALIGNED;

  private Confidences() {}

  /**
   * The confidence in a token: the higher, the surer.
   *
   * @param logits F32 from byte {@code offset}
   * @param columns how many there are
   */
  static double of(Confidence measure, MemorySegment logits, long offset, int columns, int token) {
    float max = Float.NEGATIVE_INFINITY;
    float second = Float.NEGATIVE_INFINITY;
    for (int i = 0; i < columns; i++) {
      float logit = logits.get(F32, offset + 4L * i);
      second = Math.max(second, Math.min(max, logit));
      max = Math.max(max, logit);
    }
    double sum = 0;
    double weighted = 0;
    for (int i = 0; i < columns; i++) {
      double below = logits.get(F32, offset + 4L * i) - (double) max;
      double likelihood = Math.exp(below);
      sum += likelihood;
      weighted += likelihood == 0 ? 0 : likelihood * below;
    }
    return switch (measure) {
      case PROBABILITY -> Math.exp(logits.get(F32, offset + 4L * token) - (double) max) / sum;
      case MARGIN -> (1 - Math.exp(second - (double) max)) / sum;
      case ENTROPY -> weighted / sum - Math.log(sum);
      case RANDOM -> throw new IllegalArgumentException("An order that is random is no measure");
    };
  }
}

package dev.knapsack.eval;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The distribution of the next token that logits give, in double precision; one that is filled
 * again and again.
 */
final class Distribution {
  private final double[] logits;

  /** The logarithm of the sum of the exponentials of all logits. */
  private double logSum;

  private int best;

  Distribution(int vocabulary) {
    logits = new double[vocabulary];
  }

  /** Takes F32 logits, one a token. */
  Distribution of(MemorySegment values) {
    for (int i = 0; i < logits.length; i++) {
      logits[i] = values.getAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, i);
    }
    best = 0;
    for (int i = 1; i < logits.length; i++) {
      if (logits[i] > logits[best]) {
        best = i;
      }
    }
    double sum = 0;
    for (double logit : logits) {
      sum += Math.exp(logit - logits[best]);
    }
    logSum = logits[best] + Math.log(sum);
    return this;
  }

  /** The natural logarithm of a token's probability. */
  double logProbability(int token) {
    return logits[token] - logSum;
  }

  /** The most probable token; of several the first. */
  int best() {
    return best;
  }

  /**
   * The Kullback-Leibler divergence of another distribution from this one, in nats: what is lost
   * when the other stands in for this.
   */
  double divergence(Distribution other) {
    double sum = 0;
    for (int i = 0; i < logits.length; i++) {
      double log = logProbability(i);
      double probability = Math.exp(log);
      if (probability > 0) {
        sum += probability * (log - other.logProbability(i));
      }
    }
    return Math.max(0, sum); // rounding may leave a little less than nothing
  }
}

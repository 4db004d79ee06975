package dev.knapsack.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;

/** Against values computed by hand. */
class DistributionTest {
  private static Distribution of(float... logits) {
    return new Distribution(logits.length).of(MemorySegment.ofArray(logits));
  }

  /** Logits of these probabilities, all of which one number may be added to. */
  private static Distribution probabilities(double shift, double... p) {
    float[] logits = new float[p.length];
    for (int i = 0; i < p.length; i++) {
      logits[i] = (float) (Math.log(p[i]) + shift);
    }
    return of(logits);
  }

  @Test
  void probabilitiesAreExponentialsThatSumUpToOne() {
    Distribution d = of(0, (float) Math.log(3), Float.NEGATIVE_INFINITY);
    assertThat(Math.exp(d.logProbability(0))).isEqualTo(0.25, within(1e-7));
    assertThat(Math.exp(d.logProbability(1))).isEqualTo(0.75, within(1e-7));
    assertThat(Math.exp(d.logProbability(2))).isZero();
    assertThat(d.best()).isEqualTo(1);
  }

  @Test
  void logitsTooLargeForAnExponentialAreNone() {
    Distribution d = of(10_000, 10_000, -10_000);
    assertThat(d.logProbability(0)).isEqualTo(-Math.log(2), within(1e-12));
    assertThat(d.logProbability(2)).isEqualTo(-20_000 - Math.log(2), within(1e-9));
    assertThat(d.best()).isZero();
  }

  @Test
  void theDivergenceIsThatOfTheDefinition() {
    Distribution half = probabilities(0, 0.5, 0.5);
    Distribution quarter = probabilities(7, 0.25, 0.75);
    // 1/2 ln(1/2 : 1/4) + 1/2 ln(1/2 : 3/4), and the other way round
    assertThat(half.divergence(quarter))
        .isEqualTo(0.5 * Math.log(2) + 0.5 * Math.log(2 / 3.0), within(1e-6));
    assertThat(quarter.divergence(half))
        .isEqualTo(0.25 * Math.log(0.5) + 0.75 * Math.log(1.5), within(1e-6));
    assertThat(half.divergence(probabilities(-3, 0.5, 0.5))).isEqualTo(0, within(1e-12));
  }

  @Test
  void whatIsImpossibleCostsNothing() {
    Distribution certain = of(0, Float.NEGATIVE_INFINITY);
    Distribution half = probabilities(0, 0.5, 0.5);
    assertThat(certain.divergence(half)).isEqualTo(Math.log(2), within(1e-12));
    assertThat(half.divergence(certain)).isEqualTo(Double.POSITIVE_INFINITY);
  }

  @Test
  void agreementIsAMean() {
    Agreement.Sum sum = new Agreement.Sum();
    assertThat(sum.mean()).isEqualTo(new Agreement(0, 0, 1));
    sum.add(probabilities(0, 0.5, 0.5), probabilities(0, 0.25, 0.75));
    sum.add(probabilities(0, 0.25, 0.75), probabilities(0, 0.25, 0.75));
    Agreement mean = sum.mean();
    assertThat(mean.positions()).isEqualTo(2);
    assertThat(mean.divergence()).isEqualTo(0.5 * 0.143841, within(1e-6));
    assertThat(mean.same()).isEqualTo(0.5); // of two alike the first is the most probable
  }
}

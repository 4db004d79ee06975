package dev.knapsack.cache.policy;

import static org.assertj.core.api.Assertions.assertThat;

import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;

class MomentsTest {
  /** Entropy is made of this: weights from the smallest normal number up to 1. */
  @Test
  void logarithmsAreThoseOfTheLibraryInFloat() {
    for (float x = Float.MIN_NORMAL; x <= 1; x *= 1.0037f) {
      double exact = Math.log(x);
      assertThat((double) Moments.log(x)).isCloseTo(exact, within(exact));
    }
    assertThat(Moments.log(1)).isZero();
  }

  private static Offset<Double> within(double exact) {
    return Offset.offset(1e-6 * Math.abs(exact) + 1e-8);
  }
}

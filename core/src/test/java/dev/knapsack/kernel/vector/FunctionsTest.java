package dev.knapsack.kernel.vector;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import java.util.function.DoubleUnaryOperator;
import java.util.function.UnaryOperator;
import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.Test;

class FunctionsTest {
  @Test
  void exp() {
    check(Functions::exp, Math::exp, -87.3, 88.3, 2);
    assertThat(at(Functions::exp, -88)).isZero();
    assertThat(at(Functions::exp, Float.NEGATIVE_INFINITY)).isZero();
    assertThat(at(Functions::exp, 0)).isEqualTo(1);
    assertThat(at(Functions::exp, Float.POSITIVE_INFINITY)).isGreaterThan(2e38f);
    assertThat(at(Functions::exp, Float.NaN)).isNaN();
  }

  @Test
  void sigmoid() {
    check(Functions::sigmoid, x -> 1 / (1 + Math.exp(-x)), -80, 80, 4);
    assertThat(at(Functions::sigmoid, 200)).isEqualTo(1);
    assertThat(at(Functions::sigmoid, -200)).isLessThan(1e-37f);
  }

  @Test
  void tanh() {
    check(Functions::tanh, Math::tanh, -12, 12, 4);
    check(Functions::tanh, Math::tanh, -0.7, 0.7, 4);
    assertThat(at(Functions::tanh, Float.POSITIVE_INFINITY)).isEqualTo(1);
    assertThat(at(Functions::tanh, Float.NEGATIVE_INFINITY)).isEqualTo(-1);
    assertThat(at(Functions::tanh, Float.NaN)).isNaN();
  }

  private static float at(UnaryOperator<FloatVector> function, float x) {
    return function.apply(Lanes.broadcast(x)).lane(0);
  }

  /** No further from the exact value than {@code units} in the last place. */
  private static void check(
      UnaryOperator<FloatVector> actual,
      DoubleUnaryOperator exact,
      double from,
      double to,
      double units) {
    Random random = new Random(1);
    float[] x = new float[Lanes.LENGTH];
    for (int round = 0; round < 5000; round++) {
      for (int i = 0; i < x.length; i++) {
        x[i] = (float) (from + random.nextDouble() * (to - from));
      }
      FloatVector y = actual.apply(Lanes.load(x, 0));
      for (int i = 0; i < x.length; i++) {
        double expected = exact.applyAsDouble(x[i]);
        assertThat(Math.abs(y.lane(i) - expected))
            .as("at %s", x[i])
            .isLessThanOrEqualTo(units * Math.ulp((float) expected));
      }
    }
  }
}

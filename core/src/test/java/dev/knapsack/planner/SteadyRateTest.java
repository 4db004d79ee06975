package dev.knapsack.planner;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Iterator;
import java.util.List;
import org.junit.jupiter.api.Test;

class SteadyRateTest {
  /** What the first call loads, or a busy moment, may take longer than all the time there is. */
  @Test
  void aFirstCallThatTakesAllTheTimeIsNotTheRate() {
    Iterator<Double> done = List.of(1.0, 1e15).iterator();
    assertThat(new SteadyRate(0, 0).of(done::next)).isGreaterThan(1e12);
  }
}

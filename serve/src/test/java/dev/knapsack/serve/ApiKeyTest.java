package dev.knapsack.serve;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ApiKeyTest {
  @ParameterizedTest
  @ValueSource(
      strings = {"requests=-1", "tokens=many", "speed=3", "cache=0%", "cache=101%", "cache=much"})
  void limitsThatAreNoneAreRefusedWithThoseThatThereAre(String limit) {
    assertThatThrownBy(() -> ApiKey.parse("anna s3cret " + limit))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("'anna'")
        .hasMessageContaining("requests=N")
        .hasMessageContaining("cache=N%.")
        .hasMessageNotContaining("s3cret");
  }
}

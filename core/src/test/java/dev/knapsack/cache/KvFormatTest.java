package dev.knapsack.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.tensor.Formats;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class KvFormatTest {
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "q8_0|Q8_0",
        "k=q8_0,v=q4_0|k=Q8_0,v=Q4_0",
        "V=Q4_0, K=F16|k=F16,v=Q4_0",
        "k=bfp4,v=bfp4|BFP4",
      })
  void readsWhatPeopleWrite(String text, String described) {
    assertThat(KvFormat.parse(text).describe()).isEqualTo(described);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "q9",
        "q4_k",
        "k=q8_0",
        "k=q8_0,k=q4_0",
        "k=q8_0,v=q9",
        "q8_0,v=q4_0",
        "k=,v="
      })
  void refusesTheRest(String text) {
    assertThatThrownBy(() -> KvFormat.parse(text)).hasMessageContaining("_0");
  }

  @Test
  void saysNothingOfWhatGainsNothing() {
    assertThat(new KvFormat(Formats.F16, Formats.F16, 64, true)).isEqualTo(KvFormat.F16);
    assertThat(new KvFormat(Formats.F8_E4M3, Formats.F16, 64, true).describe())
        .isEqualTo("k=F8_E4M3,v=F16, last 64 in F16");
    assertThat(new KvFormat(Formats.Q8_0, Formats.Q8_0, 64, true).describe())
        .isEqualTo("Q8_0, rotated, last 64 in F16");
  }
}

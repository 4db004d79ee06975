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
        "k=qjl,v=q8_0|k=QJL,v=Q8_0",
        "V=F16, K=QJL:2|k=QJL,v=F16",
        "k=qjl:4,v=q4_0|k=QJL:4,v=Q4_0",
        "signs|SIGNS",
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
        "k=,v=",
        "qjl",
        "qjl:4",
        "k=qjl:0,v=q8_0",
        "k=qjl:9,v=q8_0",
        "k=qjl:,v=q8_0",
        "k=qjl2,v=q8_0",
        "k=q8_0,v=qjl"
      })
  void refusesTheRest(String text) {
    assertThatThrownBy(() -> KvFormat.parse(text)).hasMessageContaining("_0");
  }

  @ParameterizedTest
  @CsvSource({"QJL, 2", "QJL:1, 1", "QJL:8, 8", "SIGNS, 0", "Q4_0, 0"})
  void namesKeysAsItReadsThem(String name, int sketch) {
    KvFormat format = KvFormat.of(name, "Q8_0");
    assertThat(format.keyName()).isEqualTo(name);
    assertThat(format.sketch()).isEqualTo(sketch);
    assertThat(
            format
                .withRecent(5)
                .withTransform(KvTransform.ROTATED)
                .withRecent(0)
                .withTransform(KvTransform.NONE))
        .isEqualTo(format);
  }

  @Test
  void sketchedKeysAreWholeBlocksOfDirections() {
    KvFormat usual = KvFormat.parse("k=qjl,v=f16");
    assertThat(usual.keySize(128)).isEqualTo(256);
    assertThat(usual.fits(32, 80)).isTrue();
    assertThat(usual.fits(80, 80)).isFalse();
    assertThat(KvFormat.parse("k=qjl:4,v=q8_0").fits(80, 64)).isTrue();
    assertThat(KvFormat.parse("k=qjl:4,v=q8_0").fits(80, 80)).isFalse();
    assertThatThrownBy(() -> new KvFormat(Formats.Q4_0, Formats.Q4_0, 0, KvTransform.NONE, 2))
        .hasMessageContaining("Q4_0")
        .hasMessageContaining("SIGNS");
  }

  @Test
  void saysNothingOfWhatGainsNothing() {
    assertThat(new KvFormat(Formats.F16, Formats.F16, 64, KvTransform.ROTATED))
        .isEqualTo(KvFormat.F16);
    assertThat(new KvFormat(Formats.F8_E4M3, Formats.F16, 64, KvTransform.ROTATED).describe())
        .isEqualTo("k=F8_E4M3,v=F16, last 64 in F16");
    assertThat(new KvFormat(Formats.Q8_0, Formats.Q8_0, 64, KvTransform.ROTATED).describe())
        .isEqualTo("Q8_0, rotated, last 64 in F16");
    assertThat(KvFormat.parse("k=f16,v=q4_0").withTransform(KvTransform.REORDERED).describe())
        .isEqualTo("k=F16,v=Q4_0, reordered");
    assertThat(KvFormat.parse("k=qjl,v=f16").withTransform(KvTransform.ROTATED).transform())
        .isEqualTo(KvTransform.NONE);
    assertThat(
            KvFormat.parse("k=qjl,v=q4_0")
                .withTransform(KvTransform.ROTATED)
                .withRecent(9)
                .describe())
        .isEqualTo("k=QJL,v=Q4_0, rotated, last 9 in F16");
  }
}

package dev.knapsack.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.knapsack.error.ModelFileException;
import java.nio.charset.StandardCharsets;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class GgufHeaderTest {
  @ParameterizedTest
  @ValueSource(ints = {2, 3})
  void bothVersionsAreRead(int version) {
    GgufHeader header =
        new GgufBytes()
            .i32(GgufHeader.MAGIC)
            .i32(version)
            .i64(2)
            .i64(1)
            .string("general.architecture")
            .i32(8)
            .string("llama")
            .tensor("b", 0, 32, 4)
            .tensor("a", 8, 64, 32, 2)
            .zeros(200)
            .read();
    assertThat(header.metadata().string("general.architecture")).isEqualTo("llama");
    assertThat(header.tensors()).containsOnlyKeys("b", "a");
    assertThat(header.tensors().get("a").bytes()).isEqualTo(68);
    long start = header.offsets().get("b");
    assertThat(start % 32).isZero();
    assertThat(header.offsets().get("a")).isEqualTo(start + 32);
  }

  static Stream<Arguments> hostile() {
    return Stream.of(
        arguments(
            GgufBytes.header(1L << 60, 0).zeros(64), "tensor_count: needs 1152921504606846976"),
        arguments(GgufBytes.header(-1, 0).zeros(64), "tensor_count: needs 18446744073709551615"),
        arguments(GgufBytes.header(0, 1L << 40).zeros(64), "metadata_kv_count: needs"),
        arguments(new GgufBytes().i32(GgufHeader.MAGIC).i32(3), "magic: needs 24 bytes"),
        arguments(new GgufBytes().i32(0x04034b50).zeros(64), "magic: not a GGUF file"),
        arguments(
            new GgufBytes().i32(GgufHeader.MAGIC).i32(3 << 24).zeros(64),
            "version: the file is big-endian"),
        arguments(
            new GgufBytes().i32(GgufHeader.MAGIC).i32(1).zeros(64),
            "version: GGUF version 1; 2 and 3"),
        arguments(
            GgufBytes.header(0, 1).i64(1L << 32).zeros(64), "key 0: a string of 4294967296 bytes"),
        arguments(
            GgufBytes.header(0, 1).string("k").i32(8).i64(1L << 32).zeros(64),
            "k: a string of 4294967296 bytes"),
        arguments(
            GgufBytes.header(0, 1).string("k").i32(8).i64(100).zeros(64), "k: needs 100 bytes"),
        arguments(GgufBytes.header(0, 1).string("k").i32(13).zeros(64), "k: value type 13 at byte"),
        arguments(
            GgufBytes.header(0, 1).string("k").i32(9).i32(9).i64(1).zeros(64),
            "k: an array of arrays"),
        arguments(
            GgufBytes.header(0, 1).string("k").i32(9).i32(4).i64(1L << 61).zeros(64),
            "k: needs 2305843009213693952 entries of at least 4 bytes each"),
        arguments(
            GgufBytes.header(0, 1).string("k").i32(9).i32(8).i64(1L << 61).zeros(64),
            "k: needs 2305843009213693952 entries of at least 8 bytes each"),
        arguments(
            GgufBytes.header(0, 2).string("k").i32(7).zeros(1).string("k").i32(7).zeros(9),
            "k: stands twice in the metadata"),
        arguments(
            GgufBytes.header(0, 1).string("general.alignment").i32(4).i32(24).zeros(64),
            "general.alignment: must be a power of two up to 2^30, and is 24"),
        arguments(
            GgufBytes.header(2, 0).tensor("t", 0, 0, 4).tensor("t", 0, 32, 4).zeros(99),
            "t: stands twice among the tensors"),
        arguments(
            GgufBytes.header(2, 0).tensor("t", 0, 0, 9).tensor("u", 0, 32, 4).zeros(99),
            "u: overlaps tensor t"),
        arguments(
            GgufBytes.header(1, 0).tensor("t", 99, 0, 4).zeros(99),
            "t: Unknown number format number 99; supported are F32 (0)"),
        arguments(
            GgufBytes.header(1, 0).tensor("t", 0, 0, 1, 1, 1, 1, 1).zeros(99),
            "t: 5 dimensions; up to 4"),
        arguments(
            GgufBytes.header(1, 0).tensor("t", 0, 0, 1L << 32, 1L << 32).zeros(99),
            "t: dimension 1 is 4294967296"),
        arguments(
            GgufBytes.header(1, 0).tensor("t", 0, 0, -4).zeros(99), "t: dimension 0 is 18446"),
        arguments(GgufBytes.header(1, 0).tensor("t", 0, 0, 0).zeros(99), "t: dimension 0 is 0"),
        arguments(
            GgufBytes.header(1, 0).tensor("t", 2, 0, 33).zeros(99),
            "t: rows of 33 values, but Q4_0 stores blocks of 32"),
        arguments(
            GgufBytes.header(1, 0).tensor("t", 0, 7, 4).zeros(99), "t: starts at offset 7, which"),
        arguments(
            GgufBytes.header(1, 0).tensor("t", 0, 1L << 40, 4).zeros(99), "t: needs 16 bytes at"),
        arguments(
            GgufBytes.header(1, 0).tensor("t", 0, 0, 1L << 58).zeros(99),
            "t: needs 1,152,921,504"));
  }

  @ParameterizedTest
  @MethodSource("hostile")
  void whatIsWrongIsNamed(GgufBytes file, String message) {
    assertThatThrownBy(file::read)
        .isInstanceOf(ModelFileException.class)
        .hasMessageStartingWith("hostile.gguf: " + message);
  }

  @Test
  void aLongVocabularyCostsLittleMoreThanItsBytes() {
    PackedStrings.Builder builder = new PackedStrings.Builder(128_000);
    long bytes = 0;
    for (int i = 0; i < 128_000; i++) {
      String token = "token" + i;
      bytes += token.getBytes(StandardCharsets.UTF_8).length;
      builder.add(token);
    }
    PackedStrings strings = builder.build();
    assertThat(strings.bytes()).hasSize((int) bytes);
    assertThat(strings.get(0)).isEqualTo("token0");
    assertThat(strings.get(127_999)).isEqualTo("token127999");
  }
}

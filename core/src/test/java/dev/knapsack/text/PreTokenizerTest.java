package dev.knapsack.text;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class PreTokenizerTest {
  private static List<String> split(String name, String text) {
    List<String> pieces = new ArrayList<>();
    Objects.requireNonNull(PreTokenizer.named(name))
        .splitter(text)
        .split(0, text.length(), (from, to) -> pieces.add(text.substring(from, to)));
    return pieces;
  }

  /** In the table, _ stands for a space, ~ for a newline, and / for a cut. */
  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      textBlock =
          """
          gpt-2; I've__12_cats!~~; I/'ve/_/_12/_cats/!/~~
          gpt-2; WE'RE; WE/'/RE
          gpt-2; a___; a/___
          llama-bpe; WE'RE_12345; WE/'RE/_/123/45
          llama-bpe; a'Sa'ſa'LL; a/'S/a/'ſ/a/'LL
          llama-bpe; (word)_=~~x; (word/)/_=~~/x
          llama-bpe; a_~_~__b; a/_~_~/_/_b
          llama-bpe; क्षि; क/्ष/ि
          qwen2; 2024; 2/0/2/4
          qwen35; क्षि; क्षि
          starcoder; a_12; a/_/1/2
          falcon; a,1234; a/,/123/4
          gpt-4o; HelloWorld's_ABCdef; Hello/World's/_ABCdef
          gpt-4o; a//~1234; a/SS~/123/4
          tekken; HelloWorld's_12; Hello/World/'s/_/1/2
          tekken; ABCd; ABCd
          kimi-k2; 我想a想; 我想/a/想
          gpt-4o; 我想a想; 我想a想
          deepseek-v3; 我a1234.word; 我/a/123/4/.word
          deepseek-llm; Ωж_a1我~__; Ωж/_a/1/我/~/__
          deepseek-coder; ab_12..; ab/_/1/2/..
          seed-coder; !~~; !/~~
          bailingmoe; !~~; !~~
          bloom; ab,_cd; ab/,/_cd
          gemma4; a_b~~c; a_b/~~/c
          default; a.b_12345; a/./b/_/123/45
          """)
  void cutsAsTheModelsOwnTokenizerDoes(String name, String text, String pieces) {
    List<String> expected = new ArrayList<>();
    for (String piece : pieces.split("/")) {
      expected.add(piece.replace("SS", "//").replace('_', ' ').replace('~', '\n'));
    }
    assertThat(split(name, text.replace('_', ' ').replace('~', '\n'))).isEqualTo(expected);
  }

  @Test
  void blanksAreThoseOfUnicode() {
    assertThat(split("gpt-2", "a\u3000\u00A0b")).containsExactly("a", "\u3000", "\u00A0", "b");
    assertThat(split("llama-bpe", "a\u3000\u3000b")).containsExactly("a", "\u3000", "\u3000b");
  }

  /** One name for each way of cutting. */
  static Collection<String> ways() {
    Map<String, String> byPatterns = new LinkedHashMap<>();
    for (String name : PreTokenizer.names()) {
      byPatterns.putIfAbsent(
          Objects.requireNonNull(PreTokenizer.named(name)).patterns().toString(), name);
    }
    return byPatterns.values();
  }

  /** A text that counts how often it is read. */
  private static final class Counted implements CharSequence {
    private final String text;
    private long reads;

    Counted(String text) {
      this.text = text;
    }

    @Override
    public int length() {
      return text.length();
    }

    @Override
    public char charAt(int index) {
      reads++;
      return text.charAt(index);
    }

    @Override
    public CharSequence subSequence(int start, int end) {
      return text.subSequence(start, end);
    }
  }

  @ParameterizedTest
  @MethodSource("ways")
  void theWorkGrowsWithTheLengthAlone(String name) {
    int length = 1 << 12;
    for (String unit :
        new String[] {"a", "A", " ", "\n", " \n", "1", "!", "\u6211", "\uD83D\uDE00", "\u0301"}) {
      for (String end : new String[] {"", "a", "\n", "!", "\u0000"}) {
        Counted text = new Counted(unit.repeat(length / unit.length()) + end);
        int[] last = {0};
        boolean[] gapless = {true};
        Objects.requireNonNull(PreTokenizer.named(name))
            .splitter(text)
            .split(
                0,
                text.length(),
                (from, to) -> {
                  gapless[0] &= from == last[0] && to > from;
                  last[0] = to;
                });
        assertThat(gapless[0] && last[0] == text.length()).isTrue();
        assertThat(text.reads)
            .as("%s times '%s' and '%s'", length, unit, end)
            .isLessThan(100L * length);
      }
    }
  }
}

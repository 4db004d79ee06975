package dev.knapsack.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.TestData;
import dev.knapsack.file.ModelFile;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What holds for every tokenizer that loses nothing (all but WordPiece). */
class TokenizerContractTest {
  private static final String SPACES =
      "{'type': 'Replace', 'pattern': {'String': ' '}, 'content': '\u2581'}";

  static Stream<Tokenizer> tiny() {
    return Stream.of(
        TinyVocabularies.bytePairs().tokenizer(),
        TinyVocabularies.bytePairs().with("pre", "llama-bpe").tokenizer(),
        TinyVocabularies.bytePairs().with("pre", "gpt-4o").tokenizer(),
        TinyVocabularies.bytePairs().with("pre", "deepseek-llm").tokenizer(),
        TinyVocabularies.bytePairs().with("pre", "bloom").tokenizer(),
        TinyVocabularies.bytePairs().without("pre").tokenizer(),
        TinyVocabularies.sentencePieces().tokenizer(),
        TinyVocabularies.sentencePieces().with("add_space_prefix", false).tokenizer(),
        TinyVocabularies.characterPairs().tokenizer(),
        TinyVocabularies.longestMatches().tokenizer(),
        TinyVocabularies.scoredPieces().tokenizer(),
        TinyPipelines.bytes().tokenizer(),
        TinyPipelines.bytes()
            .with("normalizer", "{'type': 'Sequence', 'normalizers': []}")
            .tokenizer(),
        TinyPipelines.pieces().with("normalizer", SPACES).tokenizer());
  }

  @ParameterizedTest
  @MethodSource("tiny")
  void decodingGivesTheTextBack(Tokenizer tokenizer) {
    check(tokenizer, 100);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "gpt-2",
        "mpt",
        "starcoder",
        "deepseek-llm",
        "deepseek-coder",
        "llama-spm",
        "phi-3"
      })
  void decodingGivesTheTextBackInRealVocabularies(String name) {
    try (ModelFile file = ModelFile.open(TestData.path("tokenizers/" + name + ".gguf"))) {
      check(Tokenizer.of(file), 20);
    }
  }

  private static void check(Tokenizer tokenizer, int rounds) {
    SplittableRandom random = new SplittableRandom(tokenizer.size());
    for (int round = 0; round < rounds; round++) {
      String text = randomText(random);
      int[] tokens = tokenizer.encode(text, false, false);
      assertThat(Arrays.stream(tokens)).allMatch(id -> id >= 0 && id < tokenizer.size());
      assertThat(tokenizer.decode(tokens, false)).isEqualTo(text);
      assertThat(tokenizer.fewestTokens(text.length())).isLessThanOrEqualTo(tokens.length);
      StreamDecoder stream = tokenizer.stream(-1, _ -> false);
      StringBuilder streamed = new StringBuilder();
      for (int token : tokens) {
        streamed.append(stream.next(token));
      }
      assertThat(streamed.append(stream.finish()).toString()).isEqualTo(text);
    }
  }

  /** Runs of characters of many kinds; not U+2581, which SentencePiece cannot tell from a space. */
  private static String randomText(SplittableRandom random) {
    StringBuilder text = new StringBuilder();
    int runs = random.nextInt(12);
    for (int run = 0; run < runs; run++) {
      int kind = random.nextInt(8);
      int length = random.nextInt(1, 9);
      for (int i = 0; i < length; i++) {
        int character =
            switch (kind) {
              case 0 -> ' ';
              case 1 -> "\n\r\t\u00A0\u3000\u2028".charAt(random.nextInt(6));
              case 2 -> random.nextInt('0', '9' + 1);
              case 3 -> random.nextInt(0x4E00, 0x9FFF);
              case 4 -> random.nextInt(0x1F300, 0x1FAFF);
              case 5 -> random.nextInt(0x300, 0x370);
              case 6 -> random.nextInt(0x20, 0x7F);
              default -> random.nextInt(0x10000);
            };
        if (character != 0x2581 && !Character.isSurrogate((char) Math.min(character, 0xFFFF))) {
          text.appendCodePoint(character);
        }
      }
    }
    return text.toString();
  }

  @ParameterizedTest
  @MethodSource("tiny")
  void idsOutsideTheVocabularyAreErrors(Tokenizer tokenizer) {
    assertThatThrownBy(() -> tokenizer.bytes(tokenizer.size(), false))
        .isInstanceOf(IndexOutOfBoundsException.class);
    assertThatThrownBy(() -> tokenizer.isControl(-1)).isInstanceOf(IndexOutOfBoundsException.class);
  }

  /** A text of the longest token over and over has as few tokens as any, and no fewer. */
  @ParameterizedTest
  @MethodSource("tiny")
  void theFewestTokensOfAText(Tokenizer tokenizer) {
    int longest = 0;
    for (int token = 0; token < tokenizer.size(); token++) {
      String text = new String(tokenizer.bytes(token, true), StandardCharsets.UTF_8).repeat(50);
      longest = Math.max(longest, text.length() / 50);
      assertThat(tokenizer.encode(text, true, true).length)
          .isGreaterThanOrEqualTo((int) tokenizer.fewestTokens(text.length()));
    }
    assertThat(tokenizer.fewestTokens(1000L * longest)).isBetween(250L, 1000L);
    assertThat(tokenizer.fewestTokens(0)).isZero();
  }

  @Test
  void whereBlanksVanishNothingBoundsAText() {
    assertThat(TinyVocabularies.wordPieces().tokenizer().fewestTokens(1 << 20)).isZero();
  }

  @ParameterizedTest
  @ValueSource(strings = {"a", " ", "\n", "\uD83D\uDE00", "\u0301\u0323", "<|end|"})
  void aMegabyteOfAnythingIsNoTrouble(String unit) {
    String text = unit.repeat((1 << 20) / unit.length());
    for (TinyMetadata metadata :
        List.of(
            TinyVocabularies.bytePairs().with("pre", "llama-bpe"),
            TinyVocabularies.sentencePieces(),
            TinyVocabularies.characterPairs())) {
      Tokenizer tokenizer = metadata.tokenizer();
      int[] tokens = tokenizer.encode(text, true, true);
      // The beginning, the end and the length: to compare all is what the shorter texts are for.
      int last = tokens.length - 1;
      assertThat(tokenizer.decode(Arrays.copyOf(tokens, 20), false)).startsWith(unit);
      assertThat(tokenizer.decode(Arrays.copyOfRange(tokens, last - 20, last + 1), false))
          .endsWith(unit);
      int bytes = 0;
      for (int token : tokens) {
        bytes += tokenizer.bytes(token, false).length;
      }
      int prefix = ((VocabularyTokenizer) tokenizer).hidesSpaceAfter(-1) ? 1 : 0;
      assertThat(bytes - prefix).isEqualTo(text.getBytes(StandardCharsets.UTF_8).length);
    }
    assertThat(TinyVocabularies.wordPieces().tokenizer().encode(text, false, true)).isNotNull();
  }
}

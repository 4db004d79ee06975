package dev.knapsack.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.ModelFileException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TokenizerErrorsTest {
  private static void refuses(TinyMetadata metadata, String... words) {
    assertThatThrownBy(metadata::tokenizer)
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining("tiny.gguf")
        .hasMessageContainingAll(words);
  }

  @Test
  void anUnknownKindNamesThoseThatAreKnown() {
    refuses(
        TinyVocabularies.bytePairs().with("model", "t5"),
        "tokenizer.ggml.model",
        "'t5'",
        "gpt2",
        "llama",
        "bert",
        "rwkv",
        "plamo2");
    refuses(TinyVocabularies.bytePairs().without("model"), "tokenizer.ggml.model", "missing");
  }

  @Test
  void aBackslashStandsForSomething() {
    for (String token : List.of("a\\", "\\x4", "\\xg0", "\\x")) {
      refuses(
          new TinyMetadata().with("model", "rwkv").with("tokens", List.of("a", token)),
          "tokenizer.ggml.tokens",
          "token 1",
          "backslash");
    }
  }

  @Test
  void scoredPiecesNeedAllBytes() {
    TinyMetadata metadata = TinyVocabularies.scoredPieces();
    metadata.<String>list("tokens").set(3 + 0x41, "A");
    refuses(metadata, "tokenizer.ggml.tokens", "<0x41>");
    refuses(TinyVocabularies.scoredPieces().without("scores"), "tokenizer.ggml.scores");
  }

  @Test
  void anUnknownPreTokenizerNamesThoseThatAreKnown() {
    refuses(
        TinyVocabularies.bytePairs().with("pre", "superb"),
        "tokenizer.ggml.pre",
        "'superb'",
        "llama-bpe",
        "qwen2");
  }

  @Test
  void everyNameThatIsListedIsKnown() {
    assertThat(PreTokenizer.names()).hasSizeGreaterThan(50);
    for (String name : PreTokenizer.names()) {
      assertThat(PreTokenizer.named(name)).as(name).isNotNull();
    }
  }

  @Test
  void mergesMustBeThereAndMakeTokens() {
    refuses(TinyVocabularies.bytePairs().without("merges"), "tokenizer.ggml.merges", "missing");
    for (String merge : List.of("ab", "a ", " a", "")) {
      refuses(
          TinyVocabularies.bytePairs().with("merges", List.of("l l", merge)),
          "tokenizer.ggml.merges",
          "entry 1");
    }
    refuses(
        TinyVocabularies.bytePairs().with("merges", List.of("x y")),
        "tokenizer.ggml.merges",
        "entry 0 'x y'");
    refuses(TinyVocabularies.bytePairs().with("merges", 7), "tokenizer.ggml.merges");
  }

  @Test
  void everyTokenNeedsATypeAndAScore() {
    refuses(
        TinyVocabularies.bytePairs().with("token_type", List.of(1, 1)),
        "tokenizer.ggml.token_type",
        "2 entries for 271 tokens");
    refuses(
        TinyVocabularies.sentencePieces().with("scores", List.of(1f)),
        "tokenizer.ggml.scores",
        "1 entries for 268 tokens");
    refuses(TinyVocabularies.sentencePieces().without("scores"), "tokenizer.ggml.scores");
    refuses(TinyVocabularies.sentencePieces().with("tokens", List.of()), "empty");
    refuses(TinyVocabularies.sentencePieces().with("tokens", "a"), "tokenizer.ggml.tokens");
  }

  @ParameterizedTest
  @CsvSource({
    "bytes, bos_token_id, 271, 11", "bytes, eos_token_id, 271, 11",
    "bytes, eos_token_id, 1099511627776, 11", "bytes, eos_token_id, -1, 11",
    "bytes, eot_token_id, 271, -1", "bytes, eom_token_id, 271, -1",
    "bytes, unknown_token_id, 271, -1", "pieces, bos_token_id, 268, 1",
    "pieces, eos_token_id, 268, 2", "pieces, unknown_token_id, 4294967295, 0"
  })
  void idsOutsideTheVocabularyAreReplacedAsIsUsual(String kind, String key, long id, int instead) {
    TinyMetadata made =
        kind.equals("bytes") ? TinyVocabularies.bytePairs() : TinyVocabularies.sentencePieces();
    Tokenizer tokenizer = made.with(key, id).tokenizer();
    assertThat(tokenizer.notes())
        .singleElement()
        .asString()
        .startsWith("tokenizer.ggml." + key + " is ")
        .contains("ends at " + (tokenizer.size() - 1))
        .contains(instead < 0 ? "none is taken" : instead + ", as is usual, is taken");
    switch (key) {
      case "bos_token_id" -> assertThat(tokenizer.bos()).isEqualTo(instead);
      case "eos_token_id" -> {
        assertThat(tokenizer.eos()).isEqualTo(instead);
        assertThat(tokenizer.endTokens()).contains(instead);
      }
      default -> assertThat(tokenizer.endTokens()).doesNotContain(instead, (int) id);
    }
  }

  @Test
  void tokensThatOnlyFillUpAreNone() {
    TinyMetadata made = TinyVocabularies.sentencePieces();
    int size = made.tokenizer().size();
    List<String> tokens = new ArrayList<>(made.<String>list("tokens"));
    List<Long> types = new ArrayList<>(made.<Long>list("token_type"));
    List<Float> scores = new ArrayList<>(made.<Float>list("scores"));
    for (int id = size; id < size + 3; id++) {
      tokens.add("[PAD" + id + "]");
      types.add(5L);
      scores.add(0f);
    }
    made.with("tokens", tokens).with("token_type", types).with("scores", scores);
    assertThat(made.tokenizer().size()).isEqualTo(size);
    types.set(size + 2, 1L);
    assertThat(made.with("token_type", types).tokenizer().size()).isEqualTo(size + 3);
  }

  @Test
  void aVocabularyThatCannotSpellIsRefused() {
    refuses(
        TinyVocabularies.bytePairs()
            .with("tokens", List.of("a", "b"))
            .without("token_type")
            .without("bos_token_id")
            .without("eos_token_id")
            .with("merges", List.of()),
        "tokenizer.ggml.tokens",
        "no token for the byte");
  }

  @Test
  void emptyAndRepeatedTokensDoNoHarm() {
    Tokenizer tokenizer =
        TinyVocabularies.sentencePieces()
            .with("tokens", List.of("a", "", "a", "\u2581", ""))
            .with("token_type", List.of(1, 3, 1, 99, 4))
            .with("scores", List.of(Float.NaN, 0f, -0f, Float.NEGATIVE_INFINITY, 0f))
            .tokenizer();
    assertThat(tokenizer.encode("a", false, false)).containsExactly(3, 0);
  }
}

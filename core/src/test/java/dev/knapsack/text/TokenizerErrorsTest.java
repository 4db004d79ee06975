package dev.knapsack.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.file.ModelFileException;
import java.util.List;
import org.junit.jupiter.api.Test;

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
        TinyVocabularies.bytePairs().with("model", "rwkv"),
        "tokenizer.ggml.model",
        "'rwkv'",
        "gpt2",
        "llama",
        "bert");
    refuses(TinyVocabularies.bytePairs().without("model"), "tokenizer.ggml.model", "missing");
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

  @Test
  void idsMustLieInTheVocabulary() {
    for (String key :
        List.of(
            "bos_token_id", "eos_token_id", "eot_token_id", "eom_token_id", "unknown_token_id")) {
      refuses(
          TinyVocabularies.bytePairs().with(key, 271),
          "tokenizer.ggml." + key,
          "271",
          "ends at 270");
      refuses(TinyVocabularies.bytePairs().with(key, 1L << 40), "tokenizer.ggml." + key);
    }
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

package dev.knapsack.text;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.NotesQuestion;
import dev.knapsack.TestData;
import dev.knapsack.file.ModelFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The token ids that each model's own tokenizer gives for the same texts. */
class TokenizerVectorsTest {
  private static final String SEPARATOR = "\n__ggml_vocab_test__\n";

  @ParameterizedTest
  @ValueSource(
      strings = {
        "gpt-2",
        "mpt",
        "starcoder",
        "deepseek-llm",
        "deepseek-coder",
        "llama-spm",
        "phi-3",
        "bert-bge"
      })
  void textsBecomeTheTokensOfTheOriginal(String name) throws IOException {
    Path path = TestData.path("tokenizers/" + name + ".gguf");
    try (ModelFile file = ModelFile.open(path)) {
      check(name, Tokenizer.of(file));
    }
  }

  /** The same vocabularies as the hub has them, with the parts that the models have there. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "gpt-2 | null | {'type': 'ByteLevel', 'add_prefix_space': false}",
        "starcoder | null | {'type': 'Sequence', 'pretokenizers': [{'type': 'Digits',"
            + " 'individual_digits': true}, {'type': 'ByteLevel', 'add_prefix_space': false}]}",
        "bert-bge | {'type': 'BertNormalizer', 'clean_text': true, 'handle_chinese_chars': true,"
            + " 'strip_accents': null, 'lowercase': true} | {'type': 'BertPreTokenizer'}"
      })
  void theirFilesOnTheHubGiveThemToo(String name, String normalizer, String preTokenizer)
      throws IOException {
    try (ModelFile file = ModelFile.open(TestData.path("tokenizers/" + name + ".gguf"))) {
      TinyPipelines hub =
          name.startsWith("bert")
              ? TinyPipelines.wordPieces(file.metadata())
              : TinyPipelines.bytePairs(file.metadata());
      check(
          name, hub.with("normalizer", normalizer).with("pre_tokenizer", preTokenizer).tokenizer());
    }
  }

  private static void check(String name, Tokenizer tokenizer) throws IOException {
    Path path = TestData.path("tokenizers/" + name + ".gguf");
    // Each text ends with the separator; what follows the last one is nothing.
    List<String> texts =
        Arrays.asList(Files.readString(path.resolveSibling(name + ".gguf.inp")).split(SEPARATOR));
    List<String> expected = Files.readAllLines(path.resolveSibling(name + ".gguf.out"));
    assertThat(texts).hasSameSizeAs(expected).hasSizeGreaterThan(40);
    List<String> wrong = new ArrayList<>();
    for (int i = 0; i < texts.size(); i++) {
      String want = expected.get(i).strip();
      String got =
          String.join(
              " ",
              Arrays.stream(tokenizer.encode(texts.get(i), false, false))
                  .mapToObj(Integer::toString)
                  .toList());
      if (!got.equals(want)) {
        wrong.add(i + " '" + texts.get(i) + "': " + got + ", expected " + want);
      }
    }
    assertThat(wrong).isEmpty();
  }

  @Test
  void notesHaveAsManyTokensAsTheirAuthorCounted() throws IOException {
    try (ModelFile file = ModelFile.open(TestData.path("notes/notes-2.6m-q8_0.gguf"))) {
      Tokenizer tokenizer = Tokenizer.of(file);
      for (NotesQuestion question : NotesQuestion.all()) {
        int[] tokens = tokenizer.encode(question.context(), true, true);
        assertThat(tokens).as(question.id()).hasSize(question.contextTokens());
        assertThat(tokenizer.decode(tokens, true)).isEqualTo(question.context());
      }
    }
  }
}

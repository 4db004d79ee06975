package dev.knapsack.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class QuestionsTest {
  @TempDir Path folder;

  @Test
  void aQuestionALine() throws IOException {
    Path file = folder.resolve("q.jsonl");
    Files.writeString(
        file,
        """
        {"id": "a", "context": "Where?", "answer": " Here. ", "kind": "place", "more": [1]}

        {"context": "Who?", "answer": "Flo."}
        {"context": "When?", "answer": "Now."}\
        """);
    assertThat(Questions.read(file, 9))
        .containsExactly(
            new Question("a", "Where?", "Here.", "place"),
            new Question("line 3", "Who?", "Flo.", ""),
            new Question("line 4", "When?", "Now.", ""));
    assertThat(Questions.read(file, 1)).hasSize(1);
  }

  @Test
  void whereAQuestionBeginsAndWhatItBelongsTo() throws IOException {
    Path file = folder.resolve("q.jsonl");
    Files.writeString(
        file,
        """
        {"id": "a", "context": "So. Who?", "answer": "Flo.", "split": 4, "context_id": 3, "depth": 90}
        """);
    assertThat(Questions.read(file, 9))
        .containsExactly(
            new Question("a", "So. Who?", "Flo.", "", 4, "3", 90, Question.Match.EXACT));
  }

  @Test
  void theNotesModelHasQuestionsOfItsOwn() throws IOException {
    List<Question> questions = Questions.ofNotes(1000);
    Set<String> kinds = new HashSet<>();
    for (Question question : questions) {
      kinds.add(question.kind());
      assertThat(question.prompt()).startsWith("<|bos|><|user|> ").endsWith("<|assistant|>");
      assertThat(question.prompt().substring(question.split()))
          .startsWith("<|user|> ")
          .hasSizeLessThan(120);
    }
    assertThat(questions).hasSize(56);
    assertThat(kinds).hasSizeGreaterThan(10);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '@',
      value = {
        "'{\"answer\": \"x\"}' @ 'line 1: ''context'' is missing; it must be a string'",
        "'{\"context\": \"x\", \"answer\": []}' @ 'line 1: ''answer'' is none; it must be a"
            + " string'",
        "'{\"context\": \"x\", \"answer\": \" \"}' @ 'line 1: ''context'' and ''answer'' must not"
            + " be empty'",
        "'{\"context\": \"x\"' @ 'line 1: is no JSON object'",
        "'{\"context\": \"x\", \"answer\": \"y\", \"split\": 2}' @ 'line 1: ''split'' is 2; it must"
            + " be a place in ''context'', 0 to 1'",
        "'{\"context\": \"x\", \"answer\": \"y\", \"split\": -1}' @ 'line 1: ''split'' is -1; it"
            + " must be a whole number'",
        "'[]' @ 'line 1: is no JSON object'",
        "'' @ 'holds no questions'",
      })
  void whatIsNoQuestion(String content, String said) throws IOException {
    Path file = folder.resolve("q.jsonl");
    Files.writeString(file, content);
    assertThatThrownBy(() -> Questions.read(file, 9))
        .isInstanceOf(TextException.class)
        .hasMessageContaining(file.toString())
        .hasMessageContaining(said);
  }

  @Test
  void whatIsNoText() throws IOException {
    Path file = folder.resolve("q.jsonl");
    Files.write(file, new byte[] {'{', (byte) 0xFF, (byte) 0xFE});
    assertThatThrownBy(() -> Questions.read(file, 9))
        .isInstanceOf(TextException.class)
        .hasMessageContaining("is no UTF-8");
    Files.writeString(file, "x".repeat(5 << 20));
    assertThatThrownBy(() -> Questions.read(file, 9))
        .isInstanceOf(TextException.class)
        .hasMessageContaining("line 1: is longer than");
  }

  @Test
  void aTextEndsWithAWholeCharacter() throws IOException {
    Path file = folder.resolve("t.txt");
    Files.writeString(file, "für €");
    int all = "für €".getBytes(StandardCharsets.UTF_8).length;
    assertThat(Text.read(file, Long.MAX_VALUE).content()).isEqualTo("für €");
    assertThat(Text.read(file, all - 1).content()).isEqualTo("für ");
    assertThat(Text.read(file, all - 2).content()).isEqualTo("für ");
    assertThat(Text.read(file, 2).content()).isEqualTo("f");
    assertThat(Text.read(file, 3).content()).isEqualTo("fü");
    Files.writeString(file, "");
    assertThatThrownBy(() -> Text.read(file, 9)).hasMessageContaining("holds no text");
  }
}

package dev.knapsack.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.file.ModelFile;
import dev.knapsack.text.Tokenizer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class TasksTest {
  @ParameterizedTest
  @CsvSource({
    "notes/notes-2.6m-q8_0.gguf, <|user|>, <|assistant|>",
    "models/stories260K.gguf, '', Answer:"
  })
  void inTheWordsOfTheModel(String name, String begin, String end) {
    Path model = Data.path(name);
    try (ModelFile file = ModelFile.open(model)) {
      Tokenizer tokenizer = Tokenizer.of(file);
      for (Question q : new Tasks(List.of(Task.values()), 400, 5, 7).questions(model)) {
        assertThat(q.prompt()).contains(begin).endsWith(end);
        assertThat(q.prompt().substring(q.split())).startsWith("Wh").hasSizeLessThan(100);
        assertThat(q.match()).isEqualTo(Question.Match.CONTAINED);
        assertThat(tokenizer.encode(q.prompt(), true, true).length).as(q.id()).isBetween(330, 430);
      }
    }
  }

  @Test
  void aSeedMakesTheSameQuestionsWhateverIsAskedBeside() {
    Path model = Data.path("models/stories260K.gguf");
    List<Question> recall = new Tasks(List.of(Task.RECALL), 300, 3, 1).questions(model);
    List<Question> both = new Tasks(List.of(Task.NEEDLE, Task.RECALL), 300, 3, 1).questions(model);
    assertThat(both.subList(3, 6)).isEqualTo(recall);
    assertThat(new Tasks(List.of(Task.RECALL), 300, 3, 2).questions(model)).isNotEqualTo(recall);
  }

  @ParameterizedTest
  @EnumSource
  void theAnswerIsWhatTheTextSays(Task task) {
    Path model = Data.path("models/stories260K.gguf");
    for (Question q : new Tasks(List.of(task), 500, 10, 5).questions(model)) {
      String text = q.prompt().substring(0, q.split());
      String question = q.prompt().substring(q.split()).lines().findFirst().orElseThrow();
      switch (task) {
        case NEEDLE -> {
          String place = question.replaceAll("What is the code of the (\\w+)\\?", "$1");
          String fact = "The code of the " + place + " is " + q.answer() + ".";
          assertThat(text.indexOf(fact) * 100 / text.length())
              .isBetween(q.depth() - 6, q.depth() + 6);
        }
        case RECALL -> {
          String name = question.replaceAll("What is (\\w+)'s number\\?", "$1");
          assertThat(text).containsOnlyOnce(name + "'s number is " + q.answer() + ".");
        }
        case VARIABLES -> {
          String value = question.replaceAll("\\D+", "");
          String[] names = q.answer().split(" ");
          assertThat(names).hasSize(5);
          int at = text.indexOf("VAR " + names[0] + " = " + value + ".");
          assertThat(at).isNotNegative();
          for (int i = 1; i < names.length; i++) {
            int next = text.indexOf("VAR " + names[i] + " = VAR " + names[i - 1] + ".");
            assertThat(next).isGreaterThan(at);
            at = next;
          }
        }
        case WORDS -> {
          Map<String, Long> counts =
              Arrays.stream(text.split("\\s+"))
                  .collect(Collectors.groupingBy(w -> w, Collectors.counting()));
          List<String> three = List.of(q.answer().split(" "));
          long least = three.stream().mapToLong(counts::get).min().orElseThrow();
          assertThat(counts).hasSizeGreaterThan(20);
          counts.forEach((word, count) -> {
            if (!three.contains(word)) {
              assertThat(count).as(word).isLessThan(least);
            }
          });
        }
      }
    }
  }

  @Test
  void anOutputThatContainsAllWordsIsRight() {
    Question q = new Question("q", "?", "Flo Gus", "", -1, "", -1, Question.Match.CONTAINED);
    assertThat(q.answeredBy("Gus and Flo.")).isTrue();
    assertThat(q.answeredBy("Gus, I think")).isFalse();
    assertThat(new Question("q", "?", "Flo", "").answeredBy(" Flo\n")).isTrue();
    assertThat(new Question("q", "?", "Flo", "").answeredBy("Flo.")).isFalse();
    assertThatThrownBy(() -> new Tasks(List.of(Task.WORDS), 63, 1, 1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("64 tokens or more");
  }
}

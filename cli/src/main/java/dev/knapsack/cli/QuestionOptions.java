package dev.knapsack.cli;

import dev.knapsack.eval.Question;
import dev.knapsack.eval.Questions;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The questions that a model is asked: {@code --questions} and {@code --limit}. */
final class QuestionOptions {
  @Option(
      names = "--questions",
      paramLabel = "FILE.jsonl",
      description =
          "Questions, a JSON object a line: the whole prompt in 'context', the exact 'answer', and"
              + " in 'split' where in 'context' the question begins.")
  private @Nullable Path questions;

  @Option(
      names = "--limit",
      paramLabel = "N",
      description = "Ask no more than the first N questions.")
  private @Nullable Integer limit;

  /** Says whether a file was named. */
  boolean given() {
    return questions != null;
  }

  /** The most questions, if the user said so. */
  OptionalInt limit() {
    if (limit == null) {
      return OptionalInt.empty();
    }
    if (limit < 1) {
      throw new IllegalArgumentException("--limit must be 1 or more, not " + limit);
    }
    return OptionalInt.of(limit);
  }

  /**
   * The questions of the file; without one, those made for the model inside if that is the model,
   * and otherwise none.
   *
   * @param usual the most, if the user does not say
   */
  List<Question> of(ModelArgument model, int usual) throws IOException {
    int most = limit().orElse(usual);
    if (questions != null) {
      return Questions.read(questions, most);
    }
    return model.embedded() ? Questions.ofNotes(most) : List.of();
  }

  /** The name of where they are from; empty if there are none. */
  String name(ModelArgument model) {
    return questions != null ? questions.toString() : model.embedded() ? "questions inside" : "";
  }
}

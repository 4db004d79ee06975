package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.NotesQuestion;
import dev.knapsack.TestData;
import dev.knapsack.cache.KvFormat;
import dev.knapsack.file.ModelFile;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.generation.Sampling;
import dev.knapsack.host.Host;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.memory.Budget;
import dev.knapsack.plan.Plan;
import dev.knapsack.text.Tokenizer;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** From text to text with a trained model: it must remember what it was told. */
class NotesTest {
  /** The definition of the arithmetic takes seconds a question, and agrees with the others. */
  private static final int SCALAR_QUESTIONS = 1;

  @Test
  void itAnswersWhatItIsKnownToAnswer() throws IOException {
    KernelProvider.Choice kernels = KernelProvider.best();
    List<NotesQuestion> questions = NotesQuestion.all();
    assertThat(questions).hasSize(20);
    if (kernels.kernels().provider() == KernelProvider.SCALAR) {
      questions = questions.subList(0, SCALAR_QUESTIONS);
    }
    Budget budget = Budget.of("64MiB");
    try (ModelFile file = ModelFile.open(TestData.path("notes/notes-2.6m-q8_0.gguf"))) {
      Tokenizer tokenizer = Tokenizer.of(file);
      Host host = new Host(budget, Host.Options.of(kernels));
      try (Engine engine =
          Engine.open(file, tokenizer, plan(KvFormat.F16), host, Engine.Options.usual())) {
        List<String> expected = new ArrayList<>();
        List<String> answers = new ArrayList<>();
        for (NotesQuestion question : questions) {
          int[] prompt = tokenizer.encode(question.context(), true, true);
          Request request = Request.of(prompt).withSampling(Sampling.GREEDY).withMaxTokens(40);
          try (Answer answer = engine.start(request)) {
            answers.add(question.id() + answer.text());
            assertThat(answer.finishReason()).contains(FinishReason.END_TOKEN);
          }
          expected.add(question.id() + " " + question.answer());
        }
        assertThat(answers).isEqualTo(expected);
      }
    }
    assertThat(budget.used()).isZero();
  }

  /** One bit for each of 64 directions, and the last tokens in halves. */
  @Test
  void itRemembersWithSketchedKeys() throws IOException {
    assertThat(wrong(KvFormat.parse("k=qjl,v=q8_0").withRecent(64))).isLessThan(3);
  }

  private static int wrong(KvFormat format) throws IOException {
    KernelProvider.Choice kernels = KernelProvider.best();
    List<NotesQuestion> questions = NotesQuestion.all();
    if (kernels.kernels().provider() == KernelProvider.SCALAR) {
      questions = questions.subList(0, SCALAR_QUESTIONS);
    }
    Budget budget = Budget.of("64MiB");
    int wrong = 0;
    try (ModelFile file = ModelFile.open(TestData.path("notes/notes-2.6m-q8_0.gguf"))) {
      Tokenizer tokenizer = Tokenizer.of(file);
      Host host = new Host(budget, Host.Options.of(kernels));
      try (Engine engine =
          Engine.open(file, tokenizer, plan(format), host, Engine.Options.usual())) {
        for (NotesQuestion question : questions) {
          int[] prompt = tokenizer.encode(question.context(), true, true);
          Request request = Request.of(prompt).withSampling(Sampling.GREEDY).withMaxTokens(40);
          try (Answer answer = engine.start(request)) {
            wrong += answer.text().strip().equals(question.answer()) ? 0 : 1;
          }
        }
      }
    }
    assertThat(budget.used()).isZero();
    return wrong;
  }

  /** All resident, one sequence. */
  private static Plan plan(KvFormat format) {
    return new Plan(
        "notes",
        64L << 20,
        512,
        1,
        Plan.Cache.of(format),
        64,
        2,
        Plan.Weights.RESIDENT,
        List.of(),
        List.of(),
        new Plan.Prediction(0, 0, 0, 0, 0));
  }
}

package dev.knapsack;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.ConstraintException;
import dev.knapsack.generation.Constraint;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.generation.Sampling;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.message.Conversation;
import dev.knapsack.message.Message;
import dev.knapsack.message.Part;
import dev.knapsack.message.Tool;
import dev.knapsack.message.ToolChoice;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Answers of a model that knows stories alone, held to what it would never write. */
class ConstrainedAnswersTest {
  private static final Sampling WILD =
      Sampling.DEFAULT.withTemperature(1.5f).withTopK(0).withTopP(1);

  private static final Constraint DATE =
      new Constraint.Grammar(
          "root ::= \"The date of this is: \" [0-9]{4} \"-\" [01] [0-9] \"-\" [0-3] [0-9]");

  private final Path model = TestData.path("models/stories260K.gguf");
  private final Budget budget = Budget.of("64MiB");
  private final Host host = new Host(budget, Host.Options.usual().withCache(TestData.cache()));

  @AfterEach
  void everyByteIsGivenBack() {
    assertThat(budget.used()).isZero();
  }

  private Knapsack open() {
    return Knapsack.open(model, host, Options.usual().withWorkers(2).withSequences(4));
  }

  private static GenerationRequest story() {
    return GenerationRequest.ofText("Once upon a time");
  }

  private static Generation.Result result(Knapsack knapsack, GenerationRequest request) {
    return knapsack.generate(request).result().toCompletableFuture().join();
  }

  @Test
  void everyAnswerIsInTheLanguage() {
    try (Knapsack knapsack = open()) {
      for (Sampling sampling :
          List.of(
              Sampling.GREEDY, WILD, WILD.withTopK(5), WILD.withTopP(0.5f), WILD.withMinP(0.2f))) {
        for (long seed = 0; seed < 6; seed++) {
          Sampling seeded = seed % 2 == 0 ? sampling.withSeed(seed) : sampling;
          Generation.Result result =
              result(knapsack, story().withConstraint(DATE).withSampling(seeded));
          assertThat(result.message().text())
              .matches("The date of this is: \\d{4}-[01]\\d-[0-3]\\d");
          assertThat(result.reason()).isEqualTo(FinishReason.END_TOKEN);
          assertThat(result.usage().tokens()).isEqualTo(result.tokens().size());
        }
      }
      assertThat(budget.account("constraint").used()).isPositive();
    }
  }

  @Test
  void whatIsPlannedForConstraintsIsTheMostThatTheyTake() {
    Options options = Options.usual().withWorkers(2).withConstraints(true);
    try (Knapsack knapsack = Knapsack.open(model, host, options)) {
      assertThat(knapsack.plan().bytes("constraint")).isPositive();
      for (int i = 0; i < 30; i++) {
        result(
            knapsack,
            story()
                .withConstraint(new Constraint.Regex("[a-e]{%d}[^a-e]{9}".formatted(i + 1)))
                .withSampling(WILD.withSeed(i)));
      }
      assertThat(budget.account("constraint").peak())
          .isPositive()
          .isLessThanOrEqualTo(knapsack.plan().bytes("constraint"));
    }
  }

  @Test
  void choicesAndJson() {
    try (Knapsack knapsack = open()) {
      List<String> texts = List.of("yes", "yes, but", "näh", " no");
      for (int i = 0; i < 5; i++) {
        assertThat(
                knapsack
                    .generate(
                        story().withConstraint(new Constraint.Choice(texts)).withSampling(WILD))
                    .text())
            .isIn(texts);
        String json =
            knapsack
                .generate(story().withConstraint(new Constraint.Json()).withMaxTokens(400))
                .text();
        assertThat(json).startsWith("{");
      }
    }
  }

  @Test
  void samplesAreHeldEachByItself() {
    try (Knapsack knapsack = open()) {
      List<Generation> answers =
          knapsack.generate(story().withConstraint(DATE).withSampling(WILD.withSeed(4)), 4);
      List<String> texts = answers.stream().map(Generation::text).toList();
      assertThat(texts).allMatch(text -> text.matches("The date of this is: [\\d-]{10}"));
      assertThat(texts).doesNotHaveDuplicates();
      // Each is as if it were alone.
      for (int i = 0; i < 4; i++) {
        assertThat(
                knapsack
                    .generate(story().withConstraint(DATE).withSampling(WILD.withSeed(4 + i)))
                    .text())
            .isEqualTo(texts.get(i));
      }
    }
  }

  @Test
  void whatIsCutShortIsABeginning() {
    try (Knapsack knapsack = open()) {
      for (int most : new int[] {1, 3, 12}) {
        Generation.Result cut = result(knapsack, story().withConstraint(DATE).withMaxTokens(most));
        assertThat(cut.reason()).isEqualTo(FinishReason.MAX_TOKENS);
        assertThat(cut.tokens()).hasSize(most);
        assertThat("The date of this is: ").startsWith(cut.message().text());
      }
      Generation.Result stopped = result(knapsack, story().withConstraint(DATE).withStops("is:"));
      assertThat(stopped.reason()).isEqualTo(FinishReason.STOP_STRING);
      assertThat(stopped.message().text()).isEqualTo("The date of this ");
    }
  }

  @Test
  void whatMustFollowIsNotAskedFor() {
    try (Knapsack knapsack = open()) {
      GenerationRequest greedy = story().withConstraint(DATE).withSampling(Sampling.GREEDY);
      Generation.Result forced = result(knapsack, greedy);
      Generation.Result asked = result(knapsack, greedy.withLogProbabilities(0));

      assertThat(forced.usage().steps()).isLessThan(asked.usage().steps());
      assertThat(forced.message().text()).startsWith("The date of this is: ");
      assertThat(asked.tokens()).allMatch(token -> token.logProbability().isPresent());
      double sum = asked.tokens().stream().mapToDouble(t -> t.logProbability().orElse(0)).sum();
      assertThat(sum).isLessThan(-20); // the model's own: it would have written something else
    }
  }

  @Test
  void theUnlikelyIsSaidWhereItMust() {
    try (Knapsack knapsack = open()) {
      int a = knapsack.tokens("a", false)[1];
      assertThatThrownBy(() ->
              knapsack
                  .generate(
                      story()
                          .withConstraint(new Constraint.Grammar("root ::= [^ -~]{3}"))
                          .withSampling(Sampling.GREEDY.withLogitBias(Map.of(a, 5f)))
                          .withIgnoreEnd(true))
                  .text())
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("ends where that ends");
      String text =
          knapsack
              .generate(
                  story()
                      .withConstraint(new Constraint.Grammar("root ::= [^ -~\\n]{3}"))
                      .withSampling(WILD.withSeed(1)))
              .text();
      assertThat(text.codePointCount(0, text.length())).isEqualTo(3);
      assertThat(text.codePoints()).allMatch(c -> c > '~' || c < ' ');
    }
  }

  @Test
  void whatCannotBeHonouredIsRefusedBeforeAnythingIsWritten() {
    try (Knapsack knapsack = open()) {
      assertThatThrownBy(() ->
              knapsack.generate(story().withConstraint(new Constraint.Grammar("root ::= other"))))
          .isInstanceOf(ConstraintException.class)
          .hasMessageContaining("line 1, column 10");
      assertThatThrownBy(() ->
              knapsack.generate(
                  GenerationRequest.of(
                          Conversation.of(Message.user("Hi."))
                              .withTools(List.of(new Tool("time", "", "{}"))))
                      .withToolChoice(ToolChoice.REQUIRED)))
          .isInstanceOf(ConstraintException.class)
          .hasMessageContaining("no form of calls");
      // Where no form is known nothing is a call, so none is against the schema.
      Tool strict = new Tool("time", "", "{}").withStrict(true);
      assertThat(
              result(
                      knapsack,
                      GenerationRequest.of(
                              Conversation.of(Message.user("Hi.")).withTools(List.of(strict)))
                          .withMaxTokens(3))
                  .tokens())
          .hasSize(3);
    }
  }

  @Test
  void aCallThatIsRequiredIsWritten(@TempDir Path folder) {
    String turns = "{% for m in messages %}{{ m.content }}{% endfor %}";
    Path hermes =
        KnapsackTest.withTemplates(
            folder.resolve("hermes.gguf"), turns, "{{ tools }}<tool_call>" + turns);
    Tool weather =
        new Tool(
            "weather",
            "Says how it is.",
            "{\"type\": \"object\", \"properties\": {\"unit\": {\"enum\": [\"K\"]}},"
                + " \"required\": [\"unit\"], \"additionalProperties\": false}");
    Conversation asked = Conversation.of(Message.user("Hi.")).withTools(List.of(weather));
    try (Knapsack knapsack =
        Knapsack.open(hermes, host, Options.usual().withWorkers(1).withContext(512))) {
      for (long seed = 0; seed < 4; seed++) {
        Generation.Result result =
            result(
                knapsack,
                GenerationRequest.of(asked)
                    .withToolChoice(ToolChoice.REQUIRED)
                    .withParallelCalls(false)
                    .withSampling(WILD.withSeed(seed)));
        assertThat(result.reason()).isEqualTo(FinishReason.END_TOKEN);
        assertThat(result.message().parts())
            .singleElement()
            .isInstanceOfSatisfying(
                Part.ToolCall.class,
                call -> {
                  assertThat(call.name()).isEqualTo("weather");
                  // The arguments are as the model wrote them, its spaces included.
                  assertThat(call.arguments().replaceAll("\\s", "")).isEqualTo("{\"unit\":\"K\"}");
                });
      }
    }
  }
}

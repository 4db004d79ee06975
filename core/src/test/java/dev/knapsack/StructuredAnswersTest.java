package dev.knapsack;

import static dev.knapsack.testing.ScriptedModel.call;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.networknt.schema.InputFormat;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import dev.knapsack.error.ConstraintException;
import dev.knapsack.error.StructuredAnswerException;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.generation.Sampling;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.message.Conversation;
import dev.knapsack.message.Message;
import dev.knapsack.message.Tool;
import dev.knapsack.message.ToolChoice;
import dev.knapsack.testing.ScriptedModel;
import dev.knapsack.testing.ScriptedModel.Line;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.file.Path;
import java.time.Instant;
import java.time.LocalDate;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Answers that are Java's own values. */
class StructuredAnswersTest {
  enum Course {
    STARTER,
    MAIN
  }

  record Step(String text, int minutes) {}

  record Recipe(
      String name,
      Course course,
      List<Step> steps,
      Optional<String> note,
      @Nullable Double price) {}

  sealed interface Shape permits Circle, Polygon {}

  record Circle(double radius) implements Shape {}

  sealed interface Polygon extends Shape permits Square {}

  record Square(long side, List<Shape> inside) implements Polygon {}

  record Everything(
      boolean flag,
      byte small,
      Short medium,
      Long large,
      BigInteger whole,
      BigDecimal exact,
      LocalDate day,
      Instant moment,
      UUID id,
      Set<Course> courses,
      Map<String, List<Integer>> counts) {}

  record Tree(String name, List<Tree> below) {}

  private static final String BREAD =
      "{\"name\": \"Bread\", \"course\": \"MAIN\", \"steps\": [{\"text\": \"Knead.\", \"minutes\":"
          + " 12}, {\"text\": \"Bake.\", \"minutes\": 40}], \"price\": null}";

  private static final String ALL =
      "{\"flag\": true, \"small\": -7, \"medium\": 300, \"large\": 5000000000, \"whole\": 12,"
          + " \"exact\": 0.25, \"day\": \"2024-02-29\", \"moment\": \"2024-02-29T12:30:00+02:00\","
          + " \"id\": \"123e4567-e89b-12d3-a456-426614174000\", \"courses\": [\"MAIN\", \"MAIN\"],"
          + " \"counts\": {\"a\": [1, 2], \"b\": []}}";

  private static final List<Line> SCRIPT =
      List.of(
          new Line("Ada", "In England.", "{\"town\": \"London\"}"),
          new Line("course", "I should say main.", "\"MAIN\""),
          new Line("clock", "I shall look." + call("clock", "{}"), "\"STARTER\""));

  record Birth(String town) {}

  record Village(String town) {
    Village {
      if (town.equals("London")) {
        throw new IllegalArgumentException("too large: " + town);
      }
    }
  }

  private static final UnaryOperator<GenerationRequest> GREEDY =
      request -> request.withSampling(Sampling.GREEDY).withMaxTokens(100);

  private static final Tool CLOCK = new Tool("clock", "The time.", "{\"type\": \"object\"}");

  @TempDir static Path folder;
  private static Knapsack model;

  @BeforeAll
  static void open() {
    model =
        ScriptedModel.open(folder, SCRIPT, Options.usual().withWorkers(1).withConstraints(true));
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static <T> T ask(String text, Class<T> type) {
    try (Chat chat = model.chat()) {
      return chat.send(text, type, GREEDY);
    }
  }

  @Test
  void aModelThatWouldRatherChatAnswersWithARecord() {
    try (Chat chat = model.chat()) {
      assertThat(chat.send("Where was Ada born?", Birth.class, GREEDY))
          .isEqualTo(new Birth("London"));
      assertThat(chat.conversation().messages().getLast().text())
          .isEqualTo("{\"town\": \"London\"}");
    }
    assertThat(ask("Which course is it?", Course.class)).isEqualTo(Course.MAIN);
  }

  @Test
  void noToolIsCalledUnlessItIsAllowed() {
    try (Chat chat = model.chat(Conversation.of().withTools(List.of(CLOCK)))) {
      assertThat(chat.send("Use the clock.", Course.class, GREEDY)).isEqualTo(Course.STARTER);
    }
    Generation answer =
        model.generate(
            GenerationRequest.of(
                    Conversation.of(Message.user("Use the clock.")).withTools(List.of(CLOCK)))
                .withAnswerType(Course.class)
                .withToolChoice(ToolChoice.REQUIRED));
    assertThatThrownBy(() -> answer.as(Course.class))
        .isInstanceOf(StructuredAnswerException.class)
        .hasMessageContaining("calls clock");
  }

  @Test
  void anAnswerThatIsCutIsNone() {
    try (Chat chat = model.chat("Be brief.")) {
      Conversation before = chat.conversation();
      assertThatThrownBy(
              () -> chat.send("Ada?", Birth.class, r -> GREEDY.apply(r).withMaxTokens(5)))
          .isInstanceOfSatisfying(
              StructuredAnswerException.class,
              e -> assertThat(e.text()).startsWith("{\"").doesNotContain("}"))
          .hasMessageContaining("a Birth, and ended after 5 tokens (MAX_TOKENS)");
      assertThat(chat.conversation()).isEqualTo(before);
      // The conversation goes on as if that had not been asked.
      assertThat(chat.send("Ada?", Birth.class, GREEDY)).isEqualTo(new Birth("London"));
      assertThat(chat.conversation().messages()).hasSize(3);
    }
  }

  @Test
  void aRecordMayRefuse() {
    assertThatThrownBy(() -> ask("Where was Ada born?", Village.class))
        .isInstanceOf(StructuredAnswerException.class)
        .hasMessageContaining("Village refuses")
        .hasMessageContaining("too large: London")
        .hasCauseInstanceOf(IllegalArgumentException.class);
    Generation free = model.generate(GenerationRequest.of(Conversation.of(Message.user("Ada"))));
    assertThatThrownBy(() -> free.as(Birth.class))
        .isInstanceOf(StructuredAnswerException.class)
        .hasMessageContaining("no Birth");
  }

  private static Object read(Class<?> type, String json) {
    StructuredType structured = new StructuredType(type);
    assertThat(
            SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12)
                .getSchema(structured.schema())
                .validate(json, InputFormat.JSON))
        .isEmpty();
    return structured.read(json);
  }

  @Test
  void whatTheSchemaAcceptsIsRead() {
    assertThat(read(Recipe.class, BREAD))
        .isEqualTo(
            new Recipe(
                "Bread",
                Course.MAIN,
                List.of(new Step("Knead.", 12), new Step("Bake.", 40)),
                Optional.empty(),
                null));
    assertThat(read(Everything.class, ALL))
        .isEqualTo(
            new Everything(
                true,
                (byte) -7,
                (short) 300,
                5_000_000_000L,
                BigInteger.valueOf(12),
                new BigDecimal("0.25"),
                LocalDate.of(2024, 2, 29),
                Instant.parse("2024-02-29T10:30:00Z"),
                UUID.fromString("123e4567-e89b-12d3-a456-426614174000"),
                Set.of(Course.MAIN),
                Map.of("a", List.of(1, 2), "b", List.of())));
    assertThat(
            read(
                Tree.class,
                "{\"name\": \"root\", \"below\": [{\"name\": \"leaf\", \"below\": []}]}"))
        .isEqualTo(new Tree("root", List.of(new Tree("leaf", List.of()))));
    assertThat(
            read(
                Shape.class,
                "{\"type\": \"Square\", \"side\": 4, \"inside\": [{\"radius\": 1, \"type\":"
                    + " \"Circle\"}]}"))
        .isEqualTo(new Square(4, List.of(new Circle(1))));
  }

  @ParameterizedTest
  @ValueSource(classes = {Everything.class, Recipe.class, Shape.class, Tree.class})
  void allThatMayBeWrittenIsRead(Class<?> type) {
    Sampling wild = Sampling.DEFAULT.withTemperature(1.5f).withTopK(0).withTopP(1);
    int whole = 0;
    try (Knapsack stories =
        Knapsack.open(
            TestData.path("models/stories260K.gguf"),
            new Host(Budget.of("64MiB")),
            Options.usual().withWorkers(1))) {
      for (int seed = 0; seed < 4; seed++) {
        Generation answer =
            stories.generate(
                GenerationRequest.ofText("Once")
                    .withAnswerType(type)
                    .withSampling(wild.withSeed(seed))
                    .withMaxTokens(300));
        answer.text();
        if (answer.finishReason().equals(Optional.of(FinishReason.END_TOKEN))) {
          assertThat(answer.as(type)).isInstanceOf(type);
          whole++;
        }
      }
    }
    assertThat(whole).isPositive();
  }

  record Bare(Object anything) {}

  record Raw(int count, List<? extends Step> steps) {}

  record Inner(List<Map<Integer, String>> maps) {}

  record Outer(Optional<Inner> inner) {}

  record Kind(String type) implements Tagged {}

  sealed interface Tagged permits Kind {}

  sealed interface Open permits Anyone {}

  non-sealed interface Anyone extends Open {}

  record Generic<T>(T value) {}

  @ParameterizedTest
  @ValueSource(classes = {Bare.class, Raw.class, Outer.class, Tagged.class, Generic.class})
  void aTypeThatNoSchemaStandsForIsRefusedByItsComponent(Class<?> type) {
    String place =
        Map.of(
                Bare.class, "Bare.anything",
                Raw.class, "Raw.steps",
                Outer.class, "Inner.maps",
                Tagged.class, "Kind.type",
                Generic.class, "Generic.value")
            .get(type);
    assertThatThrownBy(() -> ask("Ada", type))
        .isInstanceOfSatisfying(
            ConstraintException.class, e -> assertThat(e.place()).isEqualTo(place));
  }

  @Test
  void aTypeThatCannotBeMadeIsRefused() {
    assertThatThrownBy(() -> ask("Ada", Open.class))
        .isInstanceOf(ConstraintException.class)
        .hasMessage("Open: is of the type Open, of which Anyone is no record.");
    assertThatThrownBy(() -> ask("Ada", java.lang.module.ModuleDescriptor.class))
        .isInstanceOf(ConstraintException.class);
  }
}

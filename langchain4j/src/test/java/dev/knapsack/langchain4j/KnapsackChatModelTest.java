package dev.knapsack.langchain4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.Generation;
import dev.knapsack.GenerationRequest;
import dev.knapsack.Knapsack;
import dev.knapsack.Options;
import dev.knapsack.error.ConstraintException;
import dev.knapsack.error.ContextExceededException;
import dev.knapsack.error.EngineClosedException;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.error.PlanDoesNotFitException;
import dev.knapsack.error.QueueFullException;
import dev.knapsack.error.WaitInterruptedException;
import dev.knapsack.generation.Constraint;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.message.Conversation;
import dev.knapsack.message.Message;
import dev.knapsack.plan.Plan;
import dev.langchain4j.agent.tool.ToolExecutionRequest;
import dev.langchain4j.agent.tool.ToolSpecification;
import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.data.message.AudioContent;
import dev.langchain4j.data.message.CustomMessage;
import dev.langchain4j.data.message.ImageContent;
import dev.langchain4j.data.message.ToolExecutionResultMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.exception.ModelNotFoundException;
import dev.langchain4j.exception.NonRetriableException;
import dev.langchain4j.exception.RateLimitException;
import dev.langchain4j.exception.TimeoutException;
import dev.langchain4j.exception.UnsupportedFeatureException;
import dev.langchain4j.model.chat.Capability;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ResponseFormat;
import dev.langchain4j.model.chat.request.ResponseFormatType;
import dev.langchain4j.model.chat.request.ToolChoice;
import dev.langchain4j.model.chat.request.json.JsonObjectSchema;
import dev.langchain4j.model.chat.request.json.JsonRawSchema;
import dev.langchain4j.model.chat.request.json.JsonSchema;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.output.FinishReason;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Chats through LangChain4j's interface: what comes back, what reaches the engine, what fails. */
class KnapsackChatModelTest {
  private static final ToolSpecification TEMPERATURE =
      ToolSpecification.builder()
          .name("temperature")
          .parameters(JsonObjectSchema.builder().addStringProperty("city").build())
          .build();

  @TempDir static Path folder;
  private static Knapsack knapsack;
  private static KnapsackChatModel model;

  @BeforeAll
  static void open() {
    knapsack = Script.open(folder, Options.usual().withQueue(0));
    model = KnapsackChatModel.builder().knapsack(knapsack).build();
  }

  @AfterAll
  static void close() {
    knapsack.close();
  }

  private static KnapsackChatRequestParameters.Builder parameters() {
    return KnapsackChatRequestParameters.builder();
  }

  private static ChatResponse ask(String text, KnapsackChatRequestParameters.Builder parameters) {
    return model.chat(
        ChatRequest.builder()
            .messages(UserMessage.from(text))
            .parameters(parameters.build())
            .build());
  }

  private static int cached(ChatResponse response) {
    return ((KnapsackTokenUsage) response.tokenUsage()).cachedInputTokenCount();
  }

  @Test
  void thinkingIsToldFromWhatIsSaid() {
    AiMessage answer = ask("Is 7 a prime?", parameters()).aiMessage();
    assertThat(answer.thinking()).isEqualTo("Two, three and five do not divide it.");
    assertThat(answer.text()).isEqualTo("Yes, 7 is.");
    // Past answers are given back with their thinking, which the template leaves out.
    assertThat(
            model
                .chat(UserMessage.from("Is 7 a prime?"), answer, UserMessage.from("hello"))
                .aiMessage()
                .text())
        .startsWith("Hello!");
  }

  @Test
  void textMayStandBeforeACall() {
    ChatResponse response =
        model.chat(
            ChatRequest.builder()
                .messages(UserMessage.from("How warm is it?"))
                .toolSpecifications(TEMPERATURE)
                .build());
    assertThat(response.aiMessage().text()).isEqualTo("I shall look.");
    ToolExecutionRequest call = response.aiMessage().toolExecutionRequests().getFirst();
    assertThat(call)
        .isEqualTo(
            ToolExecutionRequest.builder()
                .id("call_0")
                .name("temperature")
                .arguments("{\"city\": \"Oslo\"}")
                .build());
    assertThat(response.finishReason()).isEqualTo(FinishReason.TOOL_EXECUTION);
    assertThat(
            model
                .chat(
                    UserMessage.from("How warm is it?"),
                    response.aiMessage(),
                    ToolExecutionResultMessage.from(call, "21.5"))
                .aiMessage()
                .text())
        .isEqualTo("In Oslo it has 21.5 degrees.");
  }

  @Test
  void noCallIsMadeWhereNoneMayBe() {
    ChatResponse response =
        model.chat(
            ChatRequest.builder()
                .messages(UserMessage.from("How warm is it?"))
                .toolSpecifications(TEMPERATURE)
                .toolChoice(ToolChoice.NONE)
                .maxOutputTokens(60)
                .build());
    assertThat(response.aiMessage().toolExecutionRequests()).isEmpty();
    assertThat(response.aiMessage().text()).startsWith("I shall look.");
  }

  @Test
  void strictToolsAreCalledByTheirSchemas() {
    ToolSpecification other =
        TEMPERATURE.toBuilder()
            .parameters(
                JsonObjectSchema.builder()
                    .addEnumProperty("city", List.of("Rome"))
                    .required("city")
                    .build())
            .build();
    for (KnapsackChatRequestParameters.Builder strict :
        List.of(
            parameters().strictTools(true).toolSpecifications(other),
            parameters().toolSpecifications(other.toBuilder().strict(true).build()))) {
      assertThat(
              ask("How warm is it?", strict.parallelToolCalls(false))
                  .aiMessage()
                  .toolExecutionRequests())
          .extracting(ToolExecutionRequest::arguments)
          .containsExactly("{\"city\": \"Rome\"}");
    }
  }

  @Test
  void whatWasReadIsNotReadAgainAndTenantsShareNothing() {
    ChatResponse first = ask(STILL.repeat(8) + "hello", parameters().tenant("a"));
    ChatResponse again = ask(STILL.repeat(8) + "hello", parameters().tenant("a"));
    ChatResponse other = ask(STILL.repeat(8) + "hello", parameters().tenant("b").priority(1));
    assertThat(cached(first)).isZero();
    assertThat(cached(again)).isPositive();
    assertThat(cached(other)).isZero();
    assertThat(again.tokenUsage().inputTokenCount())
        .isEqualTo(first.tokenUsage().inputTokenCount());
    assertThat(first.tokenUsage().add(again.tokenUsage()))
        .isEqualTo(
            new KnapsackTokenUsage(
                2 * first.tokenUsage().inputTokenCount(),
                2 * first.tokenUsage().outputTokenCount(),
                cached(again)));
  }

  private static final String STILL = "A text that is long enough to be kept as a beginning. ";

  @Test
  void answersAreHeldToAConstraint() {
    String other = "{\"town\": \"London\", \"year\": 1815}";
    for (Constraint constraint :
        List.of(
            new Constraint.Choice(List.of("Elsewhere.", other)),
            new Constraint.Regex("\\{[^}]*\\}"),
            new Constraint.Grammar("root ::= \"{\" [^}]* \"}\""))) {
      assertThat(ask("Where was Ada born?", parameters().constraint(constraint)).aiMessage().text())
          .isEqualTo(other);
    }
    assertThat(ask("Where was Ada born?", parameters()).aiMessage().text())
        .isEqualTo("In England.");
  }

  @Test
  void samplingReachesTheEngine() {
    int[] first = knapsack.tokens("H", false);
    KnapsackChatRequestParameters.Builder wild =
        parameters().temperature(100.0).topK(0).topP(1.0).minP(0.0).maxOutputTokens(20);
    ChatResponse drawn = ask("hello", wild.seed(5L));
    assertThat(((KnapsackChatResponseMetadata) drawn.metadata()).seed()).isEqualTo(5);
    assertThat(drawn.aiMessage().text()).doesNotStartWith("Hello!");
    assertThat(ask("hello", wild).aiMessage()).isEqualTo(drawn.aiMessage());
    assertThat(ask("hello", wild.seed(6L)).aiMessage()).isNotEqualTo(drawn.aiMessage());
    assertThat(ask("hello", wild.topK(1)).aiMessage().text()).startsWith("Hello!");
    assertThat(
            ask("hello", parameters().logitBias(Map.of(first[0], 1000f)).maxOutputTokens(3))
                .aiMessage()
                .text())
        .isEqualTo("HHH");
    assertThat(
            ask(
                    "hello",
                    parameters()
                        .logitBias(Map.of(first[0], 1000f))
                        .frequencyPenalty(100.0)
                        .maxOutputTokens(13))
                .aiMessage()
                .text())
        .startsWith("HHHHH")
        .isNotEqualTo("H".repeat(13));
  }

  @Test
  void aRequestHasItsOwnCacheRecipe() {
    Plan.Cache recipe = Plan.Cache.parse("q8_0", "streaming(4)");
    assertThat(ask("hello", parameters().cache(recipe)).aiMessage().text()).startsWith("Hello!");
  }

  @Test
  void timeIsLimited() {
    assertThatThrownBy(() -> ask("a long story", parameters().timeout(Duration.ofNanos(1))))
        .isInstanceOf(TimeoutException.class)
        .hasMessageContaining("longer than its timeout");
  }

  @Test
  void whoIsInterruptedWaitsNoMore() {
    Thread.currentThread().interrupt();
    assertThatThrownBy(() -> model.chat("a long story"))
        .isInstanceOf(NonRetriableException.class)
        .hasCauseInstanceOf(WaitInterruptedException.class);
    assertThat(Thread.interrupted()).isTrue();
    assertThat(model.chat("hello")).startsWith("Hello!");
  }

  static List<UserMessage> withoutText() {
    return List.of(
        UserMessage.from(ImageContent.from("aGVsbG8=", "image/png")),
        UserMessage.from(AudioContent.from("aGVsbG8=", "audio/wav")));
  }

  @ParameterizedTest
  @MethodSource
  void withoutText(UserMessage message) {
    assertThatThrownBy(() -> model.chat(message))
        .isExactlyInstanceOf(UnsupportedFeatureException.class)
        .hasMessageContaining("not supported");
  }

  @Test
  void messagesOfOtherKindsAreRefused() {
    assertThatThrownBy(() -> model.chat(CustomMessage.from(Map.of("text", "hello"))))
        .isExactlyInstanceOf(UnsupportedFeatureException.class);
    assertThatThrownBy(() ->
            model.chat(
                ToolExecutionResultMessage.builder()
                    .id("call_0")
                    .toolName("camera")
                    .contents(ImageContent.from("aGVsbG8=", "image/png"))
                    .build()))
        .isExactlyInstanceOf(UnsupportedFeatureException.class);
  }

  @Test
  void whatCannotBeDoneIsAnInvalidRequest() {
    assertThatThrownBy(() -> model.chat("a".repeat(10_000)))
        .isInstanceOf(InvalidRequestException.class)
        .hasCauseInstanceOf(ContextExceededException.class);
    assertThatThrownBy(() -> ask("hello", parameters().temperature(-1.0)))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining("temperature");
    String unique = "{\"type\": \"array\", \"items\": {}, \"uniqueItems\": true}";
    for (String schema : List.of(unique, "{")) {
      assertThatThrownBy(() ->
              ask(
                  "hello",
                  parameters()
                      .responseFormat(
                          JsonSchema.builder()
                              .name("x")
                              .rootElement(JsonRawSchema.from(schema))
                              .build())))
          .isInstanceOf(InvalidRequestException.class);
    }
    assertThatThrownBy(() -> ask("hello", parameters().toolChoice(ToolChoice.REQUIRED)))
        .isInstanceOf(InvalidRequestException.class)
        .hasCauseInstanceOf(ConstraintException.class);
    assertThatThrownBy(() ->
            ask(
                "hello",
                parameters()
                    .constraint(new Constraint.Regex("a"))
                    .responseFormat(
                        ResponseFormat.builder().type(ResponseFormatType.JSON).build())))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining("Leave one out");
  }

  @Test
  void whenTooManyWaitThatIsSaid() {
    try (Generation held =
        knapsack.generate(GenerationRequest.of(Conversation.of(Message.user("a long story"))))) {
      held.events().iterator().next();
      assertThatThrownBy(() -> model.chat("hello"))
          .isInstanceOf(RateLimitException.class)
          .hasCauseInstanceOf(QueueFullException.class);
    }
  }

  @Test
  void aModelThatIsOpenedForItIsClosedWithIt() {
    Path file = folder.resolve("scripted.gguf");
    Budget budget = Budget.of("256MiB");
    KnapsackChatModel own;
    try (KnapsackChatModel opened =
        KnapsackChatModel.builder()
            .modelPath(file)
            .host(new Host(budget))
            .options(Options.usual().withContext(512))
            .topK(1)
            .build()) {
      own = opened;
      assertThat(opened.chat("hello")).startsWith("Hello!");
      assertThat(opened.knapsack().plan().context()).isEqualTo(512);
      assertThat(opened.defaultRequestParameters().topK()).isEqualTo(1);
      assertThat(opened.supportedCapabilities())
          .containsExactly(Capability.RESPONSE_FORMAT_JSON_SCHEMA);
    }
    assertThat(budget.used()).isZero();
    assertThatThrownBy(() -> own.chat("hello"))
        .isInstanceOf(NonRetriableException.class)
        .hasCauseInstanceOf(EngineClosedException.class);
    KnapsackChatModel.builder().knapsack(knapsack).build().close();
    assertThat(model.chat("hello")).startsWith("Hello!");
  }

  @Test
  void whatCannotBeOpenedIsSaid() {
    KnapsackChatModel.Builder missing =
        KnapsackChatModel.builder().modelPath(folder.resolve("none.gguf")).memory("1GiB");
    assertThatThrownBy(missing::build)
        .isInstanceOf(ModelNotFoundException.class)
        .hasCauseInstanceOf(ModelFileException.class);
    KnapsackChatModel.Builder small =
        KnapsackChatModel.builder().modelPath(folder.resolve("scripted.gguf")).memory("8MiB");
    assertThatThrownBy(small::build)
        .isInstanceOf(NonRetriableException.class)
        .hasCauseInstanceOf(PlanDoesNotFitException.class);
    for (KnapsackChatModel.Builder incomplete :
        List.of(
            KnapsackChatModel.builder(),
            KnapsackChatModel.builder().modelPath(folder.resolve("scripted.gguf")),
            KnapsackChatModel.builder().knapsack(knapsack).modelPath(folder))) {
      assertThatThrownBy(incomplete::build).isInstanceOf(IllegalStateException.class);
    }
  }
}

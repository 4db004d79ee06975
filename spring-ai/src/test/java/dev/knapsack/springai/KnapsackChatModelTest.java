package dev.knapsack.springai;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.Knapsack;
import dev.knapsack.error.ConstraintException;
import dev.knapsack.error.ContextExceededException;
import dev.knapsack.error.UnsupportedMediaException;
import dev.knapsack.error.WaitInterruptedException;
import dev.knapsack.generation.Constraint;
import dev.knapsack.message.ToolChoice;
import dev.knapsack.plan.Plan;
import dev.knapsack.testing.ScriptedModel;
import io.micrometer.observation.Observation;
import io.micrometer.observation.contextpropagation.ObservationThreadLocalAccessor;
import io.micrometer.observation.tck.TestObservationRegistry;
import io.micrometer.observation.tck.TestObservationRegistryAssert;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.ai.chat.client.ChatClient;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.SystemMessage;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.content.Media;
import org.springframework.ai.tool.annotation.Tool;
import org.springframework.util.MimeTypeUtils;

/** Chats through Spring AI, by a model that says what it is asked to. */
class KnapsackChatModelTest {
  @TempDir static Path folder;
  private static Knapsack knapsack;
  private static KnapsackChatModel model;

  @BeforeAll
  static void open() {
    knapsack = Script.open(folder);
    model = KnapsackChatModel.builder(knapsack).build();
  }

  @AfterAll
  static void close() {
    knapsack.close();
  }

  private static KnapsackChatOptions.Builder options() {
    return KnapsackChatOptions.builder();
  }

  private static ChatResponse ask(String text, ChatOptions.Builder<?> options) {
    return model.call(new Prompt(text, options.build()));
  }

  private static String text(ChatResponse response) {
    return response.getResult().getOutput().getText();
  }

  private static String reason(ChatResponse response) {
    return response.getResult().getMetadata().getFinishReason();
  }

  private static List<ChatResponse> pieces(String text) {
    return model.stream(new Prompt(text)).collectList().block();
  }

  /** A tool that has been asked for what. */
  static final class Thermometer {
    String city = "";

    @Tool(description = "The temperature of a city, in degrees")
    double temperature(String city) {
      this.city = city;
      return 21.5;
    }
  }

  record Birth(String town, int year) {}

  @Test
  void anAnswerSaysWhatItTookAndHowItCanBeHadAgain() {
    ChatResponse answer = model.call(new Prompt("hello"));
    assertThat(text(answer)).isEqualTo("Hello! How may I be of help to you today?");
    assertThat(reason(answer)).isEqualTo("STOP");
    assertThat(answer.getMetadata().getModel()).isEqualTo(ScriptedModel.NAME);
    assertThat(answer.getMetadata().getId()).isNotEmpty();
    assertThat(answer.getMetadata().<Long>get(Responses.SEED)).isNotNull();
    var usage = answer.getMetadata().getUsage();
    assertThat(usage.getPromptTokens()).isPositive();
    assertThat(usage.getCompletionTokens()).isPositive();
    assertThat(usage.getTotalTokens())
        .isEqualTo(usage.getPromptTokens() + usage.getCompletionTokens());
    assertThat(usage.getNativeUsage()).isInstanceOf(dev.knapsack.generation.Usage.class);
  }

  @Test
  void tokensAreCounted() {
    KnapsackChatModel own = KnapsackChatModel.builder(knapsack).build();
    Prompt prompt = new Prompt("so ".repeat(100) + "hello");
    var first = own.call(prompt).getMetadata().getUsage();
    KnapsackChatModel.Totals before = own.totals();
    assertThat(before.promptTokens()).isEqualTo((long) first.getPromptTokens());
    assertThat(before.generatedTokens()).isEqualTo((long) first.getCompletionTokens());
    var again = own.call(prompt).getMetadata().getUsage();
    assertThat(again.getCacheReadInputTokens()).isPositive();
    assertThat(own.totals().cachedTokens() - before.cachedTokens())
        .isEqualTo(again.getCacheReadInputTokens());
  }

  @Test
  void aStreamIsTheSameAnswerInPieces() {
    List<ChatResponse> pieces = pieces("hello");
    assertThat(pieces).hasSizeGreaterThan(5);
    assertThat(pieces.stream().map(KnapsackChatModelTest::text).collect(Collectors.joining()))
        .isEqualTo("Hello! How may I be of help to you today?");
    ChatResponse last = pieces.getLast();
    assertThat(reason(last)).isEqualTo("STOP");
    assertThat(last.getMetadata().getUsage().getCompletionTokens()).isPositive();
    assertThat(pieces.getFirst().getMetadata().getUsage().getTotalTokens()).isZero();
    assertThat(pieces.stream().map(piece -> piece.getMetadata().getId()).distinct()).hasSize(1);
  }

  @Test
  void reasoningIsBesideTheText() {
    ChatResponse answer = model.call(new Prompt("Is 7 a prime?"));
    assertThat(text(answer)).isEqualTo("Yes, 7 is.");
    assertThat(answer.getResult().getOutput().getMetadata())
        .containsEntry("reasoningContent", "Two, three and five do not divide it.");
    List<ChatResponse> pieces = pieces("Is 7 a prime?");
    assertThat(pieces.stream().map(KnapsackChatModelTest::text).collect(Collectors.joining()))
        .isEqualTo("Yes, 7 is.");
    assertThat(pieces.getLast().getResult().getOutput().getMetadata())
        .containsEntry("reasoningContent", "Two, three and five do not divide it.");
  }

  @Test
  void reasoningGoesBackToTheModel() {
    AssistantMessage answer = model.call(new Prompt("Is 7 a prime?")).getResult().getOutput();
    ChatResponse next =
        model.call(
            new Prompt(
                List.of(
                    new SystemMessage("Be kind."),
                    new UserMessage("Is 7 a prime?"),
                    answer,
                    new UserMessage("hello"))));
    assertThat(text(next)).startsWith("Hello!");
    assertThat(Conversations.messages(List.of(answer)).getFirst().parts()).hasSize(2);
  }

  @Test
  void aClientCallsTools() {
    Thermometer thermometer = new Thermometer();
    ChatClient client = ChatClient.create(model);
    assertThat(client.prompt("How warm is it?").tools(thermometer).call().content())
        .isEqualTo("In Oslo it has 21.5 degrees.");
    assertThat(thermometer.city).isEqualTo("Oslo");
    String streamed =
        client.prompt("How warm is it?").tools(new Thermometer()).stream()
            .content()
            .collect(Collectors.joining())
            .block();
    assertThat(streamed).endsWith("In Oslo it has 21.5 degrees.");
  }

  @Test
  void aCallIsWholeAndHasItsReason() {
    KnapsackChatOptions.Builder tools =
        options()
            .toolCallbacks(
                org.springframework.ai.support.ToolCallbacks.from(new Thermometer()));
    ChatResponse answer = ask("How warm is it?", tools);
    assertThat(reason(answer)).isEqualTo("TOOL_CALLS");
    assertThat(text(answer)).isEqualTo("I shall look.");
    AssistantMessage.ToolCall call = answer.getResult().getOutput().getToolCalls().getFirst();
    assertThat(call.name()).isEqualTo("temperature");
    assertThat(call.arguments()).isEqualTo("{\"city\": \"Oslo\"}");
    assertThat(call.id()).isNotEmpty();
    assertThat(ask("How warm is it?", tools.toolChoice(ToolChoice.NONE)).hasToolCalls()).isFalse();
  }

  @Test
  void aRecordIsAnswered() {
    ChatClient client = ChatClient.create(model);
    assertThat(client.prompt("Where was Ada born?").call().content()).isEqualTo("In England.");
    assertThat(
            client
                .prompt("Where was Ada born?")
                .call()
                .entity(Birth.class, how -> how.useProviderStructuredOutput()))
        .isEqualTo(new Birth("London", 1815));
  }

  @Test
  void optionsAreFollowed() {
    ChatResponse cut = ask("hello", options().maxTokens(2));
    assertThat(reason(cut)).isEqualTo("LENGTH");
    assertThat(cut.getMetadata().getUsage().getCompletionTokens()).isEqualTo(2);
    assertThat(text(ask("hello", options().stopSequences(List.of("How"))))).isEqualTo("Hello! ");
    assertThat(
            text(
                ask(
                    "hello",
                    options().constraint(new Constraint.Choice(List.of("Hm.", "Hello!"))))))
        .isEqualTo("Hello!");
    assertThat(text(ask("hello", options().cache(Plan.Cache.parse("q8_0", "streaming(4)")))))
        .startsWith("Hello!");
    assertThat(reason(ask("a long story", options().timeout(Duration.ofNanos(1)))))
        .isEqualTo("DEADLINE");
    int[] first = knapsack.tokenizer().encode("H", false, false);
    assertThat(
            text(ask("hello", options().logitBias(Map.of(first[0], 1000f)).maxTokens(3))))
        .isEqualTo("HHH");
    KnapsackChatOptions.Builder wild = options().temperature(90.0).topK(0).topP(1.0).minP(0.0);
    String drawn = text(ask("hello", wild.seed(5L).maxTokens(20)));
    assertThat(text(ask("hello", wild))).isEqualTo(drawn);
    assertThat(text(ask("hello", wild.seed(6L)))).isNotEqualTo(drawn);
  }

  @Test
  void optionsOfOthersAreFollowedToo() {
    assertThat(reason(ask("hello", ChatOptions.builder().maxTokens(2)))).isEqualTo("LENGTH");
  }

  @Test
  void aModelsOptionsAreThoseOfPromptsWithout() {
    KnapsackChatModel brief =
        KnapsackChatModel.builder(knapsack).options(options().maxTokens(2).build()).build();
    assertThat(reason(brief.call(new Prompt("hello")))).isEqualTo("LENGTH");
    assertThat(brief.getOptions().getModel()).isEqualTo(ScriptedModel.NAME);
    // A client puts a prompt's options over them.
    assertThat(
            ChatClient.create(brief)
                .prompt("hello")
                .options(options().topK(1))
                .call()
                .chatResponse()
                .getResult()
                .getMetadata()
                .getFinishReason())
        .isEqualTo("LENGTH");
  }

  @Test
  void whatCannotBeDoneIsSaid() {
    assertThatThrownBy(() -> ask("hello", options().model("gpt-4")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("gpt-4")
        .hasMessageContaining(ScriptedModel.NAME);
    assertThatThrownBy(() -> ask("hello", options().temperature(-1.0)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("temperature");
    assertThatThrownBy(() -> model.call("a".repeat(10_000)))
        .isInstanceOf(ContextExceededException.class);
    assertThatThrownBy(() -> ask("hello", options().outputSchema("{")))
        .isInstanceOf(ConstraintException.class);
    assertThatThrownBy(() ->
            ask("hello", options().outputSchema("{}").constraint(new Constraint.Json())))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("Leave one out");
  }

  @Test
  void imagesAreRefused() {
    Media image = new Media(MimeTypeUtils.IMAGE_PNG, java.net.URI.create("http://x/y.png"));
    Prompt prompt = new Prompt(UserMessage.builder().text("Who is this?").media(image).build());
    assertThatThrownBy(() -> model.call(prompt))
        .isInstanceOf(UnsupportedMediaException.class)
        .hasMessageContaining("image/png");
    assertThatThrownBy(() -> model.stream(prompt).blockLast())
        .isInstanceOf(UnsupportedMediaException.class);
  }

  @Test
  void whoCancelsAStreamEndsItsAnswer() throws Exception {
    KnapsackChatModel own = KnapsackChatModel.builder(knapsack).build();
    List<ChatResponse> pieces = own.stream(new Prompt("a long story")).take(2).collectList().block();
    assertThat(pieces).hasSize(2);
    CountDownLatch idle = new CountDownLatch(1);
    own.whenIdle(idle::countDown);
    idle.await();
    assertThat(own.totals().generatedTokens())
        .isBetween(1L, (long) knapsack.count(Script.STORY) - 1);
    assertThat(text(own.call(new Prompt("hello")))).startsWith("Hello!");
  }

  @Test
  void whoIsInterruptedWaitsNoMore() {
    Thread.currentThread().interrupt();
    assertThatThrownBy(() -> model.call("a long story"))
        .isInstanceOf(WaitInterruptedException.class);
    assertThat(Thread.interrupted()).isTrue();
  }

  @Test
  void whenIdleWaitsForTheLastAnswer() {
    KnapsackChatModel own = KnapsackChatModel.builder(knapsack).build();
    StringBuilder told = new StringBuilder();
    own.stream(new Prompt("hello"))
        .doOnNext(piece -> {
          if (told.isEmpty()) {
            told.append("begun");
            own.whenIdle(() -> told.append(", idle"));
          }
        })
        .doOnComplete(() -> told.append(", complete"))
        .blockLast();
    CountDownLatch idle = new CountDownLatch(1);
    own.whenIdle(idle::countDown);
    org.assertj.core.api.Assertions.assertThatCode(idle::await).doesNotThrowAnyException();
    assertThat(told.toString()).isEqualTo("begun, complete, idle");
  }

  private static KnapsackChatModel observed(TestObservationRegistry registry) {
    return KnapsackChatModel.builder(knapsack).observationRegistry(registry).build();
  }

  @Test
  void answersAreObserved() {
    TestObservationRegistry registry = TestObservationRegistry.create();
    ChatResponse answer = observed(registry).call(new Prompt("hello"));
    TestObservationRegistryAssert.assertThat(registry)
        .hasObservationWithNameEqualTo("gen_ai.client.operation")
        .that()
        .hasContextualNameEqualTo("chat scripted")
        .hasLowCardinalityKeyValue("gen_ai.operation.name", "chat")
        .hasLowCardinalityKeyValue("gen_ai.request.model", "scripted")
        .hasLowCardinalityKeyValue("gen_ai.response.model", "scripted")
        .hasHighCardinalityKeyValue(
            "gen_ai.usage.output_tokens",
            answer.getMetadata().getUsage().getCompletionTokens().toString())
        .hasHighCardinalityKeyValue("gen_ai.response.finish_reasons", "[\"STOP\"]")
        .hasBeenStopped();
  }

  @Test
  void streamsAreObservedAsPartsOfWhatAsksForThem() {
    TestObservationRegistry registry = TestObservationRegistry.create();
    Observation asking = Observation.start("asking", registry);
    observed(registry).stream(new Prompt("hello"))
        .contextWrite(with -> with.put(ObservationThreadLocalAccessor.KEY, asking))
        .blockLast();
    asking.stop();
    TestObservationRegistryAssert.assertThat(registry)
        .hasObservationWithNameEqualTo("gen_ai.client.operation")
        .that()
        .hasParentObservationEqualTo(asking)
        .hasHighCardinalityKeyValue("gen_ai.response.finish_reasons", "[\"STOP\"]")
        .hasHighCardinalityKeyValueWithKey("gen_ai.usage.output_tokens")
        .hasBeenStopped();
  }

  @Test
  void whatGoesWrongIsObserved() {
    TestObservationRegistry registry = TestObservationRegistry.create();
    KnapsackChatModel observed = observed(registry);
    Prompt wrong = new Prompt("hello", options().outputSchema("{").build());
    assertThatThrownBy(() -> observed.call(wrong)).isInstanceOf(ConstraintException.class);
    assertThatThrownBy(() -> observed.stream(wrong).blockLast())
        .isInstanceOf(ConstraintException.class);
    TestObservationRegistryAssert.assertThat(registry)
        .hasNumberOfObservationsEqualTo(2)
        .forAllObservationsWithNameEqualTo(
            "gen_ai.client.operation", context -> context.hasError());
  }
}

package dev.knapsack.serve;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.langchain4j.agent.tool.ToolExecutionRequest;
import dev.langchain4j.agent.tool.ToolSpecification;
import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.data.message.ChatMessage;
import dev.langchain4j.data.message.ImageContent;
import dev.langchain4j.data.message.TextContent;
import dev.langchain4j.data.message.ToolExecutionResultMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.exception.AuthenticationException;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.exception.ModelNotFoundException;
import dev.langchain4j.exception.RateLimitException;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.json.JsonObjectSchema;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.openai.OpenAiChatModel;
import dev.langchain4j.model.openai.OpenAiStreamingChatModel;
import dev.langchain4j.model.output.FinishReason;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** LangChain4j's client of OpenAI's API, as it is. */
@Timeout(120)
class LangChain4jTest {
  private static final String ANSWER = "The blue ring is in the library.";
  private static TestServer server;

  @BeforeAll
  static void open() {
    server =
        new TestServer(
            UnaryOperator.identity(),
            o ->
                o.withKeys(
                    List.of(
                        ApiKey.of("tests", "sk-tests"), ApiKey.parse("once sk-once requests=1"))));
  }

  @AfterAll
  static void close() {
    server.close();
  }

  private static OpenAiChatModel.OpenAiChatModelBuilder client() {
    return OpenAiChatModel.builder()
        .baseUrl(server.uri("/v1").toString())
        .apiKey("sk-tests")
        .modelName("notes")
        .temperature(0.0)
        .maxRetries(0);
  }

  private static OpenAiStreamingChatModel streaming(
      TestServer from,
      UnaryOperator<OpenAiStreamingChatModel.OpenAiStreamingChatModelBuilder> more) {
    return more.apply(
            OpenAiStreamingChatModel.builder()
                .baseUrl(from.uri("/v1").toString())
                .apiKey("sk-tests")
                .modelName("notes")
                .temperature(0.0))
        .build();
  }

  /** Puts a stream's pieces together. */
  private static class Listener implements StreamingChatResponseHandler {
    final StringBuilder text = new StringBuilder();
    final CompletableFuture<ChatResponse> end = new CompletableFuture<>();

    @Override
    public void onPartialResponse(String piece) {
      text.append(piece);
    }

    @Override
    public void onCompleteResponse(ChatResponse response) {
      end.complete(response);
    }

    @Override
    public void onError(Throwable problem) {
      end.completeExceptionally(problem);
    }
  }

  @Test
  void chats() {
    ChatResponse response = client().build().chat(UserMessage.from(TestServer.QUESTION));
    assertThat(response.aiMessage().text().strip()).isEqualTo(ANSWER);
    assertThat(response.finishReason()).isEqualTo(FinishReason.STOP);
    assertThat(response.tokenUsage().inputTokenCount()).isPositive();
    ChatResponse cut = client().maxTokens(2).build().chat(UserMessage.from(TestServer.QUESTION));
    assertThat(cut.finishReason()).isEqualTo(FinishReason.LENGTH);
    assertThat(cut.tokenUsage().outputTokenCount()).isEqualTo(2);
  }

  @Test
  void streams() throws Exception {
    Listener listener = new Listener();
    streaming(server, o -> o).chat(TestServer.QUESTION, listener);
    ChatResponse response = listener.end.get();
    assertThat(listener.text.toString().strip()).isEqualTo(ANSWER);
    assertThat(response.aiMessage().text()).isEqualTo(listener.text.toString());
    assertThat(response.finishReason()).isEqualTo(FinishReason.STOP);
    assertThat(response.tokenUsage().outputTokenCount()).isPositive();
  }

  @Test
  void sendsCallsAndResults() {
    ToolExecutionRequest call =
        ToolExecutionRequest.builder().id("call_1").name("look").arguments("{}").build();
    List<ChatMessage> messages =
        List.of(
            UserMessage.from(TestServer.QUESTION),
            AiMessage.from(call),
            ToolExecutionResultMessage.from(call, "library"));
    ChatResponse response =
        client()
            .maxTokens(3)
            .build()
            .chat(
                ChatRequest.builder()
                    .messages(messages)
                    .toolSpecifications(
                        ToolSpecification.builder()
                            .name("look")
                            .description("Looks for a thing.")
                            .parameters(
                                JsonObjectSchema.builder().addStringProperty("thing").build())
                            .build())
                    .build());
    assertThat(response.finishReason()).isNotNull();
    assertThat(response.tokenUsage().outputTokenCount()).isBetween(1, 3);
  }

  @Test
  void isToldWhatIsWrong() {
    assertThatThrownBy(() -> client().modelName("gpt-9").build().chat("Hello"))
        .isInstanceOf(ModelNotFoundException.class)
        .hasMessageContaining("'notes'");
    assertThatThrownBy(() -> client().apiKey("sk-none").build().chat("Hello"))
        .isInstanceOf(AuthenticationException.class);
    assertThatThrownBy(() ->
            client()
                .build()
                .chat(
                    UserMessage.from(
                        TextContent.from("What?"), ImageContent.from("iVBORw0KGgo=", "image/png"))))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining("text only");
    OpenAiChatModel once = client().apiKey("sk-once").maxTokens(1).build();
    once.chat("Hello");
    assertThatThrownBy(() -> once.chat("Hello")).isInstanceOf(RateLimitException.class);
  }

  @Test
  void isToldOfAFailureInMidStream() {
    TestServer failing = TestServer.usual();
    try {
      Listener listener =
          new Listener() {
            @Override
            public void onPartialResponse(String piece) {
              failing.model.close();
            }
          };
      int end = failing.model.tokenizer().eos();
      streaming(failing, o -> o.logitBias(Map.of(String.valueOf(end), -100)))
          .chat(TestServer.QUESTION, listener);
      assertThatThrownBy(listener.end::get)
          .isInstanceOf(ExecutionException.class)
          .hasMessageContaining("about to end");
    } finally {
      failing.server.close();
    }
  }
}

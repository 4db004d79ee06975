package dev.knapsack.springai;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.Knapsack;
import dev.knapsack.serve.KnapsackServer;
import dev.knapsack.serve.ServedModel;
import dev.knapsack.serve.ServedModels;
import dev.knapsack.serve.ServerOptions;
import dev.knapsack.testing.ScriptedModel;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.ai.chat.client.ChatClient;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.openai.OpenAiChatModel;
import org.springframework.ai.openai.OpenAiChatOptions;
import org.springframework.ai.tool.annotation.Tool;

/** Spring AI's own client of OpenAI, which asks Knapsack's server in its place. */
class OpenAiClientTest {
  @TempDir static Path folder;
  private static Knapsack knapsack;
  private static KnapsackServer server;
  private static OpenAiChatModel model;

  @BeforeAll
  static void open() {
    knapsack = Script.open(folder);
    server =
        KnapsackServer.open(
            new ServedModels(List.of(new ServedModel(ScriptedModel.NAME, knapsack))),
            ServerOptions.usual()
                .withAddress("127.0.0.1", 0)
                .withLog(new PrintStream(OutputStream.nullOutputStream()), false));
    model =
        OpenAiChatModel.builder()
            .options(
                OpenAiChatOptions.builder()
                    .baseUrl("http://127.0.0.1:%d/v1".formatted(server.port()))
                    .apiKey("none")
                    .model(ScriptedModel.NAME)
                    .build())
            .build();
  }

  @AfterAll
  static void close() {
    server.close();
    knapsack.close();
  }

  /** A tool. */
  static final class Thermometer {
    @Tool(description = "The temperature of a city, in degrees")
    double temperature(String city) {
      return city.equals("Oslo") ? 21.5 : 0;
    }
  }

  record Birth(String town, int year) {}

  @Test
  void streamsComeInPiecesAndEndWithTheirUsage() {
    List<ChatResponse> pieces = model.stream(new Prompt("hello")).collectList().block();
    assertThat(pieces).hasSizeGreaterThan(5);
    assertThat(
            pieces.stream()
                .filter(piece -> piece.getResult() != null)
                .map(piece -> piece.getResult().getOutput().getText())
                .collect(Collectors.joining()))
        .isEqualTo("Hello! How may I be of help to you today?");
    assertThat(pieces)
        .anySatisfy(piece -> {
          assertThat(piece.getMetadata().getUsage().getPromptTokens()).isPositive();
          assertThat(piece.getMetadata().getUsage().getCompletionTokens()).isPositive();
        });
  }

  @Test
  void toolsAreCalled() {
    ChatClient client = ChatClient.create(model);
    assertThat(client.prompt("How warm is it?").tools(new Thermometer()).call().content())
        .isEqualTo("In Oslo it has 21.5 degrees.");
    assertThat(
            client.prompt("How warm is it?").tools(new Thermometer()).stream()
                .content()
                .collect(Collectors.joining())
                .block())
        .endsWith("In Oslo it has 21.5 degrees.");
  }

  @Test
  void reasoningIsToldApart() {
    ChatResponse answer = model.call(new Prompt("Is 7 a prime?"));
    assertThat(answer.getResult().getOutput().getText()).isEqualTo("Yes, 7 is.");
    assertThat(answer.getResult().getOutput().getMetadata())
        .containsEntry("reasoningContent", "Two, three and five do not divide it.");
    assertThat(model.stream(new Prompt("Is 7 a prime?")).collectList().block())
        .anySatisfy(piece ->
            assertThat(piece.getResult().getOutput().getMetadata())
                .containsEntry("reasoningContent", "Two, three and five do not divide it."));
  }

  @Test
  void schemasAreKeptTo() {
    assertThat(
            ChatClient.create(model)
                .prompt("Where was Ada born?")
                .call()
                .entity(Birth.class, how -> how.useProviderStructuredOutput()))
        .isEqualTo(new Birth("London", 1815));
  }

  @Test
  void cachedTokensAreCounted() {
    Prompt prompt = new Prompt("so ".repeat(100) + "hello");
    model.call(prompt);
    assertThat(
            model.call(prompt).getMetadata().getUsage().getCacheReadInputTokens())
        .isPositive();
  }
}

package dev.knapsack.langchain4j;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.Knapsack;
import dev.langchain4j.agent.tool.P;
import dev.langchain4j.agent.tool.Tool;
import dev.langchain4j.memory.chat.TokenWindowChatMemory;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.service.AiServices;
import dev.langchain4j.service.TokenStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * LangChain4j's AI services over a model here: tools that are called, and records that are read.
 */
class AiServicesTest {
  @TempDir static Path folder;
  private static Knapsack knapsack;

  @BeforeAll
  static void open() {
    knapsack = Script.open(folder);
  }

  @AfterAll
  static void close() {
    knapsack.close();
  }

  record Birth(String town, int year) {}

  interface Assistant {
    String chat(String message);

    Birth birth(String question);
  }

  interface StreamingAssistant {
    TokenStream chat(String message);
  }

  static final class Thermometer {
    final List<String> asked = new ArrayList<>();

    @Tool("The temperature in a city, in degrees Celsius.")
    double temperature(@P(name = "city", value = "its name") String city) {
      asked.add(city);
      return 21.5;
    }
  }

  @Test
  void toolsAreCalledAndRecordsAreRead() {
    Thermometer thermometer = new Thermometer();
    Assistant assistant =
        AiServices.builder(Assistant.class)
            .chatModel(KnapsackChatModel.builder().knapsack(knapsack).build())
            .chatMemory(
                TokenWindowChatMemory.withMaxTokens(
                    2000, new KnapsackTokenCountEstimator(knapsack)))
            .tools(thermometer)
            .build();
    assertThat(assistant.chat("How warm is it in Oslo?")).isEqualTo("In Oslo it has 21.5 degrees.");
    assertThat(thermometer.asked).containsExactly("Oslo");
    assertThat(assistant.birth("Where was Ada born?")).isEqualTo(new Birth("London", 1815));
  }

  @Test
  void streamsCallToolsToo() {
    Thermometer thermometer = new Thermometer();
    StringBuilder said = new StringBuilder();
    CompletableFuture<ChatResponse> complete = new CompletableFuture<>();
    AiServices.builder(StreamingAssistant.class)
        .streamingChatModel(KnapsackStreamingChatModel.builder().knapsack(knapsack).build())
        .tools(thermometer)
        .build()
        .chat("How warm is it in Oslo?")
        .onPartialResponse(said::append)
        .onCompleteResponse(complete::complete)
        .onError(complete::completeExceptionally)
        .start();
    assertThat(complete.join().aiMessage().text()).isEqualTo("In Oslo it has 21.5 degrees.");
    assertThat(said).hasToString("I shall look.In Oslo it has 21.5 degrees.");
    assertThat(thermometer.asked).containsExactly("Oslo");
  }
}

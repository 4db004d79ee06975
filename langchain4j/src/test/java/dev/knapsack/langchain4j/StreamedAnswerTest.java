package dev.knapsack.langchain4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.Knapsack;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.exception.TimeoutException;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.PartialResponse;
import dev.langchain4j.model.chat.response.PartialResponseContext;
import dev.langchain4j.model.chat.response.PartialThinking;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.chat.response.StreamingHandle;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Answers on their way to a handler, in the thread of the test. */
class StreamedAnswerTest {
  @TempDir static Path folder;
  private static Knapsack knapsack;
  private static OpenModel model;

  @BeforeAll
  static void open() {
    knapsack = Script.open(folder);
    model = new OpenModel(knapsack, KnapsackChatRequestParameters.EMPTY, List.of(), false);
  }

  @AfterAll
  static void close() {
    knapsack.close();
  }

  /** A handler that notes what it is told. */
  private static class Recorder implements StreamingChatResponseHandler {
    final List<String> told = new ArrayList<>();
    StreamingHandle handle;

    @Override
    public void onPartialResponse(PartialResponse partial, PartialResponseContext context) {
      handle = context.streamingHandle();
      told.add("text");
    }

    @Override
    public void onPartialThinking(PartialThinking partial) {
      if (told.isEmpty() || !told.getLast().equals("thinking")) {
        told.add("thinking");
      }
    }

    @Override
    public void onCompleteResponse(ChatResponse response) {
      told.add("complete");
    }

    @Override
    public void onError(Throwable error) {
      told.add(error.getClass().getSimpleName());
    }
  }

  private static void answer(
      String text,
      KnapsackChatRequestParameters.Builder parameters,
      StreamingChatResponseHandler handler) {
    ChatRequest request =
        ChatRequest.builder()
            .messages(UserMessage.from(text))
            .parameters(parameters.build())
            .build();
    new StreamedAnswer(model, model.request(request), handler).run();
  }

  private static KnapsackChatRequestParameters.Builder parameters() {
    return KnapsackChatRequestParameters.builder();
  }

  @Test
  void whoCancelsHearsNothingMore() {
    Recorder recorder =
        new Recorder() {
          @Override
          public void onPartialResponse(PartialResponse partial, PartialResponseContext context) {
            super.onPartialResponse(partial, context);
            assertThat(handle.isCancelled()).isFalse();
            if (told.size() == 5) {
              handle.cancel();
            }
          }
        };
    answer("a long story", parameters(), recorder);
    assertThat(recorder.told).hasSize(5).containsOnly("text");
    assertThat(recorder.handle.isCancelled()).isTrue();
    recorder.handle.cancel();
    assertThat(recorder.handle.isCancelled()).isTrue();
  }

  @Test
  void thinkingComesBeforeWhatIsSaid() {
    Recorder recorder = new Recorder();
    answer("Is 7 a prime?", parameters(), recorder);
    assertThat(recorder.told).startsWith("thinking", "text").endsWith("text", "complete");
  }

  @Test
  void anAnswerEndsOnceHowever() {
    Recorder late = new Recorder();
    answer("a long story", parameters().timeout(Duration.ofNanos(1)), late);
    assertThat(late.told.removeLast()).isEqualTo(TimeoutException.class.getSimpleName());
    assertThat(late.told).doesNotContain("complete", "TimeoutException");
    Recorder refused = new Recorder();
    answer("a".repeat(10_000), parameters(), refused);
    assertThat(refused.told).containsExactly(InvalidRequestException.class.getSimpleName());
  }

  @Test
  void anErrorOfAHandlerEndsItsAnswer() {
    AssertionError error = new AssertionError("no");
    Recorder recorder =
        new Recorder() {
          @Override
          public void onPartialResponse(PartialResponse partial, PartialResponseContext context) {
            super.onPartialResponse(partial, context);
            throw error;
          }
        };
    assertThatThrownBy(() -> answer("hello", parameters(), recorder)).isSameAs(error);
    assertThat(recorder.told).containsExactly("text", "AssertionError");
  }

  @Test
  void whatIsOutOfRangeIsToldToTheHandler() {
    Recorder recorder = new Recorder();
    try (KnapsackStreamingChatModel streaming =
        KnapsackStreamingChatModel.builder().knapsack(knapsack).build()) {
      streaming.chat(
          ChatRequest.builder()
              .messages(UserMessage.from("hello"))
              .parameters(parameters().temperature(-1.0).build())
              .build(),
          recorder);
    }
    assertThat(recorder.told).containsExactly(InvalidRequestException.class.getSimpleName());
  }
}

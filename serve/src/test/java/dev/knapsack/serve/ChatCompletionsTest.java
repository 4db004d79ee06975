package dev.knapsack.serve;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class ChatCompletionsTest {
  private static TestServer server;

  @BeforeAll
  static void open() {
    server = TestServer.usual();
  }

  @AfterAll
  static void close() {
    server.close();
  }

  private static String ask(String more) {
    return "{'messages': [{'role': 'user', 'content': '%s'}], 'temperature': 0%s}"
        .formatted(TestServer.QUESTION, more);
  }

  @Test
  void answersAsAWhole() {
    TestServer.Answer answer = server.post("/v1/chat/completions", ask(", 'user': 'x', 'zzz': 1"));
    assertThat(answer.status()).isEqualTo(200);
    assertThat(answer.text("object")).isEqualTo("chat.completion");
    assertThat(answer.text("model")).isEqualTo("notes");
    assertThat(answer.text("choices.0.message.content").strip())
        .isEqualTo("The blue ring is in the library.");
    assertThat(answer.text("choices.0.finish_reason")).isEqualTo("stop");
    assertThat(answer.at("usage.prompt_tokens").getAsInt()).isPositive();
    assertThat(answer.at("usage.total_tokens").getAsInt())
        .isEqualTo(
            answer.at("usage.prompt_tokens").getAsInt()
                + answer.at("usage.completion_tokens").getAsInt());
  }

  @Test
  void streamsChunksThatEveryClientTakes() {
    TestServer.Answer answer = server.post("/v1/chat/completions", ask(", 'stream': true"));
    assertThat(answer.response().headers().firstValue("Content-Type"))
        .hasValue("text/event-stream");
    assertThat(answer.body()).endsWith("data: [DONE]\n\n");
    List<JsonObject> chunks = answer.events();
    assertThat(chunks)
        .allSatisfy(chunk -> {
          assertThat(TestServer.at(chunk, "object").getAsString())
              .isEqualTo("chat.completion.chunk");
          assertThat(chunk.has("id") && chunk.has("created") && chunk.has("model")).isTrue();
          assertThat(chunk.has("choices")).isTrue();
        });
    assertThat(TestServer.at(chunks.getFirst(), "choices.0.delta.role").getAsString())
        .isEqualTo("assistant");
    StringBuilder text = new StringBuilder();
    List<JsonObject> pieces = chunks.subList(0, chunks.size() - 2);
    pieces.forEach(c -> {
      text.append(TestServer.at(c, "choices.0.delta.content").getAsString());
      assertThat(TestServer.at(c, "choices.0.finish_reason").isJsonNull()).isTrue();
    });
    assertThat(text.toString().strip()).isEqualTo("The blue ring is in the library.");
    assertThat(
            TestServer.at(chunks.get(chunks.size() - 2), "choices.0.finish_reason").getAsString())
        .isEqualTo("stop");
    assertThat(chunks.getLast().getAsJsonArray("choices")).isEmpty();
    assertThat(TestServer.at(chunks.getLast(), "usage.completion_tokens").getAsInt()).isPositive();
  }

  @Test
  void writesSeveralChoicesWithLogProbabilities() {
    TestServer.Answer answer =
        server.post(
            "/v1/chat/completions",
            ask(", 'n': 2, 'max_completion_tokens': 2, 'logprobs': true, 'top_logprobs': 2"));
    assertThat(answer.at("choices").getAsJsonArray()).hasSize(2);
    assertThat(answer.text("choices.1.finish_reason")).isEqualTo("length");
    assertThat(answer.at("choices.0.logprobs.content").getAsJsonArray()).hasSize(2);
    assertThat(answer.at("choices.0.logprobs.content.0.top_logprobs").getAsJsonArray()).hasSize(2);
    assertThat(answer.text("choices.0.logprobs.content.0.token"))
        .isEqualTo(answer.text("choices.0.logprobs.content.0.top_logprobs.0.token"));
  }

  @Test
  void takesWhatClientsWriteForEmptyContent() {
    for (String content : List.of("", "'content': null, ", "'content': '', ")) {
      TestServer.Answer answer =
          server.post(
              "/v1/chat/completions",
              """
              {'max_tokens': 1, 'messages': [
                {'role': 'user', 'content': [{'type': 'text', 'text': 'Hello'}]},
                {'role': 'assistant', %s'reasoning_content': 'x', 'tool_calls': [
                  {'id': 'a', 'type': 'function', 'function': {'name': 'f', 'arguments': '{}'}}]},
                {'role': 'tool', 'tool_call_id': 'a', 'content': 'none'}]}\
              """
                  .formatted(content));
      assertThat(answer.status()).as(answer.body()).isEqualTo(200);
    }
  }

  @Test
  void refusesInOneFormAndNamesTheField() {
    record Case(String body, int status, String code, String field) {}
    for (Case bad :
        List.of(
            new Case("{'messages': [], 'model': 'notes'}", 400, "invalid_value", "messages"),
            new Case(
                "{'messages': [{'role': 'wizard'}]}", 400, "invalid_value", "messages[0].role"),
            new Case(ask(", 'temperature': 'hot'"), 400, "invalid_value", "temperature"),
            new Case(ask(", 'n': 0"), 400, "invalid_value", "n"),
            new Case(ask(", 'model': 'gpt-9'"), 404, "model_not_found", null),
            new Case("[1, 2]", 400, "invalid_json", null),
            new Case("{'messages'", 400, "invalid_json", null),
            new Case(
                "{'messages': [{'role': 'user', 'content': '%s'}]}".formatted("a b ".repeat(9000)),
                400,
                "context_length_exceeded",
                null))) {
      TestServer.Answer answer = server.post("/v1/chat/completions", bad.body());
      assertThat(answer.status()).as(bad.body()).isEqualTo(bad.status());
      assertThat(answer.text("error.code")).isEqualTo(bad.code());
      assertThat(answer.text("error.message")).isNotBlank();
      assertThat(answer.at("error.param").isJsonNull()).isEqualTo(bad.field() == null);
      if (bad.field() != null) {
        assertThat(answer.text("error.param")).isEqualTo(bad.field());
      }
    }
    assertThat(server.post("/v1/chat/completions", ask(", 'model': 'gpt-9'")).text("error.message"))
        .contains("'notes'");
  }
}

package dev.knapsack.serve;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import dev.knapsack.Generation;
import dev.knapsack.GenerationRequest;
import java.net.http.HttpRequest;
import java.util.List;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class MessagesTest {
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
    return "{'messages': [{'role': 'user', 'content': '%s'}], 'max_tokens': 50, 'temperature': 0%s}"
        .formatted(TestServer.QUESTION, more);
  }

  private static TestServer.Answer post(String json) {
    return server.post("/v1/messages", json);
  }

  @Test
  void answersAsAWhole() {
    TestServer.Answer answer =
        post(
            ask(
                """
                , 'model': 'notes', 'system': [
                  {'type': 'text', 'text': 'x', 'cache_control': {'type': 'ephemeral'}}],
                'metadata': {'user_id': 'u'}, 'zzz': 1\
                """));
    assertThat(answer.status()).as(answer.body()).isEqualTo(200);
    assertThat(answer.text("type")).isEqualTo("message");
    assertThat(answer.text("role")).isEqualTo("assistant");
    assertThat(answer.text("model")).isEqualTo("notes");
    assertThat(answer.text("id")).startsWith("msg_");
    assertThat(answer.text("content.0.type")).isEqualTo("text");
    assertThat(answer.text("content.0.text")).isNotBlank();
    assertThat(answer.text("stop_reason")).isEqualTo("end_turn");
    assertThat(answer.at("stop_sequence").isJsonNull()).isTrue();
    assertThat(answer.at("usage.output_tokens").getAsInt()).isPositive();
    assertThat(answer.response().headers().firstValue("request-id")).isPresent();
  }

  @Test
  void streamsNamedEventsInTheOrderOfTheProtocol() {
    TestServer.Answer answer = post(ask(", 'stream': true"));
    assertThat(answer.response().headers().firstValue("Content-Type"))
        .hasValue("text/event-stream");
    List<JsonObject> events = answer.events();
    List<String> names =
        answer
            .body()
            .lines()
            .filter(l -> l.startsWith("event: "))
            .map(l -> l.substring(7))
            .toList();
    assertThat(names).isEqualTo(events.stream().map(e -> e.get("type").getAsString()).toList());
    assertThat(names.stream().distinct())
        .containsExactly(
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop");
    assertThat(TestServer.at(events.getFirst(), "message.content").getAsJsonArray()).isEmpty();
    assertThat(TestServer.at(events.getFirst(), "message.usage.input_tokens").getAsInt())
        .isPositive();
    StringBuilder text = new StringBuilder();
    for (JsonObject event : events) {
      if (event.get("type").getAsString().equals("content_block_delta")) {
        assertThat(event.get("index").getAsInt()).isZero();
        assertThat(TestServer.at(event, "delta.type").getAsString()).isEqualTo("text_delta");
        text.append(TestServer.at(event, "delta.text").getAsString());
      }
    }
    assertThat(text.toString().strip()).isEqualTo("The blue ring is in the library.");
    JsonObject delta = events.get(events.size() - 2);
    assertThat(TestServer.at(delta, "delta.stop_reason").getAsString()).isEqualTo("end_turn");
    assertThat(TestServer.at(delta, "usage.output_tokens").getAsInt()).isPositive();
  }

  @Test
  void saysWhichStopSequenceEndedTheAnswer() {
    String asked = ask(", 'stop_sequences': ['zzz', ' library']");
    TestServer.Answer whole = post(asked);
    assertThat(whole.text("stop_reason")).isEqualTo("stop_sequence");
    assertThat(whole.text("stop_sequence")).isEqualTo(" library");
    assertThat(whole.text("content.0.text").strip()).isEqualTo("The blue ring is in the");
    List<JsonObject> events =
        post(ask(", 'stream': true, 'stop_sequences': ['zzz', ' library']")).events();
    assertThat(TestServer.at(events.get(events.size() - 2), "delta.stop_sequence").getAsString())
        .isEqualTo(" library");
    TestServer.Answer cut = post(ask("").replace("50", "2"));
    assertThat(cut.text("stop_reason")).isEqualTo("max_tokens");
    assertThat(cut.at("usage.output_tokens").getAsInt()).isEqualTo(2);
  }

  @Test
  void countsCachedTokensApart() {
    String asked = ask(", 'system': '%s'".formatted("You keep notes. ".repeat(40)));
    int all = server.post("/v1/messages/count_tokens", asked).at("input_tokens").getAsInt();
    for (int i = 0; i < 2; i++) {
      TestServer.Answer answer = post(asked);
      int cached = answer.at("usage.cache_read_input_tokens").getAsInt();
      assertThat(answer.at("usage.input_tokens").getAsInt() + cached).isEqualTo(all);
      assertThat(cached > 0).isEqualTo(i > 0);
    }
  }

  @Test
  void takesAConversationWithThoughtsAndTools() {
    TestServer.Answer answer =
        post(
            """
            {'max_tokens': 5, 'system': 'Be brief.',
             'thinking': {'type': 'enabled', 'budget_tokens': 1024},
             'tools': [{'name': 'f', 'description': 'd', 'input_schema': {'type': 'object'},
                        'cache_control': {'type': 'ephemeral'}}],
             'tool_choice': {'type': 'auto', 'disable_parallel_tool_use': true},
             'messages': [
              {'role': 'user', 'content': [{'type': 'text', 'text': 'Hello'}]},
              {'role': 'system', 'content': 'Be polite.'},
              {'role': 'assistant', 'content': [
                {'type': 'thinking', 'thinking': 'x', 'signature': 'y'},
                {'type': 'redacted_thinking', 'data': 'z'},
                {'type': 'text', 'text': 'Let me look.'},
                {'type': 'tool_use', 'id': 'a', 'name': 'f', 'input': {}},
                {'type': 'tool_use', 'id': 'b', 'name': 'f', 'input': {'x': 1}}]},
              {'role': 'user', 'content': [
                {'type': 'tool_result', 'tool_use_id': 'a', 'content': 'none'},
                {'type': 'tool_result', 'tool_use_id': 'b', 'is_error': true,
                 'content': [{'type': 'text', 'text': 'no'}]},
                {'type': 'text', 'text': 'Go on.'}]}]}\
            """);
    assertThat(answer.status()).as(answer.body()).isEqualTo(200);
    assertThat(answer.text("stop_reason")).isIn("end_turn", "max_tokens");
  }

  @Test
  void refusesInItsFormAndNamesTheField() {
    record Case(String body, int status, String type, String named) {}
    String said = "'messages': [{'role': 'user', 'content': 'Hi'}]";
    String image = "{'type': 'image', 'source': {}}";
    for (Case bad :
        List.of(
            new Case("{%s}".formatted(said), 400, "invalid_request_error", "max_tokens"),
            new Case("{'max_tokens': 1}", 400, "invalid_request_error", "messages"),
            new Case(ask(", 'model': 'gpt-9'"), 404, "not_found_error", "'notes'"),
            new Case(
                ask(", 'output_config': {'format': {'type': 'json_schema'}}"),
                400,
                "invalid_request_error",
                "output_config.format.schema"),
            new Case(
                ask(", 'tools': [{'name': 'f'}], 'tool_choice': {'type': 'some'}"),
                400,
                "invalid_request_error",
                "tool_choice.type"),
            new Case(
                ask(", 'tools': [{'name': 'w', 'type': 'web_search_20250305'}]"),
                400,
                "invalid_request_error",
                "tools[0].type"),
            new Case(
                "{'max_tokens': 1, 'messages': [{'role': 'user', 'content': [%s]}]}"
                    .formatted(image),
                400,
                "invalid_request_error",
                "messages[0].content[0].type"),
            new Case(
                ask("").replace("}]", "}, {'role': 'assistant', 'content': 'The'}]"),
                400,
                "invalid_request_error",
                "messages"))) {
      TestServer.Answer answer = post(bad.body());
      assertThat(answer.status()).as(bad.body()).isEqualTo(bad.status());
      assertThat(answer.text("type")).isEqualTo("error");
      assertThat(answer.text("error.type")).isEqualTo(bad.type());
      assertThat(answer.text("error.message")).contains(bad.named());
    }
  }

  @Test
  void sendsWhoComesTooManyAwayForAWhile() {
    try (TestServer full =
            new TestServer(o -> o.withSequences(1).withQueue(0), UnaryOperator.identity());
        Generation busy = full.model.generate(GenerationRequest.ofText("a").withIgnoreEnd(true))) {
      TestServer.Answer answer = full.post("/v1/messages", ask(""));
      assertThat(answer.status()).isEqualTo(529);
      assertThat(answer.text("error.type")).isEqualTo("overloaded_error");
      assertThat(answer.response().headers().firstValue("retry-after-ms")).isPresent();
      assertThat(busy.finishReason()).isEmpty();
      assertThat(full.post("/api/chat", ask("")).status()).isEqualTo(503);
    }
  }

  @Test
  void takesEitherHeaderWithAKeyAndAnyVersion() {
    try (TestServer locked =
        new TestServer(
            UnaryOperator.identity(),
            s ->
                s.withKeys(
                    List.of(ApiKey.of("anna", "s3cret"), ApiKey.parse("bob b requests=1"))))) {
      for (String[] header :
          List.of(
              new String[] {"Authorization", "Bearer s3cret", "2026-10-21"},
              new String[] {"x-api-key", "s3cret", "2023-06-01"})) {
        assertThat(asked(locked, header[0], header[1], header[2]).status()).isEqualTo(200);
      }
      TestServer.Answer none = locked.post("/v1/messages", ask(""));
      assertThat(none.status()).isEqualTo(401);
      assertThat(none.text("error.type")).isEqualTo("authentication_error");
      assertThat(asked(locked, "x-api-key", "b", "x").status()).isEqualTo(200);
      TestServer.Answer again = asked(locked, "x-api-key", "b", "x");
      assertThat(again.status()).isEqualTo(429);
      assertThat(again.text("error.type")).isEqualTo("rate_limit_error");
    }
  }

  private static TestServer.Answer asked(
      TestServer locked, String header, String value, String version) {
    return locked.send(
        locked
            .request("/v1/messages")
            .header(header, value)
            .header("anthropic-version", version)
            .POST(HttpRequest.BodyPublishers.ofString(ask("").replace('\'', '"')))
            .build());
  }
}

package dev.knapsack.serve;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.knapsack.memory.Account;
import java.io.BufferedReader;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class ResponsesTest {
  private static final String ANSWER = "The blue ring is in the library.";
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
    return "{'input': '%s', 'temperature': 0%s}".formatted(TestServer.QUESTION, more);
  }

  private static TestServer.Answer respond(String body) {
    return server.post("/v1/responses", body);
  }

  private static TestServer.Answer delete(String path) {
    return server.send(server.request(path).DELETE().build());
  }

  @Test
  void answersAsAWhole() {
    TestServer.Answer answer =
        respond(ask(", 'model': 'notes', 'metadata': {'a': 'b'}, 'user': 'u', 'zzz': 1"));
    assertThat(answer.status()).as(answer.body()).isEqualTo(200);
    assertThat(answer.text("object")).isEqualTo("response");
    assertThat(answer.text("id")).startsWith("resp_");
    assertThat(answer.text("status")).isEqualTo("completed");
    assertThat(answer.text("output.0.type")).isEqualTo("message");
    assertThat(answer.text("output.0.content.0.type")).isEqualTo("output_text");
    assertThat(answer.text("output.0.content.0.text").strip()).isEqualTo(ANSWER);
    assertThat(answer.text("metadata.a")).isEqualTo("b");
    assertThat(answer.at("usage.total_tokens").getAsInt())
        .isEqualTo(
            answer.at("usage.input_tokens").getAsInt()
                + answer.at("usage.output_tokens").getAsInt());
    assertThat(answer.at("incomplete_details").isJsonNull()).isTrue();
  }

  @Test
  void streamsEventsInTheirOrder() {
    TestServer.Answer answer = respond(ask(", 'stream': true"));
    List<JsonObject> events = answer.events();
    List<String> types = events.stream().map(e -> e.get("type").getAsString()).toList();
    assertThat(types.stream().distinct())
        .containsExactly(
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed");
    assertThat(answer.body().lines().filter(l -> l.startsWith("event: ")).map(l -> l.substring(7)))
        .isEqualTo(types);
    for (int i = 0; i < events.size(); i++) {
      assertThat(events.get(i).get("sequence_number").getAsInt()).isEqualTo(i);
    }
    String item = TestServer.at(events.get(2), "item.id").getAsString();
    StringBuilder text = new StringBuilder();
    for (JsonObject event : events) {
      if (event.has("item_id")) {
        assertThat(event.get("item_id").getAsString()).isEqualTo(item).isNotEmpty();
      }
      if (event.has("response")) {
        assertThat(TestServer.at(event, "response.id"))
            .isEqualTo(TestServer.at(events.getFirst(), "response.id"));
      }
      text.append(event.has("delta") ? event.get("delta").getAsString() : "");
    }
    assertThat(text.toString().strip()).isEqualTo(ANSWER);
    JsonElement last = events.getLast().get("response");
    assertThat(TestServer.at(last, "output.0.id").getAsString()).isEqualTo(item);
    assertThat(TestServer.at(last, "output.0.content.0.text").getAsString())
        .isEqualTo(text.toString());
    // It was stored before its last event.
    String id = TestServer.at(last, "id").getAsString();
    assertThat(server.get("/v1/responses/" + id).json()).isEqualTo(last);
  }

  @Test
  void saysThatAnAnswerWasCut() {
    TestServer.Answer answer = respond(ask(", 'max_output_tokens': 2"));
    assertThat(answer.text("status")).isEqualTo("incomplete");
    assertThat(answer.text("incomplete_details.reason")).isEqualTo("max_output_tokens");
    assertThat(answer.at("usage.output_tokens").getAsInt()).isEqualTo(2);
    JsonObject last = respond(ask(", 'max_output_tokens': 2, 'stream': true")).events().getLast();
    assertThat(last.get("type").getAsString()).isEqualTo("response.incomplete");
    assertThat(TestServer.at(last, "response.output.0.status").getAsString())
        .isEqualTo("incomplete");
  }

  @Test
  void goesOnFromAnEarlierResponse() {
    TestServer.Answer first = respond(ask(", 'instructions': 'Be brief.'"));
    TestServer.Answer second =
        respond(
            "{'input': 'Where is it?', 'temperature': 0, 'previous_response_id': '%s'}"
                .formatted(first.text("id")));
    assertThat(second.status()).as(second.body()).isEqualTo(200);
    assertThat(second.text("previous_response_id")).isEqualTo(first.text("id"));
    JsonArray items =
        server
            .get("/v1/responses/%s/input_items".formatted(second.text("id")))
            .at("data")
            .getAsJsonArray();
    assertThat(items).hasSize(3);
    assertThat(items.get(1)).isEqualTo(first.at("output.0"));
    // The same conversation written out is read as the same tokens.
    TestServer.Answer whole =
        respond("{'temperature': 0, 'input': %s}".formatted(items.toString()));
    assertThat(whole.at("usage.input_tokens")).isEqualTo(second.at("usage.input_tokens"));
    assertThat(whole.text("output.0.content.0.text"))
        .isEqualTo(second.text("output.0.content.0.text"));
  }

  @Test
  void forgetsWhatIsDeletedOrWasNotStored() {
    String id = respond(ask("")).text("id");
    assertThat(server.get("/v1/responses/" + id).status()).isEqualTo(200);
    assertThat(delete("/v1/responses/" + id).at("deleted").getAsBoolean()).isTrue();
    String fleeting = respond(ask(", 'store': false")).text("id");
    for (String gone : List.of(id, fleeting, "resp_none")) {
      for (TestServer.Answer answer :
          List.of(
              server.get("/v1/responses/" + gone),
              delete("/v1/responses/" + gone),
              respond(ask(", 'previous_response_id': '%s'".formatted(gone))))) {
        assertThat(answer.status()).isEqualTo(404);
        assertThat(answer.text("error.code")).isEqualTo("response_not_found");
        assertThat(answer.text("error.message")).contains(gone).contains("dropped");
      }
    }
  }

  @Test
  void writesInTheBackgroundUntilItIsCancelled() {
    String body =
        "{'input': 'Tell me all.', 'background': true, 'max_output_tokens': 1500, 'temperature': 5,"
            + " 'logit_bias': {'%d': -100}}".formatted(server.model.tokenizer().eos());
    TestServer.Answer begun = server.post("/v1/responses", body);
    assertThat(begun.status()).as(begun.body()).isEqualTo(200);
    assertThat(begun.text("status")).isEqualTo("queued");
    String path = "/v1/responses/" + begun.text("id");
    assertThat(
            server
                .post(
                    "/v1/responses",
                    "{'input': 'x', 'previous_response_id': '%s'}".formatted(begun.text("id")))
                .status())
        .isEqualTo(400);
    while (!server.get(path).text("status").equals("in_progress")) {
      Thread.onSpinWait();
    }
    TestServer.Answer cancelled = server.post(path + "/cancel", "{}");
    assertThat(cancelled.text("status")).isEqualTo("cancelled");
    assertThat(server.get(path).json()).isEqualTo(cancelled.json());
    assertThat(server.post(path + "/cancel", "{}").json()).isEqualTo(cancelled.json());
    while (!server.get("/slots").body().equals("[]")) {
      Thread.onSpinWait();
    }
    // Deleted while it is written, it ends too.
    TestServer.Answer other = server.post("/v1/responses", body);
    server.send(server.request("/v1/responses/" + other.text("id")).DELETE().build());
    while (!server.get("/slots").body().equals("[]")) {
      Thread.onSpinWait();
    }
    assertThat(server.get("/v1/responses/" + other.text("id")).status()).isEqualTo(404);
    TestServer.Answer whole =
        server.post(
            "/v1/responses", "{'input': 'Where?', 'max_output_tokens': 3, 'background': true}");
    String its = "/v1/responses/" + whole.text("id");
    while (!List.of("completed", "incomplete").contains(server.get(its).text("status"))) {
      Thread.onSpinWait();
    }
    assertThat(server.get(its).at("usage.output_tokens").getAsInt()).isBetween(1, 3);
    TestServer.Answer plain =
        server.post("/v1/responses", "{'input': 'Where?', 'max_output_tokens': 3}");
    assertThat(
            server.post("/v1/responses/" + plain.text("id") + "/cancel", "{}").text("error.code"))
        .isEqualTo("not_in_background");
    assertThat(server.post("/v1/responses/resp_none/cancel", "{}").status()).isEqualTo(404);
  }

  @Test
  void readsItemsOfToolCalls() {
    TestServer.Answer answer =
        respond(
            """
            {'max_output_tokens': 1, 'tool_choice': 'none', 'parallel_tool_calls': false,
             'reasoning': {'effort': 'none'}, 'truncation': 'auto', 'text': {'format': {'type': 'text'}},
             'tools': [{'type': 'function', 'name': 'f', 'parameters': {'type': 'object'}, 'strict': true}],
             'input': [
              {'role': 'user', 'content': [{'type': 'input_text', 'text': 'Hello'}]},
              {'type': 'reasoning', 'id': 'rs_1', 'summary': [{'type': 'summary_text', 'text': 'Hm.'}]},
              {'type': 'function_call', 'call_id': 'a', 'name': 'f', 'arguments': '{}'},
              {'type': 'function_call_output', 'call_id': 'a', 'output': 'none'}]}\
            """);
    assertThat(answer.status()).as(answer.body()).isEqualTo(200);
    assertThat(answer.text("tools.0.name")).isEqualTo("f");
  }

  @Test
  void refusesAndNamesTheField() {
    record Case(String body, String field) {}
    for (Case bad :
        List.of(
            new Case("{}", "input"),
            new Case("{'input': []}", "input"),
            new Case("{'input': [{'type': 'computer_call'}]}", "input[0].type"),
            new Case(
                "{'input': [{'role': 'user', 'content': [{'type': 'input_image'}]}]}",
                "input[0].content[0].type"),
            new Case(
                "{'input': [{'role': 'user', 'content': [{'type': 'input_file'}]}]}",
                "input[0].content[0].type"),
            new Case(ask(", 'tools': [{'type': 'web_search'}]"), "tools[0].type"),
            new Case(ask(", 'text': {'format': {'type': 'json_schema'}}"), "text.format.schema"),
            new Case(ask(", 'tool_choice': 'some'"), "tool_choice"),
            new Case(ask(", 'tool_choice': {'type': 'function'}"), "tool_choice.name"),
            new Case(ask(", 'max_output_tokens': 0"), "max_output_tokens"),
            new Case(ask(", 'background': true, 'stream': true"), "background"),
            new Case(ask(", 'conversation': 'c'"), "conversation"))) {
      TestServer.Answer answer = respond(bad.body());
      assertThat(answer.status()).as(bad.body()).isEqualTo(400);
      assertThat(answer.text("error.param")).isEqualTo(bad.field());
    }
  }

  @Test
  void leavesOutTheOldestTurnsWhereItMay() {
    String items =
        """
        {'max_output_tokens': 1, 'truncation': '%s', 'input': [
          {'role': 'user', 'content': '%s'}, {'role': 'assistant', 'content': 'Yes.'},
          {'role': 'user', 'content': 'Hello'}]}\
        """;
    String filler = "a b ".repeat(9000);
    assertThat(respond(items.formatted("disabled", filler)).text("error.code"))
        .isEqualTo("context_length_exceeded");
    TestServer.Answer answer = respond(items.formatted("auto", filler));
    assertThat(answer.status()).as(answer.body()).isEqualTo(200);
    assertThat(answer.at("usage.input_tokens").getAsInt()).isLessThan(100);
  }

  @Test
  void leasesWhatItKeepsFromTheBudget() {
    Account account = server.budget.account("responses");
    String id = respond(ask("")).text("id");
    long with = account.used();
    delete("/v1/responses/" + id);
    assertThat(account.used()).isLessThan(with);
  }

  @Test
  void tellsOfAFailureInTwoWays() throws Exception {
    TestServer failing = new TestServer(UnaryOperator.identity(), UnaryOperator.identity());
    List<JsonObject> events = new ArrayList<>();
    int end = failing.model.tokenizer().eos();
    try (HttpClient client = HttpClient.newHttpClient()) {
      String body =
          ask(", 'stream': true, 'logit_bias': {'%d': -100}".formatted(end)).replace('\'', '"');
      HttpResponse<InputStream> response =
          client.send(
              failing
                  .request("/v1/responses")
                  .POST(HttpRequest.BodyPublishers.ofString(body))
                  .build(),
              HttpResponse.BodyHandlers.ofInputStream());
      try (BufferedReader lines =
          new BufferedReader(new InputStreamReader(response.body(), StandardCharsets.UTF_8))) {
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
          if (line.startsWith("data: ")) {
            events.add(JsonParser.parseString(line.substring(6)).getAsJsonObject());
            if (events.getLast().get("type").getAsString().equals("response.output_text.delta")) {
              failing.model.close();
            }
          }
        }
      }
    } finally {
      failing.server.close();
    }
    JsonObject failed = events.get(events.size() - 2);
    assertThat(failed.get("type").getAsString()).isEqualTo("response.failed");
    assertThat(TestServer.at(failed, "response.status").getAsString()).isEqualTo("failed");
    assertThat(TestServer.at(failed, "response.error.code").getAsString()).isEqualTo("closing");
    assertThat(events.getLast().get("type").getAsString()).isEqualTo("error");
    assertThat(TestServer.at(events.getLast(), "error.message").getAsString()).isNotBlank();
  }
}

package dev.knapsack.serve;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import java.net.http.HttpRequest;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class OllamaTest {
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

  private static String chat(String more) {
    return "{'messages': [{'role': 'user', 'content': '%s'}], 'options': {'temperature': 0}%s}"
        .formatted(TestServer.QUESTION, more);
  }

  private static String generate(String more) {
    return "{'prompt': '%s', 'options': {'temperature': 0}%s}".formatted(TestServer.QUESTION, more);
  }

  @Test
  void chatsInLinesUnlessAskedOtherwise() {
    TestServer.Answer answer = server.post("/api/chat", chat(", 'model': 'notes:latest'"));
    assertThat(answer.response().headers().firstValue("Content-Type"))
        .hasValue("application/x-ndjson");
    List<JsonObject> lines = answer.lines();
    StringBuilder text = new StringBuilder();
    for (JsonObject line : lines) {
      assertThat(line.get("model").getAsString()).isEqualTo("notes:latest");
      assertThat(line.has("created_at")).isTrue();
      assertThat(line.get("done").getAsBoolean()).isEqualTo(line == lines.getLast());
      assertThat(TestServer.at(line, "message.role").getAsString()).isEqualTo("assistant");
      text.append(TestServer.at(line, "message.content").getAsString());
    }
    assertThat(text.toString().strip()).isEqualTo(ANSWER);
    JsonObject last = lines.getLast();
    assertThat(last.get("done_reason").getAsString()).isEqualTo("stop");
    assertThat(last.get("eval_count").getAsInt()).isEqualTo(lines.size() - 1);
    assertThat(last.get("prompt_eval_count").getAsInt()).isPositive();
    for (String duration : List.of("total_duration", "prompt_eval_duration", "eval_duration")) {
      assertThat(last.get(duration).getAsLong()).as(duration).isPositive();
    }
    assertThat(last.has("load_duration")).isFalse();
  }

  @Test
  void chatsAsAWhole() {
    TestServer.Answer answer =
        server.post(
            "/api/chat",
            """
            {'model': 'notes', 'stream': false, 'keep_alive': '5m', 'think': false, 'format': '',
             'messages': [{'role': 'user', 'content': '%s', 'images': []}],
             'options': {'temperature': 0, 'num_ctx': 1000000, 'num_predict': 3, 'seed': 1,
                         'top_k': 5, 'top_p': 0.9, 'min_p': 0, 'repeat_penalty': 1.1,
                         'repeat_last_n': 3, 'stop': ['zzz'], 'mirostat': 0}}\
            """
                .formatted(TestServer.QUESTION));
    assertThat(answer.status()).as(answer.body()).isEqualTo(200);
    assertThat(answer.text("done_reason")).isEqualTo("length");
    assertThat(answer.at("eval_count").getAsInt()).isEqualTo(3);
    assertThat(answer.at("done").getAsBoolean()).isTrue();
    assertThat(answer.text("message.content")).isNotBlank();
  }

  @Test
  void takesAConversationWithThoughtsAndTools() {
    TestServer.Answer answer =
        server.post(
            "/api/chat",
            """
            {'stream': false, 'options': {'num_predict': 3}, 'think': 'low',
             'tools': [{'type': 'function', 'function': {
               'name': 'f', 'description': 'd', 'parameters': {'type': 'object'}}}],
             'messages': [
              {'role': 'system', 'content': 'Be brief.'},
              {'role': 'user', 'content': 'Hello'},
              {'role': 'assistant', 'content': '', 'thinking': 'x', 'tool_calls': [
                {'function': {'index': 0, 'name': 'f', 'arguments': {'x': 1}}}]},
              {'role': 'tool', 'tool_name': 'f', 'content': 'none'}]}\
            """);
    assertThat(answer.status()).as(answer.body()).isEqualTo(200);
  }

  @Test
  void generatesFromAPromptOfTheUserOrARawOne() {
    TestServer.Answer whole = server.post("/api/generate", generate(", 'stream': false"));
    assertThat(whole.text("response").strip()).isEqualTo(ANSWER);
    assertThat(whole.at("done").getAsBoolean()).isTrue();
    List<JsonObject> lines =
        server
            .post("/api/generate", generate(", 'system': '', 'context': [1, 2], 'raw': false"))
            .lines();
    StringBuilder text = new StringBuilder();
    lines.forEach(line -> text.append(line.get("response").getAsString()));
    assertThat(text.toString().strip()).isEqualTo(ANSWER);

    String prompt =
        server
            .post(
                "/apply-template",
                "{'messages': [{'role': 'user', 'content': '%s'}]}".formatted(TestServer.QUESTION))
            .text("prompt");
    JsonObject raw = new JsonObject();
    raw.addProperty("raw", true);
    raw.addProperty("stream", false);
    raw.addProperty("prompt", prompt);
    JsonObject options = new JsonObject();
    options.addProperty("temperature", 0);
    raw.add("options", options);
    TestServer.Answer same = server.post("/api/generate", raw.toString());
    assertThat(same.text("response").strip()).isEqualTo(ANSWER);
  }

  @Test
  void saysThatAModelIsLoadedWhenNothingIsAsked() {
    assertThat(server.post("/api/chat", "{'model': 'notes', 'messages': []}").text("done_reason"))
        .isEqualTo("load");
    TestServer.Answer loaded = server.post("/api/generate", "{'model': 'notes'}");
    assertThat(loaded.text("done_reason")).isEqualTo("load");
    assertThat(loaded.text("response")).isEmpty();
    assertThat(loaded.json().has("eval_count")).isFalse();
  }

  @Test
  void listsAndShowsModels() {
    TestServer.Answer tags = server.get("/api/tags");
    assertThat(tags.text("models.0.name")).isEqualTo("notes:latest");
    assertThat(tags.at("models.0.size").getAsLong()).isBetween(2_600_000L, 5_000_000L);
    assertThat(tags.text("models.0.digest")).hasSize(64);
    assertThat(tags.text("models.0.details.quantization_level")).isEqualTo("Q8_0");
    assertThat(tags.text("models.0.details.parameter_size")).isEqualTo("2.6M");
    TestServer.Answer ps = server.get("/api/ps");
    assertThat(ps.text("models.0.model")).isEqualTo("notes:latest");
    int context = server.model.plan().context();
    assertThat(ps.at("models.0.context_length").getAsInt()).isEqualTo(context);
    for (String named : List.of("{'model': 'notes'}", "{'name': 'notes:latest'}")) {
      TestServer.Answer show = server.post("/api/show", named);
      String family = show.text("details.family");
      assertThat(show.at("model_info").getAsJsonObject().get(family + ".context_length").getAsInt())
          .isEqualTo(context);
      assertThat(show.at("capabilities").getAsJsonArray().get(0).getAsString())
          .isEqualTo("completion");
    }
    assertThat(server.get("/api/version").text("version")).matches("\\d+\\.\\d+\\.\\d+");
    assertThat(
            server
                .send(
                    server.request("/").method("HEAD", HttpRequest.BodyPublishers.noBody()).build())
                .status())
        .isEqualTo(200);
  }

  @Test
  void refusesInItsFormAndNamesTheField() {
    record Case(String path, String body, int status, String named) {}
    for (Case bad :
        List.of(
            new Case("/api/chat", chat(", 'model': 'gpt-9'"), 404, "'notes'"),
            new Case("/api/show", "{'model': 'gpt-9:latest'}", 404, "'notes'"),
            new Case("/api/chat", chat(", 'format': 'yaml'"), 400, "format"),
            new Case("/api/chat", chat(", 'format': {'type': 'objekt'}"), 400, "type"),
            new Case("/api/chat", chat(", 'logprobs': true"), 400, "logprobs"),
            new Case("/api/generate", generate(", 'suffix': 'x'"), 400, "suffix"),
            new Case("/api/generate", generate(", 'template': 'x'"), 400, "template"),
            new Case("/api/generate", generate(", 'images': ['x']"), 400, "images"),
            new Case(
                "/api/chat",
                "{'messages': [{'role': 'user', 'content': 'x', 'images': ['y']}]}",
                400,
                "messages[0].images"),
            new Case(
                "/api/chat",
                chat("").replace("'temperature': 0", "'top_k': 'x'"),
                400,
                "options.top_k"))) {
      TestServer.Answer answer = server.post(bad.path(), bad.body());
      assertThat(answer.status()).as(bad.body()).isEqualTo(bad.status());
      assertThat(answer.text("error")).contains(bad.named());
    }
  }
}

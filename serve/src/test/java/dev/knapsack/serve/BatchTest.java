package dev.knapsack.serve;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.knapsack.serve.batch.Batch;
import dev.knapsack.serve.batch.BatchFileException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BatchTest {
  private static final String[] THINGS = {"ring", "coat", "book", "lamp", "hat"};
  private static TestServer server;

  @TempDir Path folder;
  private Batch batch;

  @BeforeAll
  static void open() {
    server = TestServer.usual();
  }

  @AfterAll
  static void close() {
    server.close();
  }

  @BeforeEach
  void name() {
    batch =
        new Batch(
            folder.resolve("in.jsonl"),
            folder.resolve("out.jsonl"),
            folder.resolve("out.jsonl.errors"),
            "",
            true);
  }

  private static ServedModels models() {
    return new ServedModels(List.of(new ServedModel("notes", server.model)));
  }

  private static String line(String id, String url, String body) {
    return "{'custom_id': '%s', 'method': 'POST', 'url': '%s', 'body': %s}"
        .formatted(id, url, body)
        .replace('\'', '"');
  }

  private static String question(int i) {
    String thing = THINGS[i % THINGS.length];
    return "Dan put the blue %s in the library. %s Where is the blue %s?"
        .formatted(thing, "Eve put the red coat in the kitchen. ".repeat(i % 3), thing);
  }

  private static String chat(int i) {
    return "{'messages': [{'role': 'user', 'content': '%s'}], 'temperature': 0}"
        .formatted(question(i));
  }

  private List<String> write(int count) throws IOException {
    List<String> lines = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      lines.add(line("chat-" + i, "/v1/chat/completions", chat(i)));
    }
    Files.write(batch.in(), lines);
    return lines;
  }

  private static Map<String, JsonObject> results(Path path) throws IOException {
    return Files.readAllLines(path).stream()
        .map(line -> JsonParser.parseString(line).getAsJsonObject())
        .collect(Collectors.toMap(r -> r.get("custom_id").getAsString(), Function.identity()));
  }

  @Test
  void answersEachAsTheServerWould() throws Exception {
    write(12);
    Files.writeString(
        batch.in(),
        String.join(
            "\n",
            line("text", "/v1/completions", "{'prompt': ['Dan', 'Eve'], 'max_tokens': 3, 'n': 2}"),
            line(
                "items",
                "/v1/responses",
                "{'input': 'Hello', 'max_output_tokens': 1, 'temperature': 0}")),
        StandardOpenOption.APPEND);
    Batch.Counts counts = batch.run(models(), () -> false, _ -> {});
    assertThat(counts).isEqualTo(new Batch.Counts(14, 14, 0));
    Map<String, JsonObject> results = results(batch.out());
    assertThat(results).hasSize(14);
    for (int i = 0; i < 12; i++) {
      JsonObject result = results.get("chat-" + i);
      assertThat(TestServer.at(result, "error").isJsonNull()).isTrue();
      assertThat(TestServer.at(result, "response.status_code").getAsInt()).isEqualTo(200);
      assertThat(TestServer.at(result, "response.body.choices.0.message.content"))
          .isEqualTo(server.post("/v1/chat/completions", chat(i)).at("choices.0.message.content"));
    }
    assertThat(TestServer.at(results.get("text"), "response.body.choices").getAsJsonArray())
        .hasSize(4);
    assertThat(TestServer.at(results.get("items"), "response.body.status").getAsString())
        .isEqualTo("incomplete");
    assertThat(batch.errors()).doesNotExist();
    assertThat(server.budget.account("batch").used()).isZero();
  }

  @Test
  void writesWhatIsRefusedToItsOwnFile() throws Exception {
    Files.write(
        batch.in(),
        List.of(
            line("good", "/v1/chat/completions", chat(0)),
            line("model", "/v1/chat/completions", "{'model': 'gpt-9', 'messages': []}"),
            line("field", "/v1/chat/completions", "{'messages': []}"),
            line("url", "/v1/pictures", "{}"),
            line("many", "/v1/chat/completions", chat(1).replace("}]", "}], 'n': 100")),
            line(
                "long",
                "/v1/chat/completions",
                "{'messages': [{'role': 'user', 'content': '%s'}]}".formatted("a b ".repeat(9000))),
            "{\"custom_id\": \"body\", \"method\": \"POST\", \"url\": \"/v1/completions\"}"));
    assertThat(batch.run(models(), () -> false, _ -> {})).isEqualTo(new Batch.Counts(7, 1, 6));
    Map<String, JsonObject> errors = results(batch.errors());
    assertThat(errors.keySet())
        .containsExactlyInAnyOrder("model", "field", "url", "many", "long", "body");
    assertThat(TestServer.at(errors.get("model"), "response.status_code").getAsInt())
        .isEqualTo(404);
    assertThat(TestServer.at(errors.get("field"), "response.body.error.param").getAsString())
        .isEqualTo("messages");
    assertThat(TestServer.at(errors.get("long"), "response.body.error.code").getAsString())
        .isEqualTo("context_length_exceeded");
    assertThat(TestServer.at(errors.get("url"), "response.body.error.message").getAsString())
        .contains("/v1/pictures", "/v1/chat/completions");
  }

  @Test
  void goesOnWhereItWasStopped() throws Exception {
    write(20);
    int[] done = {0};
    Batch.Counts first =
        batch.run(models(), () -> done[0] >= 5, counts -> done[0] = counts.completed());
    assertThat(first.left()).isPositive();
    String half = Files.readString(batch.out());
    // What was being written when the process was killed.
    Files.writeString(
        batch.out(), "{\"id\":\"batch_req_x\",\"custom_id\":\"chat-1", StandardOpenOption.APPEND);
    Batch.Counts second = batch.run(models(), () -> false, _ -> {});
    assertThat(second).isEqualTo(new Batch.Counts(20, 20, 0));
    assertThat(Files.readString(batch.out())).startsWith(half);
    assertThat(results(batch.out())).hasSize(20); // none twice
    String all = Files.readString(batch.out());
    batch.run(models(), () -> false, _ -> {});
    assertThat(Files.readString(batch.out())).isEqualTo(all);
  }

  @Test
  void readsWhatPromptsShareOnce() throws Exception {
    List<String> lines = new ArrayList<>();
    for (int i = 0; i < 16; i++) {
      String told = "Eve put the red %s in the kitchen. ".formatted(THINGS[i % 2]).repeat(30);
      lines.add(
          line(
              "q" + i,
              "/v1/completions",
              "{'prompt': '%s Where is %d?', 'max_tokens': 2, 'temperature': 0}"
                  .formatted(told, i)));
    }
    Files.write(batch.in(), lines);
    try (TestServer fresh = TestServer.usual()) {
      batch.run(
          new ServedModels(List.of(new ServedModel("notes", fresh.model))), () -> false, _ -> {});
    }
    long whole =
        results(batch.out()).values().stream()
            .filter(r ->
                TestServer.at(r, "response.body.usage.prompt_tokens_details.cached_tokens")
                            .getAsInt()
                        * 2
                    < TestServer.at(r, "response.body.usage.prompt_tokens").getAsInt())
            .count();
    assertThat(whole).isEqualTo(2); // the first of each group
  }

  @Test
  void refusesFilesThatCannotBeUsedBeforeAnythingIsAnswered() throws Exception {
    List<String> lines = write(2);
    record Case(String line, int number, String why) {}
    for (Case bad :
        List.of(
            new Case("{\"custom_id\"", 3, "not JSON"),
            new Case("{\"body\": {}}", 3, "custom_id"),
            new Case(lines.getFirst(), 3, "earlier line"))) {
      Files.write(batch.in(), List.of(lines.get(0), lines.get(1), bad.line()));
      assertThatThrownBy(() -> batch.run(models(), () -> false, _ -> {}))
          .isInstanceOf(BatchFileException.class)
          .hasMessageContaining(bad.why())
          .extracting(e -> ((BatchFileException) e).line())
          .isEqualTo(bad.number());
      assertThat(batch.out()).doesNotExist();
    }
    Files.writeString(batch.in(), "\n");
    assertThatThrownBy(batch::check).hasMessageContaining("no requests");
    write(2);
    Files.writeString(batch.out(), "{\"custom_id\": \"other\"}\n");
    assertThatThrownBy(batch::check).hasMessageContaining("'other', which is not asked for");
  }
}

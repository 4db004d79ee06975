package dev.knapsack.serve;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.net.http.HttpRequest;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(120)
class BatchesTest {
  @TempDir Path folder;
  private TestServer server;

  @BeforeEach
  void open() {
    server =
        new TestServer(UnaryOperator.identity(), o -> o.withFiles(new FileFolder(folder, 100_000)));
  }

  @AfterEach
  void close() {
    server.close();
  }

  private TestServer.Answer upload(String content) {
    String form =
        """
        --edge\r
        Content-Disposition: form-data; name="purpose"\r
        \r
        batch\r
        --edge\r
        Content-Disposition: form-data; name="file"; filename="in.jsonl"\r
        Content-Type: application/jsonl\r
        \r
        %s\r
        --edge--\r
        """
            .formatted(content);
    return server.send(
        server
            .request("/v1/files")
            .POST(HttpRequest.BodyPublishers.ofString(form))
            .header("Content-Type", "multipart/form-data; boundary=edge")
            .build());
  }

  private static String line(String id, String more) {
    return """
    {"custom_id": "%s", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": \
    [{"role": "user", "content": "%s"}], "temperature": 0%s}}\
    """
        .formatted(id, TestServer.QUESTION, more);
  }

  private TestServer.Answer create(String file) {
    return server.post(
        "/v1/batches",
        "{'input_file_id': '%s', 'endpoint': '/v1/chat/completions', 'completion_window': '24h', 'metadata': {'a': 'b'}}"
            .formatted(file));
  }

  private TestServer.Answer ended(String batch) {
    while (true) {
      TestServer.Answer answer = server.get("/v1/batches/" + batch);
      if (List.of("completed", "failed", "cancelled").contains(answer.text("status"))) {
        return answer;
      }
    }
  }

  @Test
  void keepsFiles() throws Exception {
    String large = "x".repeat(90_000); // on the disk while it is read
    TestServer.Answer file = upload(large);
    assertThat(file.status()).as(file.body()).isEqualTo(200);
    assertThat(file.text("object")).isEqualTo("file");
    assertThat(file.text("filename")).isEqualTo("in.jsonl");
    assertThat(file.text("purpose")).isEqualTo("batch");
    assertThat(file.at("bytes").getAsInt()).isEqualTo(90_000);
    assertThat(file.body()).doesNotContain("knapsack");
    String path = "/v1/files/" + file.text("id");
    assertThat(server.get(path).json()).isEqualTo(file.json());
    assertThat(server.get(path + "/content").body()).isEqualTo(large);
    assertThat(server.get("/v1/files").at("data.0")).isEqualTo(file.json());
    TestServer.Answer second = upload(large);
    assertThat(second.status()).isEqualTo(413);
    assertThat(second.text("error.code")).isEqualTo("files_full");
    TestServer.Answer gone = server.send(server.request(path).DELETE().build());
    assertThat(gone.at("deleted").getAsBoolean()).isTrue();
    assertThat(server.get(path).status()).isEqualTo(404);
    assertThat(server.get("/v1/files/..%2Fx").status()).isGreaterThanOrEqualTo(400);
    try (Stream<Path> left = Files.list(folder)) {
      assertThat(left).isEmpty();
    }
    assertThat(server.post("/v1/files", "{}").text("error.code")).isEqualTo("invalid_form");
  }

  @Test
  void listsInPages() {
    String first = upload("a").text("id");
    String second = upload("b").text("id");
    TestServer.Answer page = server.get("/v1/files?limit=1");
    assertThat(page.at("has_more").getAsBoolean()).isTrue();
    TestServer.Answer next = server.get("/v1/files?limit=1&after=" + page.text("last_id"));
    assertThat(next.at("has_more").getAsBoolean()).isFalse();
    assertThat(List.of(page.text("data.0.id"), next.text("data.0.id")))
        .containsExactlyInAnyOrder(first, second);
    assertThat(server.get("/v1/files?limit=many").status()).isEqualTo(400);
  }

  @Test
  void answersABatch() {
    String input = upload(line("good", "") + "\n" + line("bad", ", \"n\": 0")).text("id");
    TestServer.Answer created = create(input);
    assertThat(created.status()).as(created.body()).isEqualTo(200);
    assertThat(created.text("object")).isEqualTo("batch");
    assertThat(created.body()).doesNotContain("knapsack");
    TestServer.Answer batch = ended(created.text("id"));
    assertThat(batch.text("status")).isEqualTo("completed");
    assertThat(batch.text("metadata.a")).isEqualTo("b");
    assertThat(batch.at("request_counts").toString())
        .isEqualTo("{\"total\":2,\"completed\":1,\"failed\":1}");
    JsonObject good = content(batch.text("output_file_id"));
    assertThat(TestServer.at(good, "custom_id").getAsString()).isEqualTo("good");
    assertThat(TestServer.at(good, "response.body.choices.0.message.content").getAsString().strip())
        .isEqualTo("The blue ring is in the library.");
    JsonObject bad = content(batch.text("error_file_id"));
    assertThat(TestServer.at(bad, "response.body.error.param").getAsString()).isEqualTo("n");
    assertThat(server.get("/v1/batches").at("data.0")).isEqualTo(batch.json());
  }

  private JsonObject content(String file) {
    return JsonParser.parseString(server.get("/v1/files/%s/content".formatted(file)).body())
        .getAsJsonObject();
  }

  @Test
  void saysWhatIsWrongWithAFile() {
    TestServer.Answer batch = ended(create(upload(line("a", "") + "\n{}").text("id")).text("id"));
    assertThat(batch.text("status")).isEqualTo("failed");
    assertThat(batch.at("errors.data.0.line").getAsInt()).isEqualTo(2);
    assertThat(batch.text("errors.data.0.message")).contains("custom_id");
    TestServer.Answer refused = create("file-none");
    assertThat(refused.status()).isEqualTo(400);
    assertThat(refused.text("error.param")).isEqualTo("input_file_id");
  }

  @Test
  void cancelsWhatHasNotEnded() {
    StringBuilder lines = new StringBuilder();
    int end = server.model.tokenizer().eos();
    for (int i = 0; i < 40; i++) {
      lines.append(line("l" + i, ", \"logit_bias\": {\"%d\": -100}".formatted(end))).append('\n');
    }
    String id = create(upload(lines.toString()).text("id")).text("id");
    TestServer.Answer told = server.post("/v1/batches/%s/cancel".formatted(id), "{}");
    assertThat(told.text("status")).isIn("cancelling", "cancelled");
    TestServer.Answer batch = ended(id);
    assertThat(batch.text("status")).isEqualTo("cancelled");
    assertThat(batch.at("request_counts.completed").getAsInt()).isLessThan(40);
  }

  @Test
  void goesOnWithTheNextServer() {
    StringBuilder lines = new StringBuilder();
    for (int i = 0; i < 12; i++) {
      lines.append(line("l" + i, "")).append('\n');
    }
    String id = create(upload(lines.toString()).text("id")).text("id");
    server.close();
    open();
    TestServer.Answer batch = ended(id);
    assertThat(batch.at("request_counts.completed").getAsInt()).isEqualTo(12);
    assertThat(
            server
                .get("/v1/files/%s/content".formatted(batch.text("output_file_id")))
                .body()
                .lines())
        .hasSize(12);
  }

  @Test
  void saysThatThereAreNone() {
    try (TestServer without = TestServer.usual()) {
      for (String path : List.of("/v1/files", "/v1/batches", "/v1/batches/batch_x")) {
        TestServer.Answer answer = without.get(path);
        assertThat(answer.status()).isEqualTo(404);
        assertThat(answer.text("error.message")).contains("--files");
      }
    }
  }
}

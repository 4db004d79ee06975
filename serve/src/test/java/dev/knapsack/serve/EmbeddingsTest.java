package dev.knapsack.serve;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.knapsack.Embedder;
import dev.knapsack.EmbeddingRequest;
import dev.knapsack.Reranker;
import dev.knapsack.Task;
import dev.knapsack.serve.batch.Batch;
import java.io.OutputStream;
import java.net.Socket;
import java.net.http.HttpRequest;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collections;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Vectors and scores by each API, of models that are served beside one that chats. */
class EmbeddingsTest {
  private static TestServer server;
  private static Embedder embedder;
  private static Reranker reranker;

  @BeforeAll
  static void open() {
    server = TestServer.withEncoders(o -> o);
    embedder = ((ServedEmbedder) server.encoders.get(0)).embedder();
    reranker = ((ServedReranker) server.encoders.get(1)).reranker();
  }

  @AfterAll
  static void close() {
    server.close();
    assertThat(server.budget.used()).isZero();
  }

  private static float[] floats(JsonElement list) {
    JsonArray array = list.getAsJsonArray();
    float[] vector = new float[array.size()];
    for (int i = 0; i < vector.length; i++) {
      vector[i] = array.get(i).getAsFloat();
    }
    return vector;
  }

  private static float[] floats(String base64) {
    float[] vector = new float[embedder.dimensions()];
    ByteBuffer.wrap(Base64.getDecoder().decode(base64))
        .order(ByteOrder.LITTLE_ENDIAN)
        .asFloatBuffer()
        .get(vector);
    return vector;
  }

  private static TestServer.Answer embeddings(String fields) {
    return server.post("/v1/embeddings", "{'model': 'small', " + fields + "}");
  }

  @Test
  void textsAndTokensBecomeTheModelsVectors() {
    TestServer.Answer two = embeddings("'input': ['a cat', 'the hill'], 'user': 'me'");
    assertThat(two.status()).isEqualTo(200);
    assertThat(two.text("object")).isEqualTo("list");
    assertThat(two.text("model")).isEqualTo("small");
    List<String> texts = List.of("a cat", "the hill");
    int tokens = 0;
    for (int i = 0; i < 2; i++) {
      assertThat(two.at("data." + i + ".index").getAsInt()).isEqualTo(i);
      assertThat(floats(two.at("data." + i + ".embedding")))
          .isEqualTo(embedder.embed(texts.get(i)).vector());
      tokens += embedder.embed(texts.get(i)).tokens();
    }
    assertThat(two.at("usage.prompt_tokens").getAsInt()).isEqualTo(tokens);
    assertThat(two.at("usage.total_tokens").getAsInt()).isEqualTo(tokens);

    float[] cat = embedder.embed("a cat").vector();
    TestServer.Answer one = embeddings("'input': 'a cat', 'encoding_format': 'base64'");
    assertThat(floats(one.text("data.0.embedding"))).isEqualTo(cat);
    String ids = Arrays.toString(embedder.tokenizer().encode("a cat", true, false));
    assertThat(floats(embeddings("'input': " + ids).at("data.0.embedding"))).isEqualTo(cat);
    TestServer.Answer lists = embeddings("'input': [[7, 8, 9], " + ids + "]");
    assertThat(floats(lists.at("data.1.embedding"))).isEqualTo(cat);

    TestServer.Answer shorter = embeddings("'input': 'a cat', 'dimensions': 8");
    assertThat(floats(shorter.at("data.0.embedding")))
        .isEqualTo(
            embedder.embed(EmbeddingRequest.of("a cat").withDimensions(8)).getFirst().vector());
  }

  @Test
  void manyTextsAreAnsweredInTheirOrder() {
    List<String> texts = IntStream.range(0, 2048).mapToObj("text %d"::formatted).toList();
    TestServer.Answer answer =
        embeddings(
            "'input': ["
                + texts.stream().map(t -> "'" + t + "'").collect(Collectors.joining(","))
                + "]");
    assertThat(answer.at("data").getAsJsonArray()).hasSize(2048);
    for (int i : new int[] {0, 1000, 2047}) {
      assertThat(floats(answer.at("data." + i + ".embedding")))
          .isEqualTo(embedder.embed(texts.get(i)).vector());
    }
  }

  @ParameterizedTest
  @CsvSource({
    "input_type, search_query, QUERY",
    "input_type, query, QUERY",
    "input_type, search_document, DOCUMENT",
    "input_type, passage, DOCUMENT",
    "task, retrieval.query, QUERY",
    "task, text-matching, SIMILARITY",
    "task_type, RETRIEVAL_DOCUMENT, DOCUMENT",
    "task_type, clustering, CLUSTERING",
  })
  void wordsOfATaskArePutBefore(String field, String word, Task task) {
    float[] expected =
        embedder.embed(EmbeddingRequest.of("cat").withTask(task)).getFirst().vector();
    String fields = "'input': 'cat', '%s': '%s'".formatted(field, word);
    assertThat(floats(embeddings(fields).at("data.0.embedding"))).isEqualTo(expected);
    TestServer.Answer ollama =
        server.post("/api/embed", "{'model': 'small', %s}".formatted(fields));
    assertThat(floats(ollama.at("embeddings.0"))).isEqualTo(expected);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "'input': '%s' | 92 tokens | context_length_exceeded",
        "'input': [] | 'input' | invalid_value",
        "'input': 7 | 'input' | invalid_value",
        "'input': ['a', 7] | 'input' | invalid_value",
        "'input': [[7], 'a'] | 'input' | invalid_value",
        "'input': [[7], []] | 'input' | invalid_value",
        "'input': [99999] | 99,999 | invalid_value",
        "'input': 'a', 'dimensions': 33 | 1 to 32 | invalid_value",
        "'input': 'a', 'encoding_format': 'hex' | base64 | invalid_value",
        "'input': 'a', 'input_type': 'image' | search_query | invalid_value",
        "'input': 'a', 'input_type': 'fact_checking' | small-e5-encoder | invalid_value",
      },
      quoteCharacter = '"')
  void whatCannotBeIsRefused(String fields, String says, String code) {
    TestServer.Answer answer = embeddings(fields.formatted("a".repeat(90)));
    assertThat(answer.status()).as(answer.body()).isEqualTo(400);
    assertThat(answer.text("error.message")).contains(says);
    assertThat(answer.text("error.code")).isEqualTo(code);
  }

  @Test
  void longTextsAreCutWhereTheApiSaysSo() {
    String text = "a".repeat(90);
    float[] cut = embedder.embed(text).vector();
    assertThat(
            floats(
                embeddings("'input': '%s', 'truncate': true".formatted(text))
                    .at("data.0.embedding")))
        .isEqualTo(cut);
    String body = "{'model': 'small', 'input': '%s'%s}";
    TestServer.Answer ollama = server.post("/api/embed", body.formatted(text, ""));
    assertThat(floats(ollama.at("embeddings.0"))).isEqualTo(cut);
    TestServer.Answer refused =
        server.post("/api/embed", body.formatted(text, ", 'truncate': false"));
    assertThat(refused.status()).isEqualTo(400);
    assertThat(refused.text("error")).contains("92 tokens").contains("64");
  }

  @Test
  void ollamasApiHasItsForms() {
    TestServer.Answer two =
        server.post("/api/embed", "{'model': 'small:latest', 'input': ['a cat', 'the hill']}");
    assertThat(two.text("model")).isEqualTo("small:latest");
    assertThat(floats(two.at("embeddings.0"))).isEqualTo(embedder.embed("a cat").vector());
    assertThat(floats(two.at("embeddings.1"))).isEqualTo(embedder.embed("the hill").vector());
    assertThat(two.at("prompt_eval_count").getAsInt())
        .isEqualTo(embedder.embed("a cat").tokens() + embedder.embed("the hill").tokens());
    assertThat(two.at("total_duration").getAsLong()).isPositive();
    TestServer.Answer eight =
        server.post("/api/embed", "{'model': 'small', 'input': 'a', 'dimensions': 8}");
    assertThat(floats(eight.at("embeddings.0"))).hasSize(8);
    TestServer.Answer most =
        server.post("/api/embed", "{'model': 'small', 'input': 'a', 'dimensions': 999}");
    assertThat(floats(most.at("embeddings.0"))).hasSize(32);
    for (String none : List.of("'input': []", "'input': ''", "'keep_alive': 5")) {
      TestServer.Answer loaded = server.post("/api/embed", "{'model': 'small', " + none + "}");
      assertThat(loaded.at("embeddings").getAsJsonArray()).isEmpty();
    }
    TestServer.Answer old = server.post("/api/embeddings", "{'model': 'small', 'prompt': 'a cat'}");
    assertThat(floats(old.at("embedding")))
        .isEqualTo(
            embedder.embed(EmbeddingRequest.of("a cat").withNormalised(false)).getFirst().vector());
    assertThat(server.post("/api/embeddings", "{'model': 'small'}").at("embedding"))
        .isEqualTo(new JsonArray());
    TestServer.Answer shown = server.post("/api/show", "{'model': 'small'}");
    assertThat(shown.at("capabilities").toString()).isEqualTo("[\"embedding\"]");
    assertThat(shown.text("details.family")).isEqualTo("bert");
  }

  @Test
  void documentsComeInTheOrderOfTheirScores() {
    List<String> documents = List.of("a cat", "the hill", "a fox on the hill");
    List<Reranker.Score> scores = reranker.rank("hill?", documents);
    String body =
        "{'query': 'hill?', 'documents': ['a cat', {'text': 'the hill'}, 'a fox on the hill']%s}";
    for (String path : List.of("/v1/rerank", "/v2/rerank", "/rerank")) {
      TestServer.Answer all = server.post(path, body.formatted(""));
      assertThat(all.text("model")).isEqualTo("judge");
      for (int i = 0; i < 3; i++) {
        JsonObject result = all.at("results." + i).getAsJsonObject();
        assertThat(result.get("index").getAsInt()).isEqualTo(scores.get(i).index());
        assertThat(result.get("relevance_score").getAsDouble())
            .isCloseTo(scores.get(i).probability(), within(1e-12));
        assertThat(result.has("document")).isFalse();
      }
      assertThat(all.at("usage.total_tokens").getAsInt())
          .isEqualTo(scores.stream().mapToInt(Reranker.Score::tokens).sum());
      assertThat(all.at("meta.billed_units.search_units").getAsInt()).isEqualTo(1);
    }
    TestServer.Answer best =
        server.post(
            "/v1/rerank",
            body.formatted(", 'top_n': 1, 'return_documents': true, 'raw_scores': true"));
    assertThat(best.at("results").getAsJsonArray()).hasSize(1);
    assertThat(best.text("results.0.document.text"))
        .isEqualTo(documents.get(scores.getFirst().index()));
    assertThat(best.at("results.0.relevance_score").getAsDouble())
        .isEqualTo(scores.getFirst().score());
    for (String wrong :
        List.of(
            "{'query': 'a'}",
            "{'query': 'a', 'documents': []}",
            "{'query': 'a', 'documents': [7]}",
            "{'documents': ['a']}",
            "{'query': 'a', 'documents': ['a'], 'top_n': 0}")) {
      assertThat(server.post("/v1/rerank", wrong).status()).as(wrong).isEqualTo(400);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      value = {
        "/v1/chat/completions | 'model': 'small', 'messages': [] | 'notes' | /v1/embeddings",
        "/v1/completions | 'model': 'judge', 'prompt': 'a' | 'notes' | /v1/rerank",
        "/v1/responses | 'model': 'small', 'input': 'a' | 'notes' | /v1/embeddings",
        "/v1/embeddings | 'model': 'notes', 'input': 'a' | 'small' | /v1/chat/completions",
        "/v1/rerank | 'model': 'small', 'query': 'a', 'documents': ['a'] | 'judge' | /api/embed",
        "/v1/messages | 'model': 'small', 'messages': [], 'max_tokens': 1 | 'notes' | /api/embed",
        "/api/chat | 'model': 'small', 'messages': [] | 'notes' | /api/embed",
        "/api/embed | 'model': 'notes', 'input': 'a' | 'small' | /v1/chat/completions",
      })
  void modelsOfAnotherKindSayWhichWouldDo(String path, String fields, String would, String asks) {
    TestServer.Answer answer = server.post(path, "{" + fields + "}");
    assertThat(answer.status()).as(answer.body()).isEqualTo(400);
    JsonElement error = answer.at("error");
    String message =
        error.isJsonObject()
            ? error.getAsJsonObject().get("message").getAsString()
            : error.getAsString();
    assertThat(message).contains(would).contains(asks);
    TestServer.Answer unknown =
        server.post(path, "{" + fields.replaceFirst("'model': '\\w+'", "'model': 'x'") + "}");
    assertThat(unknown.status()).isEqualTo(404);
  }

  @Test
  void listsKnowAllModels() {
    TestServer.Answer list = server.get("/v1/models");
    List<String> types =
        list.at("data").getAsJsonArray().asList().stream()
            .map(m ->
                TestServer.at(m, "id").getAsString() + " " + TestServer.at(m, "type").getAsString())
            .toList();
    assertThat(types).containsExactly("notes chat", "small embedding", "judge rerank");
    assertThat(server.get("/v1/models/small").at("dimensions").getAsInt()).isEqualTo(32);
    assertThat(server.get("/api/tags").at("models").getAsJsonArray()).hasSize(3);
    assertThat(server.get("/api/ps").at("models.1.context_length").getAsInt()).isEqualTo(64);
    assertThat(server.get("/plan?model=small").text("model")).isEqualTo("small-e5-encoder");
    TestServer.Answer budget = server.get("/budget");
    assertThat(budget.at("plans").getAsJsonArray()).hasSize(3);
    assertThat(budget.at("used").getAsLong()).isEqualTo(server.budget.used());
    embeddings("'input': 'a cat'");
    assertThat(server.get("/metrics").body())
        .containsPattern(
            "gen_ai_client_token_usage_count\\{gen_ai_operation_name=\"embeddings\".*\"input\"")
        .doesNotContainPattern("gen_ai_operation_name=\"embeddings\".*\"output\"");
    assertThat(server.log()).contains("POST /v1/embeddings 200 model small, 6 tokens read");
  }

  /** Whoever goes away is computed for no more, and others are answered. */
  @Test
  void whoGoesAwayLeavesNothingBehind() throws Exception {
    String text = "'" + "the fox ".repeat(7) + "'";
    String body =
        "{'model': 'small', 'input': [%s]}"
            .formatted(String.join(",", Collections.nCopies(2048, text)))
            .replace('\'', '"');
    long tokens = server.encoders.getFirst().tokens();
    try (Socket socket = new Socket("127.0.0.1", server.server.port())) {
      OutputStream out = socket.getOutputStream();
      out.write(
          "POST /v1/embeddings HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s"
              .formatted(body.length(), body)
              .getBytes(StandardCharsets.UTF_8));
      out.flush();
      JsonArray slots = new JsonArray();
      while (slots.isEmpty()) {
        slots = JsonParser.parseString(server.get("/slots").body()).getAsJsonArray();
      }
      assertThat(slots).hasSize(1);
      JsonObject slot = slots.get(0).getAsJsonObject();
      assertThat(slot.get("model").getAsString()).isEqualTo("small");
      assertThat(slot.get("path").getAsString()).isEqualTo("/v1/embeddings");
      assertThat(slot.get("state").getAsString()).isEqualTo("encode");
    }
    while (!server.encoders.getFirst().isIdle()) {
      Thread.onSpinWait();
    }
    assertThat(server.encoders.getFirst().tokens()).isEqualTo(tokens);
    assertThat(server.get("/slots").body()).isEqualTo("[]");
    assertThat(embeddings("'input': 'a cat'").status()).isEqualTo(200);
  }

  /** Tokens of the model that is named, which its vectors are made of. */
  @ParameterizedTest
  @CsvSource({"small", "judge"})
  void encodersTellTheirTokens(String name) {
    TestServer.Answer told =
        server.post(
            "/tokenize",
            "{'model': '%s', 'content': 'a cat', 'add_special': true, 'with_pieces': true}"
                .formatted(name));
    int[] tokens =
        server.encoders.get(name.equals("small") ? 0 : 1).tokenizer().encode("a cat", true, false);
    assertThat(told.at("count").getAsInt()).isEqualTo(tokens.length);
    int[] ids = new int[tokens.length];
    String pieces = "";
    for (int i = 0; i < ids.length; i++) {
      ids[i] = told.at("tokens." + i + ".id").getAsInt();
      pieces += told.text("tokens." + i + ".piece");
    }
    assertThat(ids).isEqualTo(tokens);
    assertThat(pieces).contains("a", "cat");
    String plain =
        server.post("/tokenize", "{'model': '%s', 'content': 'a cat'}".formatted(name)).body();
    assertThat(
            server
                .post("/detokenize", "{'model': '%s', %s".formatted(name, plain.substring(1)))
                .text("content"))
        .isEqualTo("a cat");
    assertThat(
            server
                .post("/apply-template", "{'model': '%s', 'messages': []}".formatted(name))
                .text("error.param"))
        .isEqualTo("model");
  }

  @Test
  void keysPayForWhatIsRead() {
    try (TestServer limited =
        TestServer.withEncoders(o -> o.withKeys(List.of(ApiKey.parse("me sk-me tokens=5"))))) {
      assertThat(limited.post("/v1/embeddings", "{'input': 'a cat'}").status()).isEqualTo(401);
      int[] statuses = new int[2];
      for (int i = 0; i < 2; i++) {
        statuses[i] =
            limited
                .send(
                    limited
                        .request("/v1/embeddings")
                        .header("Authorization", "Bearer sk-me")
                        .POST(HttpRequest.BodyPublishers.ofString("{\"input\": \"a cat\"}"))
                        .build())
                .status();
      }
      assertThat(statuses).containsExactly(200, 429);
    }
  }

  @Test
  void batchesAskForVectors(@TempDir Path folder) throws Exception {
    Path in = folder.resolve("in.jsonl");
    String line =
        "{'custom_id': '%s', 'method': 'POST', 'url': '/v1/embeddings', 'body': {'model': '%s',"
            + " 'input': ['text %s', 'a cat']}}%n";
    StringBuilder lines = new StringBuilder();
    for (int i = 0; i < 100; i++) {
      lines.append(line.formatted(i, i == 50 ? "notes" : "small", i));
    }
    lines.append(
        "{'custom_id': 'chat', 'url': '/v1/completions', 'body': {'model': 'notes', 'prompt': 'a', 'max_tokens': 1}}%n"
            .formatted());
    Files.writeString(in, lines.toString().replace('\'', '"'));
    Path out = folder.resolve("out.jsonl");
    List<Served> all = new ArrayList<>(server.encoders);
    all.add(new ServedModel("notes", server.model));
    Batch batch = new Batch(in, out, folder.resolve("errors.jsonl"), "", true);
    // Ended at once, it goes on where it was.
    assertThat(batch.run(new ServedModels(all), () -> true, _ -> {}).left()).isEqualTo(101);
    Batch.Counts counts = batch.run(new ServedModels(all), () -> false, _ -> {});
    assertThat(counts).isEqualTo(new Batch.Counts(101, 100, 1));
    for (String result : Files.readAllLines(out)) {
      JsonObject json = JsonParser.parseString(result).getAsJsonObject();
      String id = json.get("custom_id").getAsString();
      if (!id.equals("chat")) {
        assertThat(floats(TestServer.at(json, "response.body.data.0.embedding")))
            .isEqualTo(embedder.embed("text " + id).vector());
      }
    }
    assertThat(Files.readString(folder.resolve("errors.jsonl")))
        .contains("\"custom_id\":\"50\"")
        .contains("is a chat model");
  }
}

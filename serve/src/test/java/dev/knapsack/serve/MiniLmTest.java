package dev.knapsack.serve;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.knapsack.Embedder;
import dev.knapsack.Options;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.serve.http.Json;
import java.io.PrintStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** A server of a real embedding model alone: its vectors against those of ONNX Runtime. */
class MiniLmTest {
  /** Tokens of longer sentences, which are left out: they take long, and are core's to test. */
  private static final int MOST_TOKENS = 64;

  private static Path data() {
    Path folder =
        Path.of(
                Optional.ofNullable(System.getenv("KNAPSACK_DATA"))
                    .orElseGet(() -> System.getProperty("knapsack.data", "../../shared/data")))
            .resolve("models/minilm");
    if (System.getenv("CI") != null) {
      assertThat(folder).as("CI needs the shared test data; set KNAPSACK_DATA").exists();
    }
    assumeTrue(Files.exists(folder), "no shared test data at " + folder);
    return folder;
  }

  private static FloatBuffer floats(byte[] bytes) {
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer();
  }

  @Test
  void vectorsAreThoseOfTheModel() throws Exception {
    Path data = data();
    FloatBuffer expected = floats(Files.readAllBytes(data.resolve("vectors.f32")));
    List<JsonObject> rows =
        Files.readAllLines(data.resolve("sentences.jsonl")).stream()
            .map(line -> JsonParser.parseString(line).getAsJsonObject())
            .toList();
    JsonArray tokens = new JsonArray();
    JsonArray texts = new JsonArray();
    List<Integer> asked = new ArrayList<>();
    for (int i = 0; i < rows.size(); i++) {
      JsonArray ids = rows.get(i).getAsJsonArray("ids");
      if (ids.size() < MOST_TOKENS) {
        tokens.add(ids);
        texts.add(rows.get(i).get("text"));
        asked.add(i);
      }
    }
    assertThat(asked).hasSizeGreaterThan(30);
    Budget budget = Budget.of("256MiB");
    try (Embedder embedder =
            Embedder.open(
                data.resolve("all-MiniLM-L6-v2-q8_0.gguf"),
                new Host(budget),
                // As the tokenizer does that the vectors were made with.
                Options.usual().withWorkers(2).withParseSpecial(true));
        KnapsackServer server =
            KnapsackServer.open(
                new ServedModels(List.of(new ServedEmbedder("minilm", embedder))),
                ServerOptions.usual()
                    .withAddress("127.0.0.1", 0)
                    .withLog(new PrintStream(PrintStream.nullOutputStream()), false))) {
      JsonArray ofTokens = vectors(server, Json.object("input", tokens));
      for (int i = 0; i < asked.size(); i++) {
        assertThat(distance(ofTokens, i, expected, asked.get(i)))
            .as(rows.get(asked.get(i)).toString())
            .isLessThan(3e-3);
      }
      assertThat(vectors(server, Json.object("input", texts))).isEqualTo(ofTokens);
    }
    assertThat(budget.used()).isZero();
  }

  private static JsonArray vectors(KnapsackServer server, JsonObject request) throws Exception {
    request.addProperty("encoding_format", "base64");
    try (HttpClient client = HttpClient.newHttpClient()) {
      HttpResponse<String> response =
          client.send(
              HttpRequest.newBuilder(
                      URI.create("http://127.0.0.1:" + server.port() + "/v1/embeddings"))
                  .POST(HttpRequest.BodyPublishers.ofString(request.toString()))
                  .build(),
              HttpResponse.BodyHandlers.ofString());
      assertThat(response.statusCode()).as(response.body()).isEqualTo(200);
      return JsonParser.parseString(response.body()).getAsJsonObject().getAsJsonArray("data");
    }
  }

  /** One less the cosine of two vectors. */
  private static double distance(JsonArray got, int at, FloatBuffer expected, int row) {
    String base64 = got.get(at).getAsJsonObject().get("embedding").getAsString();
    FloatBuffer vector = floats(Base64.getDecoder().decode(base64));
    double dot = 0;
    double mine = 0;
    double theirs = 0;
    for (int i = 0; i < vector.capacity(); i++) {
      double a = vector.get(i);
      double b = expected.get(row * vector.capacity() + i);
      dot += a * b;
      mine += a * a;
      theirs += b * b;
    }
    return 1 - dot / Math.sqrt(mine * theirs);
  }
}

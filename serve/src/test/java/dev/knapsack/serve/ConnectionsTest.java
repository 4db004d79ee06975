package dev.knapsack.serve;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.UnixOperatingSystemMXBean;
import java.io.IOException;
import java.io.InputStream;
import java.lang.management.ManagementFactory;
import java.net.Socket;
import java.net.http.HttpRequest;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Clients that go away, that are slow, that say too much, that may not. */
class ConnectionsTest {
  private static final String LONG =
      "{\"prompt\": \"Dan put the ring\", \"max_tokens\": 2000, \"ignore_eos\": true, \"seed\":"
          + " 1%s}";

  private static TestServer server;

  @BeforeAll
  static void open() {
    server = TestServer.usual();
  }

  @AfterAll
  static void close() {
    server.close();
  }

  private static void await(BooleanSupplier happens) {
    long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
    while (!happens.getAsBoolean()) {
      assertThat(System.nanoTime()).as("waited for a minute").isLessThan(end);
      Thread.onSpinWait();
    }
  }

  private static boolean idle() {
    return server.get("/slots").body().equals("[]");
  }

  private static Socket send(String path, String body) throws IOException {
    Socket socket = new Socket("127.0.0.1", server.server.port());
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
    socket
        .getOutputStream()
        .write(
            "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                .formatted(path, bytes.length)
                .getBytes(StandardCharsets.US_ASCII));
    socket.getOutputStream().write(bytes);
    socket.getOutputStream().flush();
    return socket;
  }

  @Test
  void anAnswerThatNobodyWaitsForEnds() throws IOException {
    for (String streamed : List.of("", ", \"stream\": true")) {
      try (Socket socket = send("/v1/completions", LONG.formatted(streamed))) {
        assertThat(socket.isConnected()).isTrue();
        await(() -> server.get("/slots").body().contains("\"state\":\"decode\""));
      }
      await(ConnectionsTest::idle);
    }
    await(() -> server.log().contains(" cancelled "));
  }

  @Test
  void aSlowReaderHoldsUpNobodyElse() throws IOException {
    List<Socket> slow = new ArrayList<>();
    try {
      for (int i = 0; i < 2; i++) {
        slow.add(send("/v1/completions", LONG.formatted(", \"stream\": true")));
      }
      await(() -> server.get("/slots").body().contains("\"state\":\"decode\""));
      TestServer.Answer answer =
          server.post("/v1/completions", "{'prompt': 'Dan', 'max_tokens': 8}");
      assertThat(answer.status()).isEqualTo(200);
      InputStream in = slow.getFirst().getInputStream();
      assertThat(new String(in.readNBytes(15), StandardCharsets.US_ASCII))
          .isEqualTo("HTTP/1.1 200 OK");
    } finally {
      for (Socket socket : slow) {
        socket.close();
      }
    }
    await(ConnectionsTest::idle);
  }

  /**
   * Connections that say nothing, or half of a request: as many as there are files for, both ends
   * being here. {@code -Dknapsack.connections=5000} for more, with {@code ulimit -n} above 11,000.
   */
  @Test
  void manyIdleConnectionsHoldNothingBack() throws IOException {
    int wanted = Integer.getInteger("knapsack.connections", 900);
    int most = Math.toIntExact(Math.min(wanted, (openable() - 1_000) / 2));
    assertThat(most).isGreaterThan(500);
    int tenth = most / 10;
    try (TestServer crowded = TestServer.usual()) {
      post(crowded); // what is made once is there
      await(() -> crowded.get("/slots").body().equals("[]"));
      long files = files();
      int threads = Thread.activeCount();
      long used = crowded.budget.used();
      List<Socket> idle = new ArrayList<>();
      try {
        for (int i = 0; i < most; i++) {
          Socket socket = new Socket("127.0.0.1", crowded.server.port());
          idle.add(socket);
          String said =
              switch (i % 3) {
                case 0 -> ""; // nothing
                case 1 -> "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Le"; // half
                default -> "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"; // kept alive behind it
              };
          socket.getOutputStream().write(said.getBytes(StandardCharsets.US_ASCII));
          if (i % tenth == 0) {
            post(crowded);
          }
        }
        for (int i = 2; i < most; i += 3) {
          assertThat(idle.get(i).getInputStream().read()).isEqualTo('H');
        }
        assertThat(files()).isGreaterThan(files + most);
        post(crowded);
        assertThat(crowded.budget.used()).isEqualTo(used);
        assertThat(Thread.activeCount()).isLessThan(threads + 50);
      } finally {
        for (Socket socket : idle) {
          socket.close();
        }
      }
      await(() -> files() <= files + 50);
      post(crowded);
      assertThat(crowded.budget.used()).isEqualTo(used);
      assertThat(Thread.activeCount()).isLessThan(threads + 50);
    }
  }

  private static void post(TestServer to) {
    TestServer.Answer answer = to.post("/v1/completions", "{'prompt': 'Dan', 'max_tokens': 2}");
    assertThat(answer.status()).as(answer.body()).isEqualTo(200);
  }

  private static UnixOperatingSystemMXBean system() {
    return (UnixOperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
  }

  private static long openable() {
    return system().getMaxFileDescriptorCount();
  }

  private static long files() {
    return system().getOpenFileDescriptorCount();
  }

  @Test
  void whoComesAgainFindsWhatWasRead() {
    String body =
        "{'prompt': '%s', 'max_tokens': 1, 'temperature': 0}"
            .formatted("The key is here. ".repeat(40));
    server.post("/v1/completions", body);
    TestServer.Answer again = server.post("/v1/completions", body);
    assertThat(again.at("usage.prompt_tokens_details.cached_tokens").getAsInt()).isPositive();
  }

  @Test
  void bytesAfterARequestCloseTheConnectionAfterItsAnswer() throws IOException {
    String body = "{\"prompt\": \"Dan\", \"max_tokens\": 500, \"ignore_eos\": true}";
    try (Socket socket = send("/v1/completions", body)) {
      await(() -> server.get("/slots").body().contains("\"state\":\"decode\""));
      socket
          .getOutputStream()
          .write("GET /health HTTP/1.1\r\nHost: x\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
      socket.getOutputStream().flush();
      String all = new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      assertThat(all).startsWith("HTTP/1.1 200 OK").contains("text_completion");
    }
  }

  @Test
  void refusesBodiesThatAreTooLongOrTooDeep() {
    try (TestServer small =
        new TestServer(UnaryOperator.identity(), o -> o.withBodyBytes(10_000))) {
      TestServer.Answer answer =
          small.post("/v1/completions", "{'prompt': '%s'}".formatted("a".repeat(20_000)));
      assertThat(answer.status()).isEqualTo(413);
      assertThat(answer.text("error.code")).isEqualTo("body_too_large");
    }
    TestServer.Answer deep =
        server.post(
            "/v1/completions", "{'prompt': " + "[".repeat(100_000) + "]".repeat(100_000) + "}");
    assertThat(deep.status()).isEqualTo(400);
    assertThat(deep.text("error.code")).isEqualTo("invalid_json");
  }

  @Test
  void saysWhatThereIsInPlaceOfWhatThereIsNot() {
    assertThat(server.get("/v2/nothing").status()).isEqualTo(404);
    TestServer.Answer wrong = server.get("/v1/completions");
    assertThat(wrong.status()).isEqualTo(405);
    assertThat(wrong.response().headers().firstValue("Allow")).hasValue("POST");
    assertThat(server.get("/v1/models/nobody").status()).isEqualTo(404);
    assertThat(server.get("/v1/models/notes").text("id")).isEqualTo("notes");
  }

  @Test
  void readsTokensAndTemplatesAsTheModelDoes() {
    TestServer.Answer tokens = server.post("/tokenize", "{'content': 'The blue ring'}");
    assertThat(tokens.at("tokens").getAsJsonArray()).isNotEmpty();
    assertThat(
            server
                .post("/detokenize", "{'tokens': %s}".formatted(tokens.at("tokens")))
                .text("content"))
        .isEqualTo("The blue ring");
    assertThat(
            server
                .post("/apply-template", "{'messages': [{'role': 'user', 'content': 'Hi you'}]}")
                .text("prompt"))
        .contains("Hi you");
    assertThat(server.post("/detokenize", "{'tokens': [-1]}").text("error.param"))
        .isEqualTo("tokens");
  }

  @Test
  void pagesOfOthersMayNotCall() {
    HttpRequest.Builder asked =
        server
            .request("/v1/models")
            .method("OPTIONS", HttpRequest.BodyPublishers.noBody())
            .header("Origin", "https://example.org");
    assertThat(server.send(asked.build()).response().headers().map())
        .doesNotContainKey("access-control-allow-origin");
  }

  @Test
  void keysLetInAndLimit() {
    try (TestServer locked =
        new TestServer(
            UnaryOperator.identity(),
            o ->
                o.withKeys(
                    List.of(
                        ApiKey.parse("anna one"),
                        ApiKey.parse("ben two requests=2 priority=3"))))) {
      assertThat(locked.get("/health").status()).isEqualTo(200);
      assertThat(locked.get("/v1/models").text("error.code")).isEqualTo("missing_api_key");
      assertThat(get(locked, "x-api-key", "three").text("error.code")).isEqualTo("invalid_api_key");
      assertThat(get(locked, "Authorization", "Bearer one").status()).isEqualTo(200);
      assertThat(get(locked, "x-api-key", "two").status()).isEqualTo(200);
      assertThat(get(locked, "x-api-key", "two").status()).isEqualTo(200);
      TestServer.Answer third = get(locked, "x-api-key", "two");
      assertThat(third.status()).isEqualTo(429);
      int seconds =
          Integer.parseInt(third.response().headers().firstValue("Retry-After").orElseThrow());
      assertThat(seconds).isBetween(1, 60);
      assertThat(third.response().headers().firstValue("retry-after-ms")).isPresent();
      assertThat(locked.log()).doesNotContain("three").contains("key ben");
    }
  }

  private static TestServer.Answer get(TestServer of, String header, String value) {
    return of.send(of.request("/v1/models").header(header, value).build());
  }
}

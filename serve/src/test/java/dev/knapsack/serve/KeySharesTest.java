package dev.knapsack.serve;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.gson.JsonElement;
import com.google.gson.JsonParser;
import java.net.http.HttpRequest;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

/** Keys that may hold a part of the cache, under load. */
class KeySharesTest {
  private static final String BODY =
      "{\"prompt\": \"%s\", \"max_tokens\": %d, \"ignore_eos\": true, \"seed\": 1}";

  private static final int TOKENS = 300;

  private static TestServer.Answer ask(TestServer server, String key, String prompt, int tokens) {
    return server.send(
        server
            .request("/v1/completions")
            .header("x-api-key", key)
            .POST(HttpRequest.BodyPublishers.ofString(BODY.formatted(prompt, tokens)))
            .build());
  }

  private static List<JsonElement> slots(TestServer server) {
    TestServer.Answer slots =
        server.send(server.request("/slots").header("x-api-key", "free").build());
    return JsonParser.parseString(slots.body()).getAsJsonArray().asList();
  }

  private static String prompt(int number) {
    return "Dan put ring %d there. ".formatted(number).repeat(10);
  }

  /** Bytes of cache of one of the answers that are asked for below. */
  private static long one() {
    try (TestServer server = TestServer.usual()) {
      return ask(server, "", prompt(7), TOKENS).at("usage.knapsack.cache_bytes").getAsLong();
    }
  }

  @Test
  void aKeyHoldsNoMoreThanItsShareAndTakesNothingFromOthers() throws Exception {
    long share = one() * 5 / 2;
    try (TestServer server =
            new TestServer(
                o -> o.withSequences(4).withQueue(12),
                o ->
                    o.withKeys(
                        List.of(
                            ApiKey.parse("part some cache=" + share),
                            ApiKey.parse("tiny little cache=" + share / 5),
                            ApiKey.of("free", "free"))));
        ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      // What alone is more is refused with numbers; asking again would not help.
      TestServer.Answer large = ask(server, "little", prompt(0), TOKENS);
      assertThat(large.status()).isEqualTo(429);
      assertThat(large.text("error.message"))
          .contains("of %,d that its tenant may hold".formatted(share / 5));
      assertThat(large.response().headers().firstValue("Retry-After")).isEmpty();
      // Half of the queue is the key's at the most: of two that run, and 6 that wait.
      List<Future<TestServer.Answer>> asked = new ArrayList<>();
      for (int i = 0; i < 12; i++) {
        String prompt = prompt(i);
        Callable<TestServer.Answer> work = () -> ask(server, "some", prompt, TOKENS);
        asked.add(threads.submit(work));
      }
      long most = 0;
      boolean waited = false;
      int others = 0;
      while (asked.stream().anyMatch(f -> !f.isDone())) {
        assertThat(ask(server, "free", "Where is it?", 3).status()).isEqualTo(200);
        others++;
        List<JsonElement> running =
            slots(server).stream()
                .filter(s -> TestServer.at(s, "key").getAsString().equals("part"))
                .toList();
        most =
            Math.max(
                most,
                running.stream().mapToLong(s -> TestServer.at(s, "cache_bytes").getAsLong()).sum());
        waited |=
            running.stream()
                .anyMatch(s -> TestServer.at(s, "state").getAsString().equals("waiting"));
      }
      assertThat(others).isPositive();
      assertThat(waited).isTrue();
      assertThat(most).isPositive().isLessThanOrEqualTo(share);
      int refused = 0;
      for (Future<TestServer.Answer> answer : asked) {
        if (answer.get().status() == 429) {
          refused++;
          assertThat(answer.get().response().headers().firstValue("Retry-After")).isPresent();
          assertThat(answer.get().text("error.message")).contains("Ask again");
        } else {
          assertThat(answer.get().status()).as(answer.get().body()).isEqualTo(200);
        }
      }
      assertThat(refused).isBetween(1, 4);
    }
  }

  @Test
  void sharesAreSizesOrParts() {
    assertThat(ApiKey.parse("a b cache=25%").cache().of(1000)).hasValue(250);
    assertThat(ApiKey.parse("a b cache=1KiB").cache().of(5000)).hasValue(1024);
    assertThat(ApiKey.parse("a b").cache().of(5000)).isEmpty();
    for (String wrong : List.of("0%", "101%", "x", "-1MiB", "NaN%")) {
      assertThatThrownBy(() -> ApiKey.parse("a b cache=" + wrong))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }
}

package dev.knapsack.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(300)
class ServeCommandTest {
  private static final String LISTENING = "Listening on ";
  private static final String PROMPT = "The key is here. ".repeat(60);

  /** A server that keeps what prompts begin with in a folder. */
  private record Server(Process process, BufferedReader log, URI uri, HttpClient client)
      implements AutoCloseable {
    static Server start(Path folder) throws IOException {
      Process process =
          Shell.process(
                  "serve", "--memory", "1GiB", "--port", "0", "--cache-dir", folder.toString())
              .start();
      BufferedReader log = process.errorReader(StandardCharsets.UTF_8);
      String line = log.readLine();
      while (line != null && !line.startsWith(LISTENING)) {
        line = log.readLine();
      }
      assertThat(line).isNotNull();
      URI uri = URI.create(line.substring(LISTENING.length()));
      return new Server(process, log, uri, HttpClient.newHttpClient());
    }

    CompletableFuture<HttpResponse<Stream<String>>> ask(String prompt, int tokens) {
      HttpRequest request =
          HttpRequest.newBuilder(uri.resolve("/v1/completions"))
              .POST(
                  HttpRequest.BodyPublishers.ofString(
                      "{\"prompt\": \"%s\", \"max_tokens\": %d, \"ignore_eos\": true, \"stream\": true}"
                          .formatted(prompt, tokens)))
              .build();
      return client.sendAsync(request, HttpResponse.BodyHandlers.ofLines());
    }

    String get(String path) throws IOException, InterruptedException {
      HttpRequest request = HttpRequest.newBuilder(uri.resolve(path)).build();
      return client.send(request, HttpResponse.BodyHandlers.ofString()).body();
    }

    /** What is held but by the JVM itself, in bytes by account. */
    Map<String, Long> held() throws IOException, InterruptedException {
      Map<String, Long> held = new TreeMap<>();
      for (JsonElement account :
          JsonParser.parseString(get("/budget")).getAsJsonObject().getAsJsonArray("accounts")) {
        JsonObject entry = account.getAsJsonObject();
        held.put(entry.get("account").getAsString(), entry.get("own").getAsLong());
      }
      held.keySet().removeIf(name -> name.startsWith("jvm"));
      return held;
    }

    @Override
    public void close() throws IOException {
      process.destroyForcibly().onExit().join();
      client.shutdownNow();
      log.close();
    }
  }

  /** Told to end, it finishes what it is writing, keeps beginnings of prompts, and ends with 0. */
  @Test
  void servesUntilItIsTold(@TempDir Path folder) throws Exception {
    try (Server server = Server.start(folder)) {
      Iterator<String> lines = server.ask(PROMPT, 600).get().body().iterator();
      assertThat(lines.next()).startsWith("data: ");
      server.process.toHandle().destroy(); // the streams stay open
      Iterable<String> rest = () -> lines;
      assertThat(StreamSupport.stream(rest.spliterator(), false)).contains("data: [DONE]");
      String said = server.log.lines().collect(Collectors.joining("\n"));
      assertThat(server.process.waitFor()).as(said).isZero();
      assertThat(folder).isNotEmptyDirectory();
    }
  }

  /**
   * Killed in the midst of twenty answers, it begins again with as much as at first, and finds what
   * it had kept.
   */
  @Test
  void beginsAgainAfterItWasKilled(@TempDir Path folder) throws Exception {
    Map<String, Long> base;
    try (Server server = Server.start(folder)) {
      base = server.held();
      assertThat(server.ask(PROMPT, 1).get().body()).contains("data: [DONE]");
      Pattern kept = Pattern.compile("(?m)^knapsack_prefix_blocks_written\\{.*} [1-9]");
      while (!kept.matcher(server.get("/metrics")).find()) {
        Thread.onSpinWait(); // it is kept while nobody waits
      }
      List<CompletableFuture<HttpResponse<Stream<String>>>> asked = new ArrayList<>();
      for (int i = 0; i < 20; i++) {
        asked.add(server.ask(PROMPT + i, 600));
      }
      assertThat(asked.getFirst().get().body().iterator().next()).startsWith("data: ");
      server.process.destroyForcibly().onExit().join();
    }
    try (Server server = Server.start(folder)) {
      assertThat(server.held()).isEqualTo(base);
      List<String> answer = server.ask(PROMPT, 1).get().body().toList();
      assertThat(answer).anyMatch(Pattern.compile("\"cached_tokens\": ?[1-9]").asPredicate());
    }
  }
}

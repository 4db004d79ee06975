package dev.knapsack.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(300)
class ServeCommandTest {
  private static final String LISTENING = "Listening on ";

  /** Told to end, it finishes what it is writing, keeps beginnings of prompts, and ends with 0. */
  @Test
  void servesUntilItIsTold(@TempDir Path folder) throws Exception {
    ProcessBuilder builder =
        new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin/java").toString(),
            "--add-modules",
            "jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            System.getProperty("java.class.path"),
            "dev.knapsack.cli.Main",
            "serve",
            "--memory",
            "1GiB",
            "--port",
            "0",
            "--cache-dir",
            folder.toString());
    builder.environment().put("XDG_CACHE_HOME", Shell.CACHE.toString());
    Process process = builder.start();
    try (BufferedReader log = process.errorReader(StandardCharsets.UTF_8);
        HttpClient client = HttpClient.newHttpClient()) {
      URI server = null;
      for (String line = log.readLine(); server == null && line != null; line = log.readLine()) {
        server = line.startsWith(LISTENING) ? URI.create(line.substring(LISTENING.length())) : null;
        if (server != null) {
          break;
        }
      }
      assertThat(server).isNotNull();
      HttpRequest request =
          HttpRequest.newBuilder(server.resolve("/v1/completions"))
              .POST(
                  HttpRequest.BodyPublishers.ofString(
                      "{\"prompt\": \"%s\", \"max_tokens\": 600, \"ignore_eos\": true, \"stream\": true}"
                          .formatted("The key is here. ".repeat(60))))
              .build();
      CompletableFuture<HttpResponse<Stream<String>>> asked =
          client.sendAsync(request, HttpResponse.BodyHandlers.ofLines());
      HttpResponse<Stream<String>> answer = asked.get();
      Iterator<String> lines = answer.body().iterator();
      assertThat(lines.next()).startsWith("data: ");
      process.toHandle().destroy(); // the streams stay open
      Iterable<String> rest = () -> lines;
      assertThat(StreamSupport.stream(rest.spliterator(), false)).contains("data: [DONE]");
      String said = log.lines().collect(Collectors.joining("\n"));
      assertThat(process.waitFor()).as(said).isZero();
      assertThat(folder).isNotEmptyDirectory();
    } finally {
      process.destroyForcibly();
    }
  }
}

package dev.knapsack.bench;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** A {@code knapsack serve} of its own, from its first instruction to its last. */
final class ServerProcess implements AutoCloseable {
  private static final String LISTENING = "Listening on ";

  private final Process process;
  private final URI uri;
  private final HttpClient client = HttpClient.newHttpClient();

  private ServerProcess(Process process, URI uri) {
    this.process = process;
    this.uri = uri;
  }

  /**
   * Starts a server, and waits until it takes requests.
   *
   * @param cgroup the memory cgroup it is to live in, if any
   * @param arguments those of {@code knapsack serve}; its port is any
   */
  static ServerProcess start(@Nullable MemoryCgroup cgroup, List<String> arguments)
      throws IOException {
    List<String> command = new ArrayList<>(List.of("./knapsack", "serve", "--port", "0"));
    command.addAll(arguments);
    Process process =
        new ProcessBuilder(cgroup == null ? command : cgroup.inside(command))
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .start();
    BufferedReader log = process.errorReader(StandardCharsets.UTF_8);
    List<String> said = new ArrayList<>();
    for (String line = log.readLine(); line != null; line = log.readLine()) {
      said.add(line);
      if (line.startsWith(LISTENING)) {
        // What it says of each request from here on is read, or it would wait for its reader.
        Thread.ofVirtual().start(() -> log.lines().forEach(_ -> {}));
        return new ServerProcess(process, URI.create(line.substring(LISTENING.length())));
      }
    }
    throw new IOException("The server did not begin: " + String.join(" / ", said));
  }

  URI uri() {
    return uri;
  }

  /** The server's answer at a path. */
  String get(String path) throws IOException, InterruptedException {
    return client
        .send(
            HttpRequest.newBuilder(uri.resolve(path)).build(), HttpResponse.BodyHandlers.ofString())
        .body();
  }

  /** The bytes of its budget, by account, beside its resident set. */
  JsonObject budget() throws IOException, InterruptedException {
    return JsonParser.parseString(get("/budget")).getAsJsonObject();
  }

  /** Threads, as the kernel counts them. */
  long threads() throws IOException {
    return count("task");
  }

  /** Open file descriptors, as the kernel counts them. */
  long descriptors() throws IOException {
    return count("fd");
  }

  private long count(String folder) throws IOException {
    try (Stream<Path> entries =
        Files.list(Path.of("/proc", Long.toString(process.pid()), folder))) {
      return entries.count();
    }
  }

  /** The seconds to the first token of a completion, and how many of its tokens were cached. */
  record First(double seconds, int prompt, int cached) {}

  /**
   * Asks for a completion, and waits for its end.
   *
   * @param tokens how many tokens are written
   */
  First complete(String prompt, int tokens) throws IOException, InterruptedException {
    JsonObject body = new JsonObject();
    body.addProperty("prompt", prompt);
    body.addProperty("max_tokens", tokens);
    body.addProperty("temperature", 0);
    body.addProperty("ignore_eos", true);
    body.addProperty("stream", true);
    long begin = System.nanoTime();
    HttpResponse<Stream<String>> response =
        client.send(
            HttpRequest.newBuilder(uri.resolve("/v1/completions"))
                .POST(HttpRequest.BodyPublishers.ofString(body.toString()))
                .build(),
            HttpResponse.BodyHandlers.ofLines());
    AtomicBoolean first = new AtomicBoolean(true);
    double[] seconds = {Double.NaN};
    JsonObject usage = new JsonObject();
    try (Stream<String> lines = response.body()) {
      lines.forEach(line -> {
        if (response.statusCode() != 200 || line.startsWith("data: {\"error")) {
          throw new IllegalStateException(line);
        }
        if (line.startsWith("data: {")) {
          if (first.getAndSet(false)) {
            seconds[0] = (System.nanoTime() - begin) / 1e9;
          }
          JsonObject data = JsonParser.parseString(line.substring(6)).getAsJsonObject();
          if (data.has("usage") && data.get("usage").isJsonObject()) {
            usage.add("usage", data.get("usage"));
          }
        }
      });
    }
    JsonObject used = usage.getAsJsonObject("usage");
    return new First(
        seconds[0],
        used.get("prompt_tokens").getAsInt(),
        used.getAsJsonObject("prompt_tokens_details").get("cached_tokens").getAsInt());
  }

  /** Tells it to end, and waits until it has. */
  int end() throws InterruptedException {
    process.toHandle().destroy();
    return process.waitFor();
  }

  /** Kills it, as the kernel would. */
  @Override
  public void close() {
    process.destroyForcibly();
    process.onExit().join();
    client.close();
  }
}

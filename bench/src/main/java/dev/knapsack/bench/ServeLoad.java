package dev.knapsack.bench;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Load on a server of OpenAI's API, from this machine: streamed completions of mixed lengths, half
 * of which begin with one of a few texts.
 *
 * <p>Usage: {@code bench/measure ServeLoad URL|FILE}, with {@code -Dat=1,4,16,64}, {@code
 * -Drequests=300}, {@code -Dprompt=200} (words, at the most) and {@code -Dtokens=32} in {@code
 * KNAPSACK_JAVA_OPTS} for others; {@code -Dseconds=3600} asks for so long in place of a number of
 * requests, and goes away in the middle of every tenth. Prints a Markdown table: tokens written a
 * second, the median, the 95th and the 99th percentile of the first token and of the time between
 * tokens, refusals, and the largest difference between the ledger of a Knapsack server and its
 * resident set. A FILE in place of the URL takes the bodies of the requests, a line each: {@code
 * bench/peers/llama-cpp-load.mjs} answers them with llama.cpp.
 */
public final class ServeLoad {
  private static final List<String> WORDS =
      List.of(
          "the", "key", "ring", "blue", "red", "lamp", "kitchen", "library", "drawer", "garden",
          "Dan", "Mia", "Tom", "put", "found", "left", "under");

  private final HttpClient client = HttpClient.newHttpClient();
  private final URI server;
  private final int words = Integer.getInteger("prompt", 200);
  private final int tokens = Integer.getInteger("tokens", 32);
  private final int requests = Integer.getInteger("requests", 300);
  private final long seconds = Long.getLong("seconds", 0);

  private final List<Double> first = Collections.synchronizedList(new ArrayList<>());
  private final List<Double> between = Collections.synchronizedList(new ArrayList<>());
  private final AtomicInteger written = new AtomicInteger();
  private final AtomicInteger refused = new AtomicInteger();
  private final AtomicInteger left = new AtomicInteger();

  private ServeLoad(URI server) {
    this.server = server;
  }

  public static void main(String[] args) throws Exception {
    if (!args[0].startsWith("http")) {
      ServeLoad load = new ServeLoad(URI.create("http://localhost"));
      List<String> bodies = IntStream.range(0, load.requests).mapToObj(load::body).toList();
      Files.write(Path.of(args[0]), bodies);
      return;
    }
    System.out.println(
        "| at once | requests | refused | left | tokens/s | first token p50, p95, p99 (s) | between"
            + " tokens p50, p95, p99 (ms) | resident set − ledger (MiB) |");
    System.out.println("|---|---|---|---|---|---|---|---|");
    for (String count : System.getProperty("at", "1,4,16,64").split(",", -1)) {
      new ServeLoad(URI.create(args[0])).run(Integer.parseInt(count));
    }
  }

  private void run(int atOnce) throws Exception {
    Semaphore places = new Semaphore(atOnce);
    List<Thread> threads = new ArrayList<>();
    long begin = System.nanoTime();
    int sent = 0;
    double most = 0;
    while (seconds > 0 ? System.nanoTime() - begin < seconds * 1_000_000_000L : sent < requests) {
      places.acquire();
      int number = sent++;
      threads.removeIf(t -> !t.isAlive());
      threads.add(
          Thread.ofVirtual()
              .start(() -> {
                try {
                  ask(number);
                } catch (IOException | InterruptedException e) {
                  throw new IllegalStateException(e);
                } finally {
                  places.release();
                }
              }));
      if (number % 16 == 0) {
        most = Math.max(most, difference());
      }
    }
    for (Thread thread : threads) {
      thread.join();
    }
    double took = (System.nanoTime() - begin) / 1e9;
    System.out.printf(
        Locale.ROOT,
        "| %d | %d | %d | %d | %.1f | %s | %s | %.1f |%n",
        atOnce,
        sent,
        refused.get(),
        left.get(),
        written.get() / took,
        percentiles(first, 1),
        percentiles(between, 1000),
        most);
  }

  private String body(int number) {
    SplittableRandom random = new SplittableRandom(number);
    StringBuilder prompt = new StringBuilder();
    // Half of the requests begin with one of four long texts.
    SplittableRandom shared = new SplittableRandom(random.nextInt(4) - 100);
    boolean shares = random.nextBoolean();
    int length = 8 + random.nextInt(Math.max(1, words - 8));
    for (int i = 0; i < length; i++) {
      boolean common = shares && i < words / 2;
      prompt.append(WORDS.get((common ? shared : random).nextInt(WORDS.size()))).append(' ');
    }
    JsonObject body = new JsonObject();
    body.addProperty("prompt", prompt.toString());
    body.addProperty("max_tokens", 4 + random.nextInt(2 * tokens - 4));
    body.addProperty("stream", true);
    body.addProperty("ignore_eos", true);
    return body.toString();
  }

  private void ask(int number) throws IOException, InterruptedException {
    HttpRequest request =
        HttpRequest.newBuilder(server.resolve("/v1/completions"))
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(body(number), StandardCharsets.UTF_8))
            .build();
    long begin = System.nanoTime();
    HttpResponse<Stream<String>> response =
        client.send(request, HttpResponse.BodyHandlers.ofLines());
    boolean leaves = seconds > 0 && number % 10 == 9;
    try (Stream<String> lines = response.body()) {
      if (response.statusCode() != 200) {
        refused.incrementAndGet();
        return;
      }
      long last = begin;
      int pieces = 0;
      for (String line : (Iterable<String>) lines::iterator) {
        if (line.startsWith("data: {\"error")) {
          refused.incrementAndGet();
        } else if (line.startsWith("data: {")) {
          JsonObject data = JsonParser.parseString(line.substring(6)).getAsJsonObject();
          JsonArray choices = data.getAsJsonArray("choices");
          long now = System.nanoTime();
          if (choices.isEmpty()) {
            written.addAndGet(data.getAsJsonObject("usage").get("completion_tokens").getAsInt());
          } else {
            (pieces++ == 0 ? first : between).add((now - last) / 1e9);
            last = now;
          }
        }
        if (leaves && pieces == 3) {
          left.incrementAndGet();
          return;
        }
      }
    }
  }

  /** MiB by which the resident set of a Knapsack server is above what its budget says is used. */
  private double difference() {
    try {
      HttpResponse<String> response =
          client.send(
              HttpRequest.newBuilder(server.resolve("/budget")).build(),
              HttpResponse.BodyHandlers.ofString());
      if (response.statusCode() != 200) {
        return 0;
      }
      JsonObject budget = JsonParser.parseString(response.body()).getAsJsonObject();
      return (budget.get("resident").getAsLong() - budget.get("used").getAsLong()) / 1048576.0;
    } catch (IOException | InterruptedException e) {
      return 0;
    }
  }

  private static String percentiles(List<Double> values, double scale) {
    double[] sorted = values.stream().mapToDouble(v -> v * scale).toArray();
    Arrays.sort(sorted);
    if (sorted.length == 0) {
      return "";
    }
    return String.format(
        Locale.ROOT,
        "%.3g, %.3g, %.3g",
        sorted[sorted.length / 2],
        sorted[(int) (sorted.length * 0.95)],
        sorted[Math.min(sorted.length - 1, (int) (sorted.length * 0.99))]);
  }
}

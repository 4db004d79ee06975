package dev.knapsack.bench;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.concurrent.Semaphore;

/**
 * A file of completions, a few long beginnings shared by many of them and in no order: answered by
 * {@code knapsack batch}, by a server that is asked one after another, and by a server that is
 * asked sixteen at a time in the file's order.
 *
 * <p>Usage: {@code bench/measure Batches MODEL BUDGET [ARGUMENT OF serve and batch...]}, with
 * {@code -Dgroups=12}, {@code -Deach=8}, {@code -Dbeginning=400} and {@code -Dtokens=24} in {@code
 * KNAPSACK_JAVA_OPTS} for others. Times are from the beginning of the process, its start included.
 * Prints a Markdown table.
 */
public final class Batches {
  private static final List<String> WORDS =
      List.of("the", "key", "ring", "blue", "red", "lamp", "kitchen", "library", "garden", "found");

  private Batches() {}

  public static void main(String[] args) throws Exception {
    int tokens = Integer.getInteger("tokens", 24);
    List<JsonObject> requests = requests(tokens);
    List<String> rest = List.of(args).subList(2, args.length);
    Path folder = Files.createTempDirectory("knapsack-batches");
    Path in = folder.resolve("in.jsonl");
    Path out = folder.resolve("out.jsonl");
    double batch;
    try {
      Files.write(in, requests.stream().map(JsonObject::toString).toList());
      List<String> command =
          new ArrayList<>(
              List.of(
                  "./knapsack",
                  "batch",
                  in.toString(),
                  "-o",
                  out.toString(),
                  "--model",
                  "m=" + args[0],
                  "--memory",
                  args[1]));
      command.addAll(rest);
      long begin = System.nanoTime();
      int status =
          new ProcessBuilder(command)
              .redirectOutput(ProcessBuilder.Redirect.DISCARD)
              .redirectError(ProcessBuilder.Redirect.DISCARD)
              .start()
              .waitFor();
      batch = (System.nanoTime() - begin) / 1e9;
      if (status != 0 || Files.readAllLines(out).size() != requests.size()) {
        throw new IllegalStateException("Not all was answered, status " + status);
      }
    } finally {
      Files.deleteIfExists(in);
      Files.deleteIfExists(out);
      Files.deleteIfExists(folder.resolve("out.jsonl.errors"));
      Files.delete(folder);
    }
    List<String> serve = new ArrayList<>(List.of("m=" + args[0], "--memory", args[1]));
    serve.addAll(rest);
    double one = served(serve, requests, 1);
    double sixteen = served(serve, requests, 16);
    int all = requests.size() * tokens;
    System.out.println("| " + requests.size() + " requests | seconds | tokens/s | batch is |");
    System.out.println("|---|---|---|---|");
    row("knapsack batch", batch, all, batch);
    row("server, one after another", one, all, batch);
    row("server, sixteen at a time", sixteen, all, batch);
  }

  private static void row(String name, double seconds, int tokens, double batch) {
    System.out.printf(
        Locale.ROOT,
        "| %s | %.1f | %.1f | %.2f × |%n",
        name,
        seconds,
        tokens / seconds,
        seconds / batch);
  }

  private static List<JsonObject> requests(int tokens) {
    int groups = Integer.getInteger("groups", 12);
    int beginning = Integer.getInteger("beginning", 400);
    List<JsonObject> requests = new ArrayList<>();
    for (int i = 0; i < groups * Integer.getInteger("each", 8); i++) {
      StringBuilder prompt = new StringBuilder();
      words(prompt, new SplittableRandom(i % groups), beginning);
      words(prompt, new SplittableRandom(-1 - i), 20);
      JsonObject body = new JsonObject();
      body.addProperty("model", "m");
      body.addProperty("prompt", prompt.toString());
      body.addProperty("max_tokens", tokens);
      body.addProperty("temperature", 0);
      body.addProperty("ignore_eos", true);
      JsonObject request = new JsonObject();
      request.addProperty("custom_id", "request-" + i);
      request.addProperty("method", "POST");
      request.addProperty("url", "/v1/completions");
      request.add("body", body);
      requests.add(request);
    }
    Collections.shuffle(requests, new Random(1));
    return requests;
  }

  private static void words(StringBuilder to, SplittableRandom random, int count) {
    for (int i = 0; i < count; i++) {
      to.append(WORDS.get(random.nextInt(WORDS.size()))).append(' ');
    }
  }

  /** The seconds that a new server takes for all requests, so many at a time. */
  private static double served(List<String> arguments, List<JsonObject> requests, int atOnce)
      throws IOException, InterruptedException {
    long begin = System.nanoTime();
    try (ServerProcess server = ServerProcess.start(null, arguments);
        HttpClient client = HttpClient.newHttpClient()) {
      Semaphore places = new Semaphore(atOnce);
      List<String> wrong = Collections.synchronizedList(new ArrayList<>());
      for (JsonObject request : requests) {
        places.acquire();
        Thread.ofVirtual()
            .start(() -> {
              try {
                wrong.addAll(ask(client, server, request));
              } finally {
                places.release();
              }
            });
      }
      places.acquire(atOnce);
      if (!wrong.isEmpty()) {
        throw new IllegalStateException(wrong.getFirst());
      }
      return (System.nanoTime() - begin) / 1e9;
    }
  }

  /** The answer that is none, if it is not one. */
  private static List<String> ask(HttpClient client, ServerProcess server, JsonObject request) {
    try {
      String body =
          client
              .send(
                  HttpRequest.newBuilder(server.uri().resolve("/v1/completions"))
                      .POST(HttpRequest.BodyPublishers.ofString(request.get("body").toString()))
                      .build(),
                  HttpResponse.BodyHandlers.ofString())
              .body();
      return JsonParser.parseString(body).getAsJsonObject().has("choices")
          ? List.of()
          : List.of(body);
    } catch (IOException | InterruptedException e) {
      return List.of(e.toString());
    }
  }
}

package dev.knapsack.bench;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonSyntaxException;
import dev.knapsack.eval.Pictures;
import dev.knapsack.memory.Budget;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.function.ToDoubleFunction;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.DoubleStream;
import java.util.stream.Stream;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.markers.SeriesMarkers;

/**
 * A server in a memory cgroup whose limit is its budget, under mixed traffic for a long time: chats
 * and completions of many lengths, long prompts, prompts that are too long, schemas, calls of
 * tools, several choices, and readers that go away; clients begin again every so often.
 *
 * <p>Usage: {@code bench/measure Soak BUDGET [ARGUMENT OF serve...]}, with {@code -Dseconds=3600},
 * {@code -Dat=16}, {@code -Dwords=600} (of a long prompt) and {@code -Dpicture=FILE} in {@code
 * KNAPSACK_JAVA_OPTS} for others. Prints two Markdown tables, of requests by kind and of what was
 * counted, and draws resident set and ledger over time. Fails when the server was killed, when a
 * request was neither answered nor refused, or when an answer does not keep to its schema.
 */
public final class Soak {
  private static final List<String> WORDS =
      List.of(
          "the", "key", "ring", "blue", "red", "lamp", "kitchen", "library", "drawer", "garden",
          "Dan", "Mia", "Tom", "put", "found", "left", "under");
  private static final String SCHEMA =
      """
      {"type": "object", "additionalProperties": false, "required": ["place", "count"],
       "properties": {"place": {"enum": ["kitchen", "library", "garden"]},
                      "count": {"type": "integer", "minimum": 0, "maximum": 9}}}\
      """;
  private static final int BEGINNINGS = 12;
  private static final double MIB = 1 << 20;

  /** A kind of request, with its share of all. */
  private enum Kind {
    CHAT(35),
    COMPLETION(20),
    LONG_PROMPT(10),
    LEAVES(10),
    SCHEMA(10),
    TOOL(7),
    CHOICES(5),
    TOO_LONG(3);

    private final int percent;

    Kind(int percent) {
      this.percent = percent;
    }

    static Kind of(SplittableRandom random) {
      int at = random.nextInt(100);
      for (Kind kind : values()) {
        at -= kind.percent;
        if (at < 0) {
          return kind;
        }
      }
      return CHAT;
    }
  }

  /** Counts at one moment: seconds since the beginning, bytes, counts. */
  private record Sample(
      double seconds, double resident, double ledger, double threads, double descriptors) {}

  private final int words = Integer.getInteger("words", 600);
  private final ServerProcess server;
  private final Map<String, Map<String, Integer>> outcomes = new TreeMap<>();
  private final List<String> failures = new ArrayList<>();

  private Soak(ServerProcess server) {
    this.server = server;
  }

  public static void main(String[] args) throws Exception {
    long bytes = Budget.parseSize(args[0]);
    List<String> arguments = new ArrayList<>(List.of(args).subList(1, args.length));
    arguments.addAll(List.of("--memory", args[0]));
    Path picture = Path.of(System.getProperty("picture", "docs/pictures/soak.png"));
    boolean failed;
    try (MemoryCgroup cgroup = MemoryCgroup.create(bytes)) {
      try (ServerProcess server = ServerProcess.start(cgroup, arguments)) {
        Soak soak = new Soak(server);
        List<Sample> samples = soak.run(cgroup);
        soak.report(samples, bytes);
        draw(samples, bytes, picture);
        System.out.println(ladder(server.get("/metrics")));
        int status = server.end();
        System.out.printf("%nkills: %d, exit code %d%n", cgroup.kills(), status);
        failed = cgroup.kills() > 0 || !soak.failures.isEmpty() || status != 0;
      }
    }
    System.exit(failed ? 1 : 0);
  }

  private List<Sample> run(MemoryCgroup cgroup) throws Exception {
    long end = System.nanoTime() + Long.getLong("seconds", 3600) * 1_000_000_000L;
    List<Thread> clients = new ArrayList<>();
    for (int i = 0; i < Integer.getInteger("at", 16); i++) {
      int number = i;
      clients.add(Thread.ofVirtual().start(() -> client(number, end)));
    }
    long begin = System.nanoTime();
    List<Sample> samples = new ArrayList<>();
    while (System.nanoTime() < end && cgroup.kills() == 0) {
      Thread.sleep(2000);
      JsonObject budget = server.budget();
      samples.add(
          new Sample(
              (System.nanoTime() - begin) / 1e9,
              budget.get("resident").getAsDouble(),
              budget.get("used").getAsDouble(),
              server.threads(),
              server.descriptors()));
    }
    for (Thread client : clients) {
      client.join();
    }
    return samples;
  }

  /** One user, who begins anew every hundred requests. */
  private void client(int number, long end) {
    SplittableRandom random = new SplittableRandom(number);
    while (System.nanoTime() < end) {
      try (HttpClient client = HttpClient.newHttpClient()) {
        for (int i = 0; i < 100 && System.nanoTime() < end; i++) {
          Kind kind = Kind.of(random);
          String outcome;
          try {
            outcome = ask(client, kind, random);
          } catch (IOException e) {
            outcome = "broken: " + e;
          } catch (InterruptedException e) {
            return;
          }
          note(kind, outcome);
        }
      }
    }
  }

  private synchronized void note(Kind kind, String outcome) {
    outcomes
        .computeIfAbsent(kind.name().toLowerCase(Locale.ROOT), _ -> new TreeMap<>())
        .merge(outcome, 1, Integer::sum);
    if (outcome.startsWith("broken") || outcome.startsWith("invalid")) {
      failures.add(kind + ": " + outcome);
    }
  }

  private String text(int length, SplittableRandom random) {
    // Two thirds of what is asked begins as something else did.
    int beginning = random.nextInt(BEGINNINGS * 3 / 2);
    SplittableRandom shared = new SplittableRandom(-1 - beginning);
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < length; i++) {
      boolean common = beginning < BEGINNINGS && i < length / 2;
      text.append(WORDS.get((common ? shared : random).nextInt(WORDS.size()))).append(' ');
    }
    return text.toString();
  }

  private JsonObject body(Kind kind, SplittableRandom random) {
    int length =
        switch (kind) {
          case LONG_PROMPT -> words / 2 + random.nextInt(words / 2);
          case TOO_LONG -> 100_000;
          default -> 8 + random.nextInt(120);
        };
    JsonObject body = new JsonObject();
    body.addProperty("stream", random.nextInt(4) > 0);
    body.addProperty("max_tokens", 4 + random.nextInt(60));
    if (kind == Kind.COMPLETION || kind == Kind.LEAVES) {
      body.addProperty("prompt", text(length, random));
      body.addProperty("ignore_eos", true);
      return body;
    }
    JsonObject message = new JsonObject();
    message.addProperty("role", "user");
    message.addProperty("content", text(length, random));
    JsonArray messages = new JsonArray();
    messages.add(message);
    body.add("messages", messages);
    if (kind == Kind.CHOICES) {
      body.addProperty("n", 2);
    }
    if (kind == Kind.SCHEMA) {
      body.addProperty("stream", false);
      body.addProperty("temperature", 2);
      body.add("json_schema", JsonParser.parseString(SCHEMA));
    }
    if (kind == Kind.TOOL) {
      body.addProperty("tool_choice", "required");
      body.add(
          "tools",
          JsonParser.parseString(
              "[{\"type\": \"function\", \"function\": {\"name\": \"put\", \"strict\": true,"
                  + " \"parameters\": "
                  + SCHEMA
                  + "}}]"));
    }
    return body;
  }

  private String ask(HttpClient client, Kind kind, SplittableRandom random)
      throws IOException, InterruptedException {
    JsonObject body = body(kind, random);
    URI uri = server.uri().resolve(body.has("prompt") ? "/v1/completions" : "/v1/chat/completions");
    HttpResponse<Stream<String>> response =
        client.send(
            HttpRequest.newBuilder(uri)
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(body.toString()))
                .build(),
            HttpResponse.BodyHandlers.ofLines());
    try (Stream<String> lines = response.body()) {
      if (response.statusCode() != 200) {
        return Integer.toString(response.statusCode());
      }
      if (!body.get("stream").getAsBoolean()) {
        return answered(kind, lines.reduce("", String::concat));
      }
      int pieces = 0;
      String last = "";
      for (String line : (Iterable<String>) lines::iterator) {
        if (line.startsWith("data: {\"error")) {
          return "error in stream";
        }
        if (!line.isEmpty()) {
          last = line;
        }
        if (kind == Kind.LEAVES && ++pieces == 6) {
          return "left";
        }
      }
      return last.equals("data: [DONE]") ? "answered" : "broken: ended early";
    }
  }

  /** The outcome of a whole answer: one that ended by itself keeps to its schema. */
  private static String answered(Kind kind, String body) {
    JsonObject choice =
        JsonParser.parseString(body)
            .getAsJsonObject()
            .getAsJsonArray("choices")
            .get(0)
            .getAsJsonObject();
    if (choice.get("finish_reason").getAsString().equals("length")) {
      return "cut";
    }
    if (kind != Kind.SCHEMA && kind != Kind.TOOL) {
      return "answered";
    }
    JsonObject message = choice.getAsJsonObject("message");
    try {
      String json =
          kind == Kind.SCHEMA
              ? message.get("content").getAsString()
              : message
                  .getAsJsonArray("tool_calls")
                  .get(0)
                  .getAsJsonObject()
                  .getAsJsonObject("function")
                  .get("arguments")
                  .getAsString();
      JsonObject said = JsonParser.parseString(json).getAsJsonObject();
      boolean valid =
          List.of("kitchen", "library", "garden").contains(said.get("place").getAsString())
              && said.get("count").getAsInt() >= 0
              && said.get("count").getAsInt() <= 9
              && said.size() == 2;
      return valid ? "answered" : "invalid: " + json;
    } catch (JsonSyntaxException | IllegalStateException | NullPointerException e) {
      return "invalid: " + body;
    }
  }

  private void report(List<Sample> samples, long budget) {
    System.out.println("| request | outcomes |\n|---|---|");
    outcomes.forEach((kind, counts) -> System.out.printf("| %s | %s |%n", kind, counts));
    List<Sample> late = samples.subList(samples.size() / 2, samples.size());
    System.out.println();
    System.out.println("| counted | least, second half | most, second half | change an hour |");
    System.out.println("|---|---|---|---|");
    row("resident set, MiB", late, s -> s.resident / MIB);
    row("ledger, MiB", late, s -> s.ledger / MIB);
    row("resident set − ledger, %", late, s -> 100 * (s.resident / s.ledger - 1));
    row("threads", late, Sample::threads);
    row("file descriptors", late, Sample::descriptors);
    System.out.printf(
        Locale.ROOT,
        "%nbudget %.1f MiB; %d requests in %.0f s%n",
        budget / MIB,
        outcomes.values().stream()
            .flatMap(counts -> counts.values().stream())
            .mapToInt(Integer::intValue)
            .sum(),
        samples.getLast().seconds);
    failures.stream().limit(20).forEach(System.out::println);
  }

  private static void row(String name, List<Sample> samples, ToDoubleFunction<Sample> value) {
    System.out.printf(
        Locale.ROOT,
        "| %s | %.1f | %.1f | %+.2f |%n",
        name,
        samples.stream().mapToDouble(value).min().orElseThrow(),
        samples.stream().mapToDouble(value).max().orElseThrow(),
        3600 * slope(samples, value));
  }

  /** The slope of the line of least squares, a second. */
  private static double slope(List<Sample> samples, ToDoubleFunction<Sample> value) {
    double x = samples.stream().mapToDouble(Sample::seconds).average().orElseThrow();
    double y = samples.stream().mapToDouble(value).average().orElseThrow();
    double above = 0;
    double below = 0;
    for (Sample sample : samples) {
      above += (sample.seconds - x) * (value.applyAsDouble(sample) - y);
      below += (sample.seconds - x) * (sample.seconds - x);
    }
    return above / below;
  }

  /** The server's own counts of the ladder and of prefixes. */
  private static String ladder(String metrics) {
    Matcher matcher =
        Pattern.compile("(?m)^knapsack_\\w*(ladder|prefix|cached)\\w*(\\{.*?})? .*$")
            .matcher(metrics);
    return String.join("\n", matcher.results().map(MatchResult::group).toList());
  }

  private static void draw(List<Sample> samples, long budget, Path file) throws IOException {
    XYChart chart = Pictures.chart("minutes", "MiB");
    chart.getStyler().setYAxisMin(0.0);
    double[] minutes = samples.stream().mapToDouble(s -> s.seconds / 60).toArray();
    line(chart, "budget, limit", minutes, samples.stream().mapToDouble(_ -> budget / MIB), 1);
    line(chart, "resident set", minutes, samples.stream().mapToDouble(s -> s.resident / MIB), 0);
    line(chart, "ledger", minutes, samples.stream().mapToDouble(s -> s.ledger / MIB), 2);
    Pictures.write(chart, file);
    System.err.println("drawn: " + file);
  }

  private static void line(XYChart chart, String name, double[] x, DoubleStream y, int number) {
    XYSeries series = chart.addSeries(name, x, y.toArray());
    Pictures.style(series, number);
    series.setMarker(SeriesMarkers.NONE);
  }
}

package dev.knapsack.serve;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.knapsack.serve.http.Json;
import java.io.BufferedReader;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;

/** A headless Chromium with one page, driven by the DevTools protocol. */
final class Browser implements AutoCloseable {
  private static final String LISTENING = "DevTools listening on ";

  private final Process process;
  private final Path profile;
  private final HttpClient client = HttpClient.newHttpClient();
  private final WebSocket socket;
  private final String session;
  private final AtomicInteger last = new AtomicInteger();
  private final Map<Integer, CompletableFuture<JsonObject>> replies = new ConcurrentHashMap<>();

  /** What the page has thrown and complained of. */
  final List<String> complaints = new ArrayList<>();

  private Browser(Process process, Path profile, URI address) throws Exception {
    this.process = process;
    this.profile = profile;
    socket =
        client.newWebSocketBuilder().buildAsync(address, new Messages()).get(60, TimeUnit.SECONDS);
    String target =
        send(null, "Target.createTarget", Json.object("url", "about:blank"))
            .get("targetId")
            .getAsString();
    session =
        send(null, "Target.attachToTarget", Json.object("targetId", target, "flatten", true))
            .get("sessionId")
            .getAsString();
    send("Page.enable", new JsonObject());
    send("Runtime.enable", new JsonObject());
    send("Log.enable", new JsonObject());
  }

  /** The browser of this machine; empty if it has none. */
  static Optional<Path> installed() {
    return Stream.of(System.getenv("PATH").split(":"))
        .flatMap(folder ->
            Stream.of("chromium", "chromium-browser", "google-chrome")
                .map(name -> Path.of(folder, name)))
        .filter(Files::isExecutable)
        .findFirst();
  }

  static Browser start(Path program) throws Exception {
    Path profile = Files.createTempDirectory("browser");
    Process process =
        new ProcessBuilder(
                program.toString(),
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--remote-debugging-port=0",
                "--user-data-dir=" + profile,
                "about:blank")
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .start();
    BufferedReader said = process.errorReader(StandardCharsets.UTF_8);
    for (String line = said.readLine(); line != null; line = said.readLine()) {
      if (line.startsWith(LISTENING)) {
        Thread.ofVirtual().start(() -> said.lines().forEach(_ -> {}));
        return new Browser(process, profile, URI.create(line.substring(LISTENING.length())));
      }
    }
    throw new IOException("the browser ended with " + process.waitFor());
  }

  private final class Messages implements WebSocket.Listener {
    private final StringBuilder text = new StringBuilder();

    @Override
    public CompletionStage<?> onText(WebSocket from, CharSequence data, boolean whole) {
      text.append(data);
      if (whole) {
        JsonObject message = JsonParser.parseString(text.toString()).getAsJsonObject();
        text.setLength(0);
        if (message.has("id")) {
          replies.remove(message.get("id").getAsInt()).complete(message);
        } else {
          listen(message);
        }
      }
      from.request(1);
      return null;
    }

    private void listen(JsonObject event) {
      String name = event.get("method").getAsString();
      if (name.equals("Runtime.exceptionThrown")
          || (name.equals("Log.entryAdded")
              && TestServer.at(event, "params.entry.level").getAsString().equals("error"))) {
        complaints.add(event.toString());
      }
    }
  }

  private JsonObject send(String inSession, String method, JsonObject parameters) throws Exception {
    int id = last.incrementAndGet();
    JsonObject message = Json.object("id", id, "method", method, "params", parameters);
    if (inSession != null) {
      message.addProperty("sessionId", inSession);
    }
    CompletableFuture<JsonObject> reply = new CompletableFuture<>();
    replies.put(id, reply);
    socket.sendText(message.toString(), true).get(60, TimeUnit.SECONDS);
    JsonObject answer = reply.get(60, TimeUnit.SECONDS);
    if (answer.has("error")) {
      throw new IllegalStateException(method + ": " + answer.get("error"));
    }
    return answer.getAsJsonObject("result");
  }

  private JsonObject send(String method, JsonObject parameters) throws Exception {
    return send(session, method, parameters);
  }

  void size(int width, int height, boolean phone) throws Exception {
    send(
        "Emulation.setDeviceMetricsOverride",
        Json.object("width", width, "height", height, "deviceScaleFactor", 1, "mobile", phone));
  }

  void dark(boolean dark) throws Exception {
    JsonArray features =
        Json.array(Json.object("name", "prefers-color-scheme", "value", dark ? "dark" : "light"));
    send("Emulation.setEmulatedMedia", Json.object("features", features));
  }

  void open(URI page) throws Exception {
    send("Page.navigate", Json.object("url", page.toString()));
    await("document.readyState === 'complete' && location.href === '" + page + "'");
  }

  /** The value of an expression in the page. */
  JsonElement value(String expression) throws Exception {
    JsonObject result =
        send(
            "Runtime.evaluate",
            Json.object("expression", expression, "returnByValue", true, "awaitPromise", true));
    if (result.has("exceptionDetails")) {
      throw new AssertionError(expression + ": " + result);
    }
    return result.getAsJsonObject("result").get("value");
  }

  /** Waits until an expression is true in the page. */
  void await(String expression) throws Exception {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    while (!value("!!(" + expression + ")").getAsBoolean()) {
      if (System.nanoTime() > end) {
        throw new AssertionError("waited a minute for " + expression);
      }
    }
  }

  byte[] picture() throws Exception {
    return Base64.getDecoder()
        .decode(
            send("Page.captureScreenshot", Json.object("format", "png")).get("data").getAsString());
  }

  @Override
  public void close() throws IOException {
    socket.abort();
    client.shutdownNow();
    process.descendants().forEach(ProcessHandle::destroyForcibly);
    process.destroyForcibly();
    process.onExit().join();
    try (Stream<Path> files = Files.walk(profile)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(file);
      }
    }
  }
}

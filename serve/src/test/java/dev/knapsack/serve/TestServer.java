package dev.knapsack.serve;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.knapsack.Embedder;
import dev.knapsack.Knapsack;
import dev.knapsack.Options;
import dev.knapsack.Reranker;
import dev.knapsack.file.GgufWriter;
import dev.knapsack.file.MetadataBuilder;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.function.UnaryOperator;

/** A server of the embedded model on a free port, and a client of it. */
public final class TestServer implements AutoCloseable {
  public static final Path MODEL =
      Path.of(
          System.getProperty("knapsack.root"),
          "cli/src/main/resources/dev/knapsack/cli/notes-2.6m-q8_0.gguf");

  static final String QUESTION = "Dan put the blue ring in the library. Where is the blue ring?";

  /** An answer of the server. */
  record Answer(int status, HttpResponse<String> response) {
    JsonObject json() {
      return JsonParser.parseString(response.body()).getAsJsonObject();
    }

    String body() {
      return response.body();
    }

    /** The value at a path such as {@code choices.0.message.content}. */
    JsonElement at(String path) {
      return TestServer.at(json(), path);
    }

    String text(String path) {
      return at(path).getAsString();
    }

    /** The JSON of each event of a stream that has data, the last {@code [DONE]} left out. */
    List<JsonObject> events() {
      return body()
          .lines()
          .filter(line -> line.startsWith("data: ") && !line.equals("data: [DONE]"))
          .map(line -> JsonParser.parseString(line.substring(6)).getAsJsonObject())
          .toList();
    }

    /** The lines of a stream of JSON lines. */
    List<JsonObject> lines() {
      return body().lines().map(line -> JsonParser.parseString(line).getAsJsonObject()).toList();
    }
  }

  private final HttpClient client = HttpClient.newHttpClient();
  private final ByteArrayOutputStream log = new ByteArrayOutputStream();
  final Budget budget = Budget.of("1GiB");
  final Knapsack model;
  final List<ServedEncoder> encoders;
  final KnapsackServer server;

  TestServer(UnaryOperator<Options> options, UnaryOperator<ServerOptions> serving) {
    this(MODEL, options, serving);
  }

  TestServer(Path file, UnaryOperator<Options> options, UnaryOperator<ServerOptions> serving) {
    this(file, options, serving, _ -> List.of());
  }

  private TestServer(
      Path file,
      UnaryOperator<Options> options,
      UnaryOperator<ServerOptions> serving,
      Function<Host, List<ServedEncoder>> encoders) {
    Host host = new Host(budget);
    model = Knapsack.open(file, host, options.apply(Options.usual().withSequences(4)));
    this.encoders = encoders.apply(host);
    List<Served> all = new ArrayList<>(List.of(new ServedModel("notes", model)));
    all.addAll(this.encoders);
    server =
        KnapsackServer.open(
            new ServedModels(all),
            serving.apply(
                ServerOptions.usual()
                    .withAddress("127.0.0.1", 0)
                    .withLog(new PrintStream(log, true, StandardCharsets.UTF_8), false)));
  }

  static TestServer usual() {
    return new TestServer(UnaryOperator.identity(), UnaryOperator.identity());
  }

  /** The embedded model, and beside it an embedding model and a reranker, both small. */
  static TestServer withEncoders(UnaryOperator<ServerOptions> serving) {
    return new TestServer(
        MODEL,
        UnaryOperator.identity(),
        serving,
        host ->
            List.of(
                new ServedEmbedder("small", Embedder.open(encoder("encoder"), host, one("small"))),
                new ServedReranker(
                    "judge", Reranker.open(encoder("reranker"), host, one("judge")))));
  }

  private static Options one(String share) {
    return Options.usual().withWorkers(1).withShare(new Host.Share(share, 0, 1));
  }

  private static Path encoder(String kind) {
    return Path.of(
        System.getProperty("knapsack.root"),
        "core/src/test/resources/dev/knapsack/small-" + kind + ".gguf");
  }

  /** The embedded model with a template by which it calls tools as Hermes and Qwen do. */
  static Path calling(Path target) {
    String turns = "{% for m in messages %}{{ m.content }}{% endfor %}";
    try (ModelFile notes = ModelFile.open(MODEL);
        Arena arena = Arena.ofConfined();
        GgufWriter writer =
            GgufWriter.create(
                target,
                new MetadataBuilder(notes.metadata())
                    .string("tokenizer.chat_template", "{{ tools }}<tool_call>" + turns)
                    .build(target),
                notes.tensors().values())) {
      for (TensorInfo tensor : notes.tensors().values()) {
        MemorySegment bytes = arena.allocate(tensor.bytes());
        notes.read(tensor, 0, bytes);
        writer.write(tensor, bytes);
      }
      writer.finish();
    }
    return target;
  }

  public static JsonElement at(JsonElement json, String path) {
    JsonElement value = json;
    for (String step : path.split("\\.")) {
      value =
          value.isJsonArray()
              ? value.getAsJsonArray().get(Integer.parseInt(step))
              : value.getAsJsonObject().get(step);
      if (value == null) {
        throw new AssertionError("no '" + step + "' of " + path + " in " + json);
      }
    }
    return value;
  }

  URI uri(String path) {
    return URI.create("http://127.0.0.1:" + server.port() + path);
  }

  HttpRequest.Builder request(String path) {
    return HttpRequest.newBuilder(uri(path));
  }

  Answer send(HttpRequest request) {
    try {
      HttpResponse<String> response =
          client.send(request, HttpResponse.BodyHandlers.ofString(StandardCharsets.UTF_8));
      return new Answer(response.statusCode(), response);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  Answer get(String path) {
    return send(request(path).build());
  }

  /** Posts JSON in which single quotes stand for double ones. */
  Answer post(String path, String json) {
    return send(
        request(path)
            .POST(HttpRequest.BodyPublishers.ofString(json.replace('\'', '"')))
            .header("Content-Type", "application/json")
            .build());
  }

  String log() {
    return log.toString(StandardCharsets.UTF_8);
  }

  @Override
  public void close() {
    server.close();
    for (ServedEncoder encoder : encoders) {
      switch (encoder) {
        case ServedEmbedder embedder -> embedder.embedder().close();
        case ServedReranker reranker -> reranker.reranker().close();
      }
    }
    model.close();
    client.close();
  }
}

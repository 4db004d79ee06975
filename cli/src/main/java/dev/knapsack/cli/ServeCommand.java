package dev.knapsack.cli;

import dev.knapsack.memory.Budget;
import dev.knapsack.serve.ApiKey;
import dev.knapsack.serve.FileFolder;
import dev.knapsack.serve.KnapsackServer;
import dev.knapsack.serve.ServerOptions;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code knapsack serve}: models behind the HTTP APIs that clients speak, inside one budget. */
@Command(
    name = "serve",
    sortOptions = false,
    description =
        "Serves models to clients of OpenAI's API, inside one memory budget, until it is told to"
            + " end: SIGTERM lets what is being answered end first.",
    footer = {
      "",
      "  knapsack serve",
      "  knapsack serve model.gguf --memory 4GiB",
      "  knapsack serve model.gguf minilm=all-MiniLM-L6-v2.gguf --memory 4GiB",
      "  knapsack serve small=a.gguf large=b.gguf --memory 8GiB --host 0.0.0.0 --keys keys.txt",
      "",
      "Keys: a file of lines 'NAME SECRET requests=60 tokens=20000 parallel=4 priority=1"
          + " cache=25%%' (limits a minute; all may be left out), or the variable KNAPSACK_API_KEY"
          + " with one secret.",
    })
final class ServeCommand implements Callable<Integer> {
  /** Variable with a key for all. */
  private static final String KEY = "KNAPSACK_API_KEY";

  private final Environment environment;
  @Mixin private final EngineOptions engine;

  @Parameters(
      paramLabel = "[NAME=]MODEL",
      arity = "0..*",
      description =
          "Models as 'run', 'embed' and 'rerank' take them, each by a name that requests call it"
              + " (default: its file's)."
              + " Without any: the small model inside Knapsack.")
  private List<String> models = List.of();

  @Option(
      names = "--host",
      paramLabel = "ADDRESS",
      description = "Address to listen on (default: 127.0.0.1, this machine alone).")
  private String host = "127.0.0.1";

  @Option(names = "--port", paramLabel = "N", description = "Port (default: 8080; 0: any).")
  private int port = 8080;

  @Option(names = "--keys", paramLabel = "FILE", description = "Keys that are served.")
  private @Nullable Path keys;

  @Option(
      names = "--cors",
      paramLabel = "ORIGIN",
      split = ",",
      description = "Origins whose pages may call, or * (default: none).")
  private Set<String> origins = Set.of();

  @Option(
      names = "--tls",
      paramLabel = "FILE",
      description =
          "Serve HTTPS with the certificate of this PKCS12 file, whose password is in the variable"
              + " KNAPSACK_TLS_PASSWORD.")
  private @Nullable Path tls;

  @Option(
      names = "--max-body",
      paramLabel = "BYTES",
      description = "Most bytes of a request's body (default: 33554432).")
  private int maxBody = 32 << 20;

  @Option(
      names = "--drain",
      paramLabel = "SECONDS",
      description = "Wait so long for what is being answered when told to end (default: 30).")
  private int drain = 30;

  @Option(
      names = "--files",
      paramLabel = "DIR",
      description =
          "Keep files that clients upload in this folder, and answer batches of requests (default:"
              + " neither).")
  private @Nullable Path files;

  @Option(
      names = "--files-size",
      paramLabel = "SIZE",
      description = "Most bytes of all those files (default: 1GiB).")
  private String filesSize = "1GiB";

  @Option(names = "--log-json", description = "Log in JSON, one object a line.")
  private boolean jsonLog;

  ServeCommand(Environment environment) {
    this.environment = environment;
    this.engine = new EngineOptions(environment);
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    PrintStream err = environment.streams().err();
    ServerOptions options = options(err);
    CountDownLatch told = new CountDownLatch(1);
    CountDownLatch done = new CountDownLatch(1);
    engine.useServing();
    try (NamedModels named = NamedModels.open(environment, engine, models, err);
        KnapsackServer server = KnapsackServer.open(named.served(), options)) {
      Runtime.getRuntime().addShutdownHook(new Thread(() -> end(told, done, err)));
      err.printf("Listening on %s://%s:%d%n", tls == null ? "http" : "https", host, server.port());
      err.flush();
      told.await();
      server.drain(Duration.ofSeconds(drain));
    } finally {
      done.countDown();
    }
    return 0;
  }

  /** Told to end, the process ends well: with 0, once all is closed and kept that is to be kept. */
  private static void end(CountDownLatch told, CountDownLatch done, PrintStream err) {
    told.countDown();
    try {
      done.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    err.flush();
    Runtime.getRuntime().halt(0);
  }

  private ServerOptions options(PrintStream log) throws IOException {
    ServerOptions options =
        ServerOptions.usual()
            .withAddress(host, port)
            .withKeys(keys())
            .withOrigins(origins)
            .withBodyBytes(maxBody)
            .withLog(log, jsonLog);
    if (files != null) {
      options = options.withFiles(new FileFolder(files, Budget.parseSize(filesSize)));
    }
    return tls == null
        ? options
        : options.withTls(tls, environment.variables().getOrDefault("KNAPSACK_TLS_PASSWORD", ""));
  }

  private List<ApiKey> keys() throws IOException {
    List<ApiKey> all = new ArrayList<>();
    String secret = environment.variables().getOrDefault(KEY, "");
    if (!secret.isBlank()) {
      all.add(ApiKey.of("default", secret.strip()));
    }
    if (keys != null) {
      for (String line : Files.readAllLines(keys)) {
        if (!line.isBlank() && !line.startsWith("#")) {
          all.add(ApiKey.parse(line));
        }
      }
    }
    return all;
  }
}

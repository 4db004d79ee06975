package dev.knapsack.serve;

import dev.knapsack.serve.http.ErrorForm;
import dev.knapsack.serve.http.HttpListener;
import dev.knapsack.serve.http.Routes;
import dev.knapsack.serve.local.Page;
import dev.knapsack.serve.local.State;
import dev.knapsack.serve.local.Texts;
import dev.knapsack.serve.openai.ChatCompletions;
import dev.knapsack.serve.openai.Completions;
import dev.knapsack.serve.openai.ModelList;
import dev.knapsack.serve.openai.OpenAiErrors;
import java.time.Duration;
import java.util.concurrent.locks.LockSupport;

/**
 * A server of models that are open, which it does not close.
 *
 * <p>Requests are refused, each in its API's own form, when they cannot be served; those that were
 * admitted are answered to the end, unless whoever asked goes away. Nothing that was said, no key
 * and no trace is in an answer to somebody else or in a log.
 */
public final class KnapsackServer implements AutoCloseable {
  private final ServedModels models;
  private final Metrics metrics;
  private final HttpListener listener;
  private volatile boolean closing;

  private KnapsackServer(ServedModels models, ServerOptions options) {
    this.models = models;
    this.metrics = new Metrics(models);
    RequestLog log = new RequestLog(options.log(), options.jsonLog());
    KeyRing keys = new KeyRing(options.keys(), System::nanoTime);
    listener =
        new HttpListener(
            options.http(),
            routes(models),
            new OpenAiErrors(),
            keys::enter,
            (exchange, route) -> {
              log.add(exchange);
              metrics.add(exchange, route);
            },
            log::unexpected);
  }

  /**
   * Begins to serve.
   *
   * @throws java.io.UncheckedIOException if it cannot listen on that port
   */
  public static KnapsackServer open(ServedModels models, ServerOptions options) {
    return new KnapsackServer(models, options);
  }

  private Routes routes(ServedModels served) {
    OpenAiErrors errors = new OpenAiErrors();
    Routes routes = new Routes();
    openAi(routes, errors, served);
    local(routes, errors, served);
    return routes;
  }

  private static void openAi(Routes routes, OpenAiErrors errors, ServedModels served) {
    ModelList list = new ModelList(served);
    routes
        .add("POST", "/v1/chat/completions", errors, new ChatCompletions(served, errors)::handle)
        .add("POST", "/v1/completions", errors, new Completions(served, errors)::handle)
        .add("GET", "/v1/models", errors, list::list)
        .add("GET", "/v1/models/{id}", errors, list::one);
  }

  private void local(Routes routes, ErrorForm errors, ServedModels served) {
    Texts texts = new Texts(served);
    State state = new State(served, () -> closing);
    routes
        .add("POST", "/tokenize", errors, texts::tokenize)
        .add("POST", "/detokenize", errors, texts::detokenize)
        .add("POST", "/apply-template", errors, texts::applyTemplate)
        .add("GET", "/plan", errors, state::plan)
        .add("GET", "/slots", errors, state::slots)
        .add("GET", "/budget", errors, state::budget)
        .add("GET", "/metrics", errors, metrics::show)
        .addOpen("GET", "/", errors, new Page()::show)
        .addOpen("GET", "/health", errors, state::health)
        .addOpen("GET", "/ready", errors, state::ready);
  }

  /** The port that it listens on. */
  public int port() {
    return listener.port();
  }

  /** Takes no more connections, and waits so long at most until what is answered has ended. */
  public void drain(Duration most) {
    closing = true;
    listener.stopAccepting();
    long end = System.nanoTime() + most.toNanos();
    while (System.nanoTime() < end && models.all().stream().anyMatch(m -> !m.active().isEmpty())) {
      LockSupport.parkNanos(10_000_000);
    }
  }

  /** Stops at once; answers that are under way end. */
  @Override
  public void close() {
    closing = true;
    listener.close();
  }
}

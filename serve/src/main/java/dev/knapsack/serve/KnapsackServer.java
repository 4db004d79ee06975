package dev.knapsack.serve;

import dev.knapsack.serve.anthropic.AnthropicErrors;
import dev.knapsack.serve.anthropic.Messages;
import dev.knapsack.serve.batch.Offline;
import dev.knapsack.serve.http.ErrorForm;
import dev.knapsack.serve.http.HttpListener;
import dev.knapsack.serve.http.Routes;
import dev.knapsack.serve.local.Page;
import dev.knapsack.serve.local.State;
import dev.knapsack.serve.local.Texts;
import dev.knapsack.serve.ollama.Answers;
import dev.knapsack.serve.ollama.Embeds;
import dev.knapsack.serve.ollama.Models;
import dev.knapsack.serve.ollama.OllamaErrors;
import dev.knapsack.serve.openai.ChatCompletions;
import dev.knapsack.serve.openai.Completions;
import dev.knapsack.serve.openai.Embeddings;
import dev.knapsack.serve.openai.ModelList;
import dev.knapsack.serve.openai.OpenAiErrors;
import dev.knapsack.serve.openai.ResponseStore;
import dev.knapsack.serve.openai.Responses;
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
  private final ResponseStore responses;
  private final Offline offline;
  private volatile boolean closing;

  private KnapsackServer(ServedModels models, ServerOptions options) {
    this.models = models;
    this.metrics = new Metrics(models);
    this.responses = new ResponseStore(models.budget(), ResponseStore.USUAL_BYTES);
    Routes routes = routes(models);
    this.offline = Offline.add(routes, new OpenAiErrors(), models, options.files);
    RequestLog log = new RequestLog(options.log, options.jsonLog);
    KeyRing keys = new KeyRing(options.keys, System::nanoTime);
    listener =
        new HttpListener(
            options.http(),
            routes,
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
    anthropic(routes, served);
    ollama(routes, served);
    local(routes, errors, served);
    return routes;
  }

  private void openAi(Routes routes, OpenAiErrors errors, ServedModels served) {
    ModelList list = new ModelList(served);
    Responses answers = new Responses(served, errors, responses);
    routes
        .add("POST", "/v1/chat/completions", errors, new ChatCompletions(served, errors)::handle)
        .add("POST", "/v1/completions", errors, new Completions(served, errors)::handle)
        .add("POST", "/v1/responses", errors, answers::create)
        .add("GET", "/v1/responses/{id}", errors, answers::get)
        .add("POST", "/v1/responses/{id}/cancel", errors, answers::cancel)
        .add("GET", "/v1/responses/{id}/input_items", errors, answers::inputItems)
        .add("DELETE", "/v1/responses/{id}", errors, answers::delete)
        .add("POST", Embeddings.PATH, errors, new Embeddings(served)::handle)
        .add("GET", "/v1/models", errors, list::list)
        .add("GET", "/v1/models/{id}", errors, list::one);
  }

  private static void anthropic(Routes routes, ServedModels served) {
    AnthropicErrors errors = new AnthropicErrors();
    Messages messages = new Messages(served);
    routes
        .add("POST", "/v1/messages", errors, messages::handle)
        .add("POST", "/v1/messages/count_tokens", errors, messages::count);
  }

  private static void ollama(Routes routes, ServedModels served) {
    OllamaErrors errors = new OllamaErrors();
    Answers answers = new Answers(served);
    Embeds embeds = new Embeds(served);
    Models models = new Models(served);
    routes
        .add("POST", "/api/chat", errors, answers::chat)
        .add("POST", "/api/generate", errors, answers::generate)
        .add("POST", "/api/embed", errors, embeds::embed)
        .add("POST", "/api/embeddings", errors, embeds::embedding)
        .add("GET", "/api/tags", errors, models::tags)
        .add("GET", "/api/ps", errors, models::running)
        .add("POST", "/api/show", errors, models::show)
        .addOpen("GET", "/api/version", errors, models::version)
        // Clients ask so whether there is a server.
        .addOpen("HEAD", "/", errors, exchange -> exchange.bytes(200, "text/plain", new byte[0]));
  }

  private void local(Routes routes, ErrorForm errors, ServedModels served) {
    Texts texts = new Texts(served);
    State state = new State(served, () -> closing);
    Reranking reranking = new Reranking(served);
    routes
        .add("POST", "/v1/rerank", errors, reranking::handle)
        .add("POST", "/v2/rerank", errors, reranking::handle)
        .add("POST", "/rerank", errors, reranking::handle)
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
    while (System.nanoTime() < end && !models.all().stream().allMatch(Served::isIdle)) {
      LockSupport.parkNanos(10_000_000);
    }
  }

  /** Stops at once; answers that are under way end. */
  @Override
  public void close() {
    closing = true;
    listener.close();
    offline.close();
    responses.close();
  }
}

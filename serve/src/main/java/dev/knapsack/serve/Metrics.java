package dev.knapsack.serve;

import dev.knapsack.engine.Load;
import dev.knapsack.engine.PrefixCounts;
import dev.knapsack.generation.Usage;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.os.Footprint;
import dev.knapsack.serve.http.Exchange;
import dev.knapsack.serve.http.Receipt;
import io.prometheus.metrics.core.metrics.Counter;
import io.prometheus.metrics.core.metrics.CounterWithCallback;
import io.prometheus.metrics.core.metrics.GaugeWithCallback;
import io.prometheus.metrics.core.metrics.Histogram;
import io.prometheus.metrics.expositionformats.PrometheusTextFormatWriter;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.DoubleSupplier;
import java.util.function.ToDoubleFunction;
import java.util.function.ToLongFunction;
import java.util.stream.Stream;

/**
 * {@code GET /metrics}: what Prometheus reads. Latencies and tokens have the names, attributes and
 * bounds of OpenTelemetry's conventions for generative models ({@code gen_ai_…}, with underscores
 * for dots and a unit behind), all else begins with {@code knapsack_}.
 */
final class Metrics {
  // Bounds that OpenTelemetry's conventions advise.
  private static final double[] DURATION = {
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92
  };
  private static final double[] FIRST = {
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10
  };
  private static final double[] BETWEEN = {
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5
  };
  private static final double[] TOKENS = {
    1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864
  };

  private static final String PROVIDER = "knapsack";
  private static final String EMBEDDING = "embeddings";
  private static final String RERANKING = "rerank";

  /** Operations that write nothing. */
  private static final Set<String> READING = Set.of(EMBEDDING, RERANKING);

  /** Attributes of requests, as labels. */
  private static final String[] LABELS = {
    "gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "gen_ai_response_model"
  };

  /** Operations of routes; all others answer conversations. */
  private static final Map<String, String> OPERATIONS =
      Map.of(
          "/v1/completions", "text_completion",
          "/api/generate", "text_completion",
          "/v1/embeddings", EMBEDDING,
          "/api/embed", EMBEDDING,
          "/api/embeddings", EMBEDDING,
          "/v1/rerank", RERANKING,
          "/v2/rerank", RERANKING,
          "/rerank", RERANKING);

  private final PrometheusRegistry registry = new PrometheusRegistry();
  private final ServedModels models;
  private final Budget budget;
  private final Counter requests =
      counter(
          "knapsack_requests",
          "Requests by path, status and outcome.",
          "path",
          "status",
          "outcome");
  private final Counter prompt = counter("knapsack_prompt_tokens", "Tokens of prompts.", "model");
  private final Counter cached =
      counter(
          "knapsack_cached_prompt_tokens", "Tokens of prompts that were not computed.", "model");
  private final Counter written =
      counter("knapsack_generated_tokens", "Tokens of answers.", "model");
  private final Histogram duration =
      histogram(
          "gen_ai_server_request_duration_seconds",
          "From a request to the end of its answer.",
          DURATION,
          "error_type");
  private final Histogram first =
      histogram(
          "gen_ai_server_time_to_first_token_seconds", "From a request to its first token.", FIRST);
  private final Histogram perToken =
      histogram(
          "gen_ai_server_time_per_output_token_seconds",
          "Between tokens after the first, on average.",
          BETWEEN);
  private final Histogram usage =
      histogram("gen_ai_client_token_usage", "Tokens of a request.", TOKENS, "gen_ai_token_type");

  Metrics(ServedModels models) {
    this.models = models;
    this.budget = models.budget();
    gauge("knapsack_budget_bytes", "Bytes that may be used.", () -> (double) budget.total());
    gauge(
        "knapsack_resident_bytes",
        "Resident set of the process, as the kernel counts it.",
        () -> (double) Footprint.now().map(Footprint::resident).orElse(0L));
    GaugeWithCallback.builder()
        .name("knapsack_account_bytes")
        .help("Bytes that an account holds, without its parts.")
        .labelNames("account")
        .callback(to -> {
          for (Account account : budget.accounts()) {
            to.call((double) account.own(), account.name());
          }
        })
        .register(registry);
    CounterWithCallback.builder()
        .name("knapsack_ladder_given_back_bytes")
        .help("Bytes that were given back for others, by rung of the ladder.")
        .labelNames("rung")
        .callback(to ->
            budget
                .givenBack()
                .forEach((rung, given) -> to.call((double) given.bytes(), word(rung))))
        .register(registry);
    CounterWithCallback.builder()
        .name("knapsack_ladder_events")
        .help("Times that a rung of the ladder gave something back.")
        .labelNames("rung")
        .callback(to ->
            budget
                .givenBack()
                .forEach((rung, given) -> to.call((double) given.times(), word(rung))))
        .register(registry);
    prefixes();
    gaugeOfModels("knapsack_running", "Answers that have a sequence.", Load::running);
    gaugeOfModels("knapsack_waiting", "Requests that wait for a sequence.", Load::waiting);
    counterOfModels("knapsack_steps", "Steps that were computed.", Load::steps);
    counterOfModels("knapsack_step_seconds", "Seconds that steps took.", Load::seconds);
    counterOfModels("knapsack_step_rows", "Tokens that steps computed.", Load::rows);
    counterOfModels(
        "knapsack_step_answers",
        "Answers that steps computed for: by steps, how many are in one.",
        Load::runs);
  }

  private void prefixes() {
    gaugeOf(
        "knapsack_prefix_bytes", "Bytes of beginnings of prompts in memory.", PrefixCounts::bytes);
    gaugeOf(
        "knapsack_prefix_disk_bytes",
        "Bytes of the folder of beginnings of prompts.",
        PrefixCounts::diskBytes);
    gaugeOf(
        "knapsack_prefix_blocks_written",
        "Blocks written to it since the model was opened.",
        PrefixCounts::written);
    gaugeOf(
        "knapsack_prefix_blocks_read",
        "Blocks read from it since the model was opened.",
        PrefixCounts::read);
  }

  private void gaugeOf(String name, String help, ToLongFunction<PrefixCounts> value) {
    GaugeWithCallback.builder()
        .name(name)
        .help(help)
        .labelNames("model")
        .callback(to ->
            models
                .writers()
                .forEach(m ->
                    to.call(
                        (double) value.applyAsLong(m.knapsack().engine().prefixes()), m.name())))
        .register(registry);
  }

  private static String word(Enum<?> value) {
    return value.name().toLowerCase(Locale.ROOT);
  }

  private Counter counter(String name, String help, String... labels) {
    return Counter.builder().name(name).help(help).labelNames(labels).register(registry);
  }

  private Histogram histogram(String name, String help, double[] bounds, String... more) {
    return Histogram.builder()
        .name(name)
        .help(help)
        .labelNames(Stream.of(LABELS, more).flatMap(Stream::of).toArray(String[]::new))
        .classicOnly()
        .classicUpperBounds(bounds)
        .register(registry);
  }

  private void gauge(String name, String help, DoubleSupplier value) {
    GaugeWithCallback.builder()
        .name(name)
        .help(help)
        .callback(to -> to.call(value.getAsDouble()))
        .register(registry);
  }

  private void gaugeOfModels(String name, String help, ToDoubleFunction<Load> value) {
    GaugeWithCallback.builder()
        .name(name)
        .help(help)
        .labelNames("model")
        .callback(
            to -> models.writers().forEach(m -> to.call(value.applyAsDouble(load(m)), m.name())))
        .register(registry);
  }

  private void counterOfModels(String name, String help, ToDoubleFunction<Load> value) {
    CounterWithCallback.builder()
        .name(name)
        .help(help)
        .labelNames("model")
        .callback(
            to -> models.writers().forEach(m -> to.call(value.applyAsDouble(load(m)), m.name())))
        .register(registry);
  }

  private static Load load(ServedModel model) {
    return model.knapsack().engine().load();
  }

  /** An exchange has ended. */
  void add(Exchange exchange, String route) {
    Receipt receipt = exchange.receipt();
    requests.labelValues(route, String.valueOf(receipt.status()), receipt.outcome()).inc();
    if (receipt.model().isEmpty()) {
      return;
    }
    String model = receipt.model();
    String operation = OPERATIONS.getOrDefault(route, "chat");
    String error = receipt.status() >= 400 ? receipt.outcome() : "";
    duration.labelValues(operation, PROVIDER, model, model, error).observe(receipt.seconds());
    receipt
        .first()
        .ifPresent(read -> {
          prompt.labelValues(model).inc(read.promptTokens());
          cached.labelValues(model).inc(read.cachedTokens());
          usage
              .labelValues(operation, PROVIDER, model, model, "input")
              .observe(read.promptTokens());
        });
    for (Usage answer : READING.contains(operation) ? List.<Usage>of() : receipt.usage()) {
      written.labelValues(model).inc(answer.tokens());
      usage.labelValues(operation, PROVIDER, model, model, "output").observe(answer.tokens());
      if (answer.tokens() > 0) {
        first.labelValues(operation, PROVIDER, model, model).observe(answer.secondsToFirstToken());
      }
      if (answer.tokens() > 1) {
        perToken.labelValues(operation, PROVIDER, model, model).observe(answer.secondsPerToken());
      }
    }
  }

  /** Answers with all of them. */
  void show(Exchange exchange) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try {
      PrometheusTextFormatWriter.create().write(out, registry.scrape());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    exchange.bytes(200, PrometheusTextFormatWriter.CONTENT_TYPE, out.toByteArray());
  }
}

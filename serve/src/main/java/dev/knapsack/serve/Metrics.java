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
import java.util.Locale;
import java.util.function.DoubleSupplier;
import java.util.function.ToDoubleFunction;
import java.util.function.ToLongFunction;

/**
 * {@code GET /metrics}: what Prometheus reads. Latencies and tokens have OpenTelemetry's names for
 * generative models ({@code gen_ai_server_…}), all else begins with {@code knapsack_}.
 */
final class Metrics {
  private static final double[] SECONDS = {
    0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200
  };

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
      histogram("gen_ai_server_request_duration", "From a request to the end of its answer.");
  private final Histogram first =
      histogram("gen_ai_server_time_to_first_token", "From a request to its first token.");
  private final Histogram perToken =
      histogram(
          "gen_ai_server_time_per_output_token", "Between tokens after the first, on average.");

  Metrics(ServedModels models) {
    this.models = models;
    this.budget = models.all().getFirst().knapsack().budget();
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
                .all()
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

  private Histogram histogram(String name, String help) {
    return Histogram.builder()
        .name(name + "_seconds")
        .help(help)
        .labelNames("gen_ai_request_model")
        .classicOnly()
        .classicUpperBounds(SECONDS)
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
        .callback(to -> models.all().forEach(m -> to.call(value.applyAsDouble(load(m)), m.name())))
        .register(registry);
  }

  private void counterOfModels(String name, String help, ToDoubleFunction<Load> value) {
    CounterWithCallback.builder()
        .name(name)
        .help(help)
        .labelNames("model")
        .callback(to -> models.all().forEach(m -> to.call(value.applyAsDouble(load(m)), m.name())))
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
    duration.labelValues(model).observe(receipt.seconds());
    receipt
        .first()
        .ifPresent(usage -> {
          prompt.labelValues(model).inc(usage.promptTokens());
          cached.labelValues(model).inc(usage.cachedTokens());
        });
    for (Usage usage : receipt.usage()) {
      written.labelValues(model).inc(usage.tokens());
      if (usage.tokens() > 0) {
        first.labelValues(model).observe(usage.secondsToFirstToken());
      }
      if (usage.tokens() > 1) {
        perToken.labelValues(model).observe(usage.secondsPerToken());
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

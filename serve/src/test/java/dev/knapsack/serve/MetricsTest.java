package dev.knapsack.serve;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

class MetricsTest {
  private static final String LABELS =
      "gen_ai_operation_name=\"text_completion\",gen_ai_provider_name=\"knapsack\","
          + "gen_ai_request_model=\"notes\",gen_ai_response_model=\"notes\"";

  @Test
  void showsAccountsTokensAndLatenciesInPrometheusForm() {
    try (TestServer server = TestServer.usual()) {
      String body =
          "{'prompt': '%s', 'max_tokens': 5, 'ignore_eos': true}"
              .formatted("The key is here. ".repeat(60));
      int prompt = server.post("/v1/completions", body).at("usage.prompt_tokens").getAsInt();
      server.post("/v1/completions", body);
      server.post("/v1/completions", "{'prompt': 3}");
      server.get("/nothing");
      TestServer.Answer answer = server.get("/metrics");
      assertThat(answer.response().headers().firstValue("Content-Type").orElseThrow())
          .startsWith("text/plain");
      Map<String, Double> values =
          Arrays.stream(answer.body().split("\n"))
              .filter(line -> !line.startsWith("#"))
              .collect(
                  Collectors.toMap(
                      line -> line.substring(0, line.lastIndexOf(' ')),
                      line -> Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1))));
      assertThat(values)
          .containsEntry("knapsack_prompt_tokens_total{model=\"notes\"}", 2.0 * prompt)
          .containsEntry("knapsack_generated_tokens_total{model=\"notes\"}", 10.0)
          .containsEntry("knapsack_budget_bytes", (double) server.budget.total())
          .containsEntry("knapsack_running{model=\"notes\"}", 0.0)
          .containsEntry(
              "gen_ai_server_time_to_first_token_seconds_count{%s}".formatted(LABELS), 2.0)
          .containsEntry(
              "gen_ai_server_time_per_output_token_seconds_count{%s}".formatted(LABELS), 2.0)
          .containsEntry(
              "gen_ai_server_request_duration_seconds_count{error_type=\"\",%s}".formatted(LABELS),
              2.0)
          .containsEntry(
              "gen_ai_client_token_usage_sum{%s,gen_ai_token_type=\"input\"}".formatted(LABELS),
              2.0 * prompt)
          .containsEntry(
              "gen_ai_client_token_usage_sum{%s,gen_ai_token_type=\"output\"}".formatted(LABELS),
              10.0)
          .containsEntry(
              "knapsack_requests_total{outcome=\"max_tokens\",path=\"/v1/completions\",status=\"200\"}",
              2.0)
          .containsEntry(
              "knapsack_requests_total{outcome=\"invalid_value\",path=\"/v1/completions\",status=\"400\"}",
              1.0)
          .containsEntry(
              "knapsack_requests_total{outcome=\"not_found\",path=\"other\",status=\"404\"}", 1.0);
      assertThat(values.get("knapsack_cached_prompt_tokens_total{model=\"notes\"}")).isPositive();
      assertThat(values.get("knapsack_steps_total{model=\"notes\"}")).isGreaterThanOrEqualTo(6);
      double accounts =
          values.entrySet().stream()
              .filter(e -> e.getKey().startsWith("knapsack_account_bytes"))
              .mapToDouble(Map.Entry::getValue)
              .sum();
      assertThat(accounts).isEqualTo(server.budget.used());
      assertThat(values.get("knapsack_resident_bytes")).isPositive();
    }
  }
}

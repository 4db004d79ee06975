package dev.knapsack.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.results.format.ResultFormatType;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.CommandLineOptionException;
import org.openjdk.jmh.runner.options.CommandLineOptions;
import org.openjdk.jmh.runner.options.Options;
import org.openjdk.jmh.runner.options.OptionsBuilder;

/**
 * Kernels alone, by one thread, measured by JMH: matrix products of each format and provider with
 * one token, whose weights come from memory, and with 128 tokens, which share them; attention; the
 * rest of a step.
 *
 * <p>Usage: {@code bench/measure Kernels [PATTERN] [JMH OPTION...]}, such as {@code bench/measure
 * Kernels Product -p format=Q4_0 -f 3}. Prints Markdown tables of what was measured: rates of both
 * providers and their ratios.
 */
public final class Kernels {
  private static final List<String> PROVIDERS = List.of("VECTOR", "X86");

  private Kernels() {}

  public static void main(String[] args)
      throws CommandLineOptionException, RunnerException, IOException {
    Options options =
        new OptionsBuilder()
            .parent(new CommandLineOptions(args))
            .resultFormat(ResultFormatType.JSON)
            .result(Path.of("bench", "target", "kernels.json").toString())
            .build();
    Collection<RunResult> results = new Runner(options).run();
    print("one token, GB/s of weights", rates(results, "ProductBenchmark.oneToken"));
    print("128 tokens, G multiply-adds/s", rates(results, "ProductBenchmark.manyTokens"));
    print("attention, G multiply-adds/s", rates(results, "AttentionBenchmark."));
    print("rest of a step, G numbers/s", rates(results, "StepBenchmark."));
  }

  /** Billions a second, by what was measured and by provider. */
  private static Map<String, Map<String, Double>> rates(
      Collection<RunResult> results, String benchmark) {
    Map<String, Map<String, Double>> rates = new TreeMap<>();
    for (RunResult result : results) {
      String name = result.getParams().getBenchmark();
      if (!name.contains(benchmark)) {
        continue;
      }
      String what = result.getParams().getParam("format");
      if (what == null) {
        what = name.substring(name.lastIndexOf('.') + 1);
      }
      String provider = result.getParams().getParam("provider");
      // An auxiliary counter has the name of its field.
      double rate =
          result.getSecondaryResults().values().stream()
              .mapToDouble(r -> r.getScore())
              .findFirst()
              .orElse(Double.NaN);
      rates.computeIfAbsent(what, _ -> new TreeMap<>()).put(provider, rate / 1e9);
    }
    return rates;
  }

  private static void print(String title, Map<String, Map<String, Double>> rates) {
    if (rates.isEmpty()) {
      return;
    }
    List<String> columns = new ArrayList<>(List.of(title));
    PROVIDERS.forEach(p -> columns.add("`" + p.toLowerCase(Locale.ROOT) + "`"));
    columns.add("ratio");
    System.out.printf("%n| %s |%n%s|%n", String.join(" | ", columns), "|---".repeat(4));
    rates.forEach((what, byProvider) -> {
      double vector = byProvider.getOrDefault("VECTOR", Double.NaN);
      double x86 = byProvider.getOrDefault("X86", Double.NaN);
      System.out.printf(
          Locale.ROOT, "| %s | %.2f | %.2f | %.1f |%n", what, vector, x86, x86 / vector);
    });
  }
}

package dev.knapsack.bench;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.knapsack.memory.Budget;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * The promise: one model under several budgets, each run in a memory cgroup whose limit is the
 * budget.
 *
 * <p>Usage: {@code bench/measure Budgets MODEL [BUDGET...]}. Prints a Markdown table; fails when a
 * run is killed, when its peak resident set exceeds its budget, or when two budgets give different
 * greedy tokens.
 */
public final class Budgets {
  private static final int TOKENS = 32;

  /**
   * Long enough that the context is nearly full: what is planned for is then touched, and counts.
   */
  private static final String PROMPT =
      "The lighthouse keeper counted the ships that came home before the storm, and wrote each name"
          + " in a book. In the morning the harbour was quiet and two of the names had no ship"
          + " beside them.";

  private Budgets() {}

  public static void main(String[] args) throws Exception {
    String model = args[0];
    List<String> budgets =
        args.length > 1
            ? List.of(args).subList(1, args.length)
            : List.of("3GiB", "1GiB", "768MiB", "512MiB", "384MiB");
    System.out.println(
        "| budget | killed | peak resident | predicted | off by | decode, tokens/s | predicted |"
            + " off by | prefill, tokens/s |");
    System.out.println("|---|---|---|---|---|---|---|---|---|");
    List<String> failures = new ArrayList<>();
    JsonArray first = null;
    for (String budget : budgets) {
      try (MemoryCgroup cgroup = MemoryCgroup.create(Budget.parseSize(budget))) {
        JsonObject run = run(cgroup, model, budget);
        long kills = cgroup.kills();
        if (run.isEmpty() || kills > 0) {
          failures.add(budget + ": killed or failed");
          System.out.printf("| %s | yes |%n", budget);
          continue;
        }
        JsonObject measured = run.getAsJsonObject("measured");
        JsonObject predicted = run.getAsJsonObject("predicted");
        double peak = measured.get("peakResidentBytes").getAsDouble();
        double bytes = predicted.get("peakResidentBytes").getAsDouble();
        double decode = measured.get("decodeTokensPerSecond").getAsDouble();
        double expected = predicted.get("decodeTokensPerSecond").getAsDouble();
        System.out.printf(
            Locale.ROOT,
            "| %s | no | %.0f MiB | %.0f MiB | %+.1f %% | %.2f | %.2f | %+.0f %% | %.1f |%n",
            budget,
            peak / (1 << 20),
            bytes / (1 << 20),
            100 * (bytes / peak - 1),
            decode,
            expected,
            100 * (expected / decode - 1),
            measured.get("prefillTokensPerSecond").getAsDouble());
        if (peak > Budget.parseSize(budget)) {
          failures.add(budget + ": peak resident set above the budget");
        }
        JsonArray tokens = run.getAsJsonArray("tokens");
        if (first == null) {
          first = tokens;
        } else if (!first.equals(tokens)) {
          failures.add(budget + ": other tokens than under " + budgets.getFirst());
        }
      }
    }
    failures.forEach(System.err::println);
    System.exit(failures.isEmpty() ? 0 : 1);
  }

  private static JsonObject run(MemoryCgroup cgroup, String model, String budget)
      throws IOException, InterruptedException {
    List<String> command =
        List.of(
            "./knapsack",
            "run",
            model,
            "--memory",
            budget,
            "--ctx",
            "512",
            "--greedy",
            "--raw",
            "-p",
            PROMPT,
            "--max-tokens",
            Integer.toString(TOKENS),
            "--json");
    return JsonCommand.run(cgroup.inside(command), ProcessBuilder.Redirect.INHERIT);
  }
}

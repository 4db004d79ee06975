package dev.knapsack.bench;

import dev.knapsack.GenerationRequest;
import dev.knapsack.Knapsack;
import dev.knapsack.Options;
import dev.knapsack.generation.Constraint;
import dev.knapsack.generation.Sampling;
import dev.knapsack.generation.Usage;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.os.Footprint;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;

/**
 * Tokens a second of an answer that is held to a schema of free text, and of one that is held to
 * nothing, in turns; greedy, and drawn from the whole vocabulary, where every token needs its mask.
 *
 * <p>Usage: {@code bench/measure ConstrainedDecode MODEL [ROUNDS]}; the table has medians, and
 * their ratio.
 */
public final class ConstrainedDecode {
  private static final int TOKENS = 96;
  private static final Constraint TEXT =
      new Constraint.JsonSchema("{\"type\": \"string\", \"minLength\": 10000}");

  private ConstrainedDecode() {}

  public static void main(String[] args) {
    int rounds = args.length > 1 ? Integer.parseInt(args[1]) : 7;
    Options options = Options.usual().withContext(256).withPrefixes(false).withConstraints(true);
    Host host =
        new Host(
            Budget.ofBytes(Footprint.defaultBudget()), Host.Options.usual().withWholeProcess(true));
    System.out.println("| sampling | free, tokens/s | held to a schema, tokens/s | ratio |");
    System.out.println("|---|---|---|---|");
    try (Knapsack knapsack = Knapsack.open(Path.of(args[0]), host, options)) {
      measure(knapsack, "greedy", Sampling.GREEDY, rounds);
      Sampling all = Sampling.DEFAULT.withTemperature(1).withTopK(0).withTopP(1);
      measure(knapsack, "temperature 1", all.withSeed(1), rounds);
    }
  }

  private static void measure(Knapsack knapsack, String name, Sampling sampling, int rounds) {
    double[] free = new double[rounds];
    double[] held = new double[rounds];
    for (int round = -1; round < rounds; round++) { // the first is for the compiler
      double one = rate(knapsack, sampling, Optional.empty());
      double other = rate(knapsack, sampling, Optional.of(TEXT));
      if (round >= 0) {
        free[round] = one;
        held[round] = other;
      }
    }
    System.out.printf(
        Locale.ROOT,
        "| %s | %.2f | %.2f | %.3f |%n",
        name,
        Medians.of(free),
        Medians.of(held),
        Medians.of(held) / Medians.of(free));
  }

  private static double rate(Knapsack knapsack, Sampling sampling, Optional<Constraint> form) {
    GenerationRequest request =
        GenerationRequest.ofText("Once upon a time").withMaxTokens(TOKENS).withSampling(sampling);
    Usage usage =
        knapsack
            .generate(
                form.map(request::withConstraint).orElseGet(() -> request.withIgnoreEnd(true)))
            .result()
            .toCompletableFuture()
            .join()
            .usage();
    return (usage.tokens() - 1) / usage.decodeSeconds();
  }
}

package dev.knapsack.bench;

import dev.knapsack.Knapsack;
import dev.knapsack.Options;
import dev.knapsack.engine.Answer;
import dev.knapsack.engine.Request;
import dev.knapsack.generation.Sampling;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.os.Footprint;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;

/**
 * Answers that are written side by side: tokens a second of all of them, where each is computed as
 * fits and where none may depend on the others ({@code --reproducible}).
 *
 * <p>Usage: {@code bench/measure Together MODEL [SEQUENCES...]}, by default 1, 4 and 16. Every
 * round measures both in turns; the table has the medians of five rounds of 64 tokens each, prompts
 * of 32 tokens and the time of reading them included.
 */
public final class Together {
  private static final int ROUNDS = 5;
  private static final int TOKENS = 64;
  private static final int PROMPT = 32;

  private Together() {}

  public static void main(String[] args) {
    Path model = Path.of(args[0]);
    System.out.println("| answers | as fits, tokens/s | reproducible, tokens/s | ratio |");
    System.out.println("|---|---|---|---|");
    List<Integer> counts = new ArrayList<>();
    for (int i = 1; i < args.length; i++) {
      counts.add(Integer.parseInt(args[i]));
    }
    for (int count : counts.isEmpty() ? List.of(1, 4, 16) : counts) {
      measure(model, count);
    }
  }

  private static void measure(Path model, int count) {
    Options options =
        Options.usual().withContext(PROMPT + TOKENS + 1).withSequences(count).withPrefixes(false);
    double[][] rates = new double[2][ROUNDS];
    Host host =
        new Host(
            Budget.ofBytes(Footprint.defaultBudget()), Host.Options.usual().withWholeProcess(true));
    try (Knapsack knapsack = Knapsack.open(model, host, options)) {
      rate(knapsack, count, false); // the compiler's time is not measured
      rate(knapsack, count, true);
      for (int round = 0; round < ROUNDS; round++) {
        rates[0][round] = rate(knapsack, count, false);
        rates[1][round] = rate(knapsack, count, true);
      }
    }
    double fits = Medians.of(rates[0]);
    double own = Medians.of(rates[1]);
    System.out.printf(Locale.ROOT, "| %d | %.1f | %.1f | %.2f |%n", count, fits, own, own / fits);
  }

  private static double rate(Knapsack knapsack, int count, boolean reproducible) {
    Sampling sampling = Sampling.GREEDY;
    SplittableRandom random = new SplittableRandom(1);
    List<Request> requests = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int[] prompt = random.ints(PROMPT, 0, knapsack.spec().vocabulary()).toArray();
      requests.add(
          Request.of(prompt)
              .withMaxTokens(TOKENS)
              .withIgnoreEnd(true)
              .withSampling(reproducible ? sampling.withSeed(i) : sampling));
    }
    long begin = System.nanoTime();
    List<Answer> answers = requests.stream().map(knapsack.engine()::start).toList();
    List<Thread> takers =
        answers.stream().map(answer -> Thread.ofVirtual().start(answer::text)).toList();
    for (Thread taker : takers) {
      try {
        taker.join();
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
    }
    double seconds = (System.nanoTime() - begin) / 1e9;
    answers.forEach(Answer::close);
    return count * TOKENS / seconds;
  }
}

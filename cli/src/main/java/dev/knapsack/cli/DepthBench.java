package dev.knapsack.cli;

import dev.knapsack.Knapsack;
import dev.knapsack.engine.Answer;
import dev.knapsack.engine.Engine;
import dev.knapsack.engine.Request;
import dev.knapsack.engine.Session;
import dev.knapsack.generation.Sampling;
import dev.knapsack.generation.Usage;
import dev.knapsack.model.Work;
import dev.knapsack.planner.Limits;
import dev.knapsack.planner.StepWork;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.IntConsumer;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;

/**
 * Measures how fast a model reads a prompt and writes an answer after so many tokens that are in
 * its cache already, each time beside what the machine could do at the most that moment.
 *
 * <p>The cache is filled by reading, once, from one depth to the next, or with random numbers; what
 * a measurement adds is forgotten after it.
 *
 * @param prompt tokens that a measurement of reading reads
 * @param decode tokens that a measurement of writing writes
 * @param rounds measurements of which the medians are taken
 * @param random whether the cache is filled with random numbers
 */
record DepthBench(int prompt, int decode, int rounds, boolean random) {
  /** Tokens of context that measuring at this depth takes. */
  int context(int depth) {
    return Math.addExact(depth, Math.max(prompt + 2, decode + 3));
  }

  /** One measurement. */
  private record Round(double prefill, double first, double decode, Limits limits) {}

  /**
   * Medians at one depth.
   *
   * @param depth tokens in the cache
   * @param prefill tokens read per second
   * @param decode tokens written per second
   * @param firstSeconds from asking to the first token, for the prompt
   * @param limits of the machine, in the same rounds
   * @param prefillWork least work of reading a token
   * @param decodeWork least work of writing a token
   * @param prefillShare of the arithmetic's limit that reading reached, from 0 to 1
   * @param decodeShare of the memory's limit that writing reached, from 0 to 1
   */
  record Result(
      int depth,
      double prefill,
      double decode,
      double firstSeconds,
      Limits limits,
      Work prefillWork,
      Work decodeWork,
      double prefillShare,
      double decodeShare) {}

  /**
   * Measures.
   *
   * @param depths in rising order
   * @param filling is told of a depth before the cache is filled to it
   */
  List<Result> measure(Knapsack knapsack, List<Integer> depths, IntConsumer filling) {
    Engine engine = knapsack.engine();
    SplittableRandom numbers = new SplittableRandom(1);
    int[] past = tokens(numbers, engine, depths.getLast());
    engine.limits(); // until the JVM has compiled what measures them
    List<Result> results = new ArrayList<>();
    try (Session session = engine.session()) {
      for (int depth : depths) {
        filling.accept(depth);
        List<Round> measured = new ArrayList<>();
        for (int i = 0; i < rounds; i++) {
          Limits limits = engine.limits();
          Usage read = measure(session, past, depth, tokens(numbers, engine, prompt), 1);
          Usage write = measure(session, past, depth, tokens(numbers, engine, 1), decode + 1);
          measured.add(
              new Round(
                  read.prefillTokensPerSecond(),
                  read.secondsToFirstToken(),
                  write.decodeTokensPerSecond(),
                  limits));
        }
        results.add(result(knapsack, depth, measured));
      }
    }
    return results;
  }

  private static int[] tokens(SplittableRandom random, Engine engine, int count) {
    return random.ints(count, 0, engine.spec().vocabulary()).toArray();
  }

  /** An answer to {@code depth} tokens that are cached, and more that are not. */
  private Usage measure(Session session, int[] past, int depth, int[] more, int answer) {
    int[] cached = Arrays.copyOf(past, depth);
    if (random && depth > 0) {
      session.fill(cached); // each time: a cache that has forgotten some cannot go back
    } else if (depth > 0) {
      answer(session, cached, 1);
    }
    int[] all = IntStream.concat(Arrays.stream(cached), Arrays.stream(more)).toArray();
    Usage usage = answer(session, all, answer);
    if (depth > 0 && usage.cachedTokens() != depth) {
      throw new IllegalStateException(
          "%,d tokens were cached, not %,d".formatted(usage.cachedTokens(), depth));
    }
    return usage;
  }

  private static Usage answer(Session session, int[] tokens, int count) {
    Request request =
        Request.of(tokens).withMaxTokens(count).withSampling(Sampling.GREEDY).withIgnoreEnd(true);
    try (Answer answer = session.start(request)) {
      answer.text();
      return answer.usage();
    }
  }

  private Result result(Knapsack knapsack, int depth, List<Round> measured) {
    StepWork model = knapsack.engine().work();
    Work read = model.prompt(prompt, depth, knapsack.plan().prefillChunk());
    Work readOne = new Work(read.bytes() / prompt, read.multiplyAdds() / prompt);
    Work writeOne = model.step(1, depth + (decode + 1) / 2, true);
    return new Result(
        depth,
        median(measured, Round::prefill),
        median(measured, Round::decode),
        median(measured, Round::first),
        new Limits(
            median(measured, r -> r.limits.memoryBytesPerSecond()),
            median(measured, r -> r.limits.multiplyAddsPerSecond()),
            measured.getFirst().limits.precision()),
        readOne,
        writeOne,
        median(
            measured,
            r -> share(readOne.multiplyAdds() * r.prefill, r.limits.multiplyAddsPerSecond())),
        median(measured, r -> share(writeOne.bytes() * r.decode, r.limits.memoryBytesPerSecond())));
  }

  private static double share(double reached, double limit) {
    return limit > 0 ? reached / limit : 0;
  }

  private static double median(List<Round> rounds, ToDoubleFunction<Round> figure) {
    double[] sorted = rounds.stream().mapToDouble(figure).sorted().toArray();
    int middle = sorted.length / 2;
    return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }
}

package dev.knapsack.planner;

import java.util.Arrays;
import java.util.function.DoubleSupplier;

/**
 * The rate of work that is done again and again: once rounds no longer get faster, what the last of
 * them made on average. On a shared machine the best round is one that nobody disturbed, and
 * predicts too much.
 *
 * @param leastSeconds until then the JVM may still be compiling what is measured, and a steady rate
 *     means nothing
 * @param mostSeconds the longest that is measured
 */
record SteadyRate(double leastSeconds, double mostSeconds) {
  private static final double ROUND_SECONDS = 0.03;

  /** Rounds that there are at least, however little time there is. */
  private static final int LEAST_ROUNDS = 5;

  private static final int STEADY_ROUNDS = 8;

  /** The rate of {@code work} a second, by what each call says it has done. */
  double of(DoubleSupplier work) {
    // What the first call makes and loads is not its rate; it counts where there is time for one
    // more only, which may be disturbed too.
    long first = System.nanoTime();
    double once = once(work);
    if (seconds(first) >= mostSeconds) {
      return Math.max(once, once(work));
    }
    double roundSeconds = Math.min(ROUND_SECONDS, mostSeconds / LEAST_ROUNDS);
    double best = 0;
    int steady = 0;
    double[] last = new double[STEADY_ROUNDS];
    int rounds = 0;
    long start = System.nanoTime();
    do {
      double done = 0;
      long round = System.nanoTime();
      do {
        done += work.getAsDouble();
      } while (seconds(round) < roundSeconds);
      double rate = done / seconds(round);
      steady = rate > 1.03 * best ? 0 : steady + 1;
      best = Math.max(best, rate);
      last[rounds++ % STEADY_ROUNDS] = rate;
    } while ((steady < STEADY_ROUNDS || seconds(start) < leastSeconds)
        && seconds(start) < mostSeconds);
    // Of a few rounds the best is the one that was disturbed least.
    return rounds < STEADY_ROUNDS ? best : Arrays.stream(last).average().orElseThrow();
  }

  private static double once(DoubleSupplier work) {
    long start = System.nanoTime();
    double done = work.getAsDouble();
    return done / seconds(start);
  }

  static double seconds(long since) {
    return (System.nanoTime() - since) * 1e-9;
  }
}

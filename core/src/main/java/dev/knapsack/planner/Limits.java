package dev.knapsack.planner;

import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.Peak;
import dev.knapsack.kernel.WorkerTeam;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.concurrent.atomic.DoubleAdder;
import java.util.concurrent.atomic.LongAdder;

/**
 * The most that all threads together can do, whatever they compute: no model runs faster.
 *
 * @param memoryBytesPerSecond rate of reading weights from where they lie
 * @param multiplyAddsPerSecond rate of the instruction that matrix products are made of, on numbers
 *     that lie in registers
 * @param precision of the activations in those products
 */
public record Limits(
    double memoryBytesPerSecond, double multiplyAddsPerSecond, Compute.Precision precision) {
  private static final SteadyRate RATE = new SteadyRate(0.2, 0.4);

  /** Bytes that one part of the reading takes. */
  private static final long PART = 1 << 20;

  /**
   * Measures them: about half a second each.
   *
   * @param precision of the activations in the products that count
   * @param weights what is read; more than a processor's caches hold, or it is the caches that are
   *     measured
   */
  public static Limits measure(
      Peak peak, WorkerTeam team, Compute.Precision precision, List<Matrix> weights) {
    return new Limits(
        RATE.of(() -> read(team, weights)),
        RATE.of(() -> multiplyAdd(peak, team, precision)),
        precision);
  }

  private static double multiplyAdd(Peak peak, WorkerTeam team, Compute.Precision precision) {
    DoubleAdder done = new DoubleAdder();
    team.run(team.workers() * 8, (part, all, worker) -> done.add(peak.multiplyAddOnes(precision)));
    return done.sum();
  }

  private static double read(WorkerTeam team, List<Matrix> weights) {
    LongAdder sum = new LongAdder();
    double bytes = 0;
    for (Matrix matrix : weights) {
      MemorySegment data = matrix.data();
      long words = data.byteSize() / Long.BYTES;
      int parts = Math.toIntExact(Math.ceilDiv(data.byteSize(), PART));
      team.run(
          parts,
          (part, all, worker) -> sum.add(sum(data, words * part / all, words * (part + 1) / all)));
      bytes += data.byteSize();
    }
    // The compiler must not find out that nobody wants the sum.
    return sum.sum() == Long.MIN_VALUE ? 0 : bytes;
  }

  /** The sum of a range of 64-bit words. */
  static long sum(MemorySegment memory, long from, long to) {
    long a = 0;
    long b = 0;
    long c = 0;
    long d = 0;
    long i = from;
    for (; i + 3 < to; i += 4) {
      a += memory.getAtIndex(ValueLayout.JAVA_LONG_UNALIGNED, i);
      b += memory.getAtIndex(ValueLayout.JAVA_LONG_UNALIGNED, i + 1);
      c += memory.getAtIndex(ValueLayout.JAVA_LONG_UNALIGNED, i + 2);
      d += memory.getAtIndex(ValueLayout.JAVA_LONG_UNALIGNED, i + 3);
    }
    for (; i < to; i++) {
      a += memory.getAtIndex(ValueLayout.JAVA_LONG_UNALIGNED, i);
    }
    return a + b + c + d;
  }
}

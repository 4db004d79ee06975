package dev.knapsack.planner;

import java.util.Map;
import java.util.TreeMap;

/**
 * A machine's speed, as measured with the kernels and the number of threads that will be used.
 *
 * @param processor the processor's own name
 * @param kernels the kernel provider that was measured
 * @param workers threads that were measured together
 * @param memoryBytesPerSecond rate at which all threads together read memory
 * @param diskBytesPerSecond rate of large reads from the disk that holds the model, past the page
 *     cache where it allows that
 * @param attention rates of attention over an F16 cache
 * @param formats rates of matrix products, by the weights' format
 */
public record Machine(
    String processor,
    String kernels,
    int workers,
    double memoryBytesPerSecond,
    double diskBytesPerSecond,
    Rates attention,
    Map<String, Rates> formats) {
  /**
   * Multiply-adds per second of all threads together.
   *
   * @param decode with one token, weights coming from memory
   * @param prefill with many tokens, weights being used for all of them
   */
  public record Rates(double decode, double prefill) {}

  /** A rate of memory that nobody measured. */
  private static final double GUESS = 5e9;

  public Machine {
    if (formats.isEmpty()) {
      throw new IllegalArgumentException("A machine needs the rates of at least one format");
    }
    formats = Map.copyOf(formats);
  }

  /**
   * A slow one, for a budget that has no room to measure with: what such a plan says of bytes
   * counts, and its speeds are guesses.
   *
   * @param format that rates are for
   */
  static Machine unmeasured(String processor, String kernels, int workers, String format) {
    Rates rates = new Rates(1e9, 1e10);
    return new Machine(processor, kernels, workers, GUESS, 2e8, rates, Map.of(format, rates));
  }

  /** Says whether it was measured. */
  public boolean isMeasured() {
    return memoryBytesPerSecond != GUESS;
  }

  /** Rates of this format; of the slowest format known, if this one was not measured. */
  Rates rates(String format) {
    Rates known = formats.get(format);
    if (known != null) {
      return known;
    }
    return new Rates(
        formats.values().stream().mapToDouble(Rates::decode).min().orElseThrow(),
        formats.values().stream().mapToDouble(Rates::prefill).min().orElseThrow());
  }

  /** This machine with memory of another speed: as measured again, on a machine that is shared. */
  public Machine withMemory(double bytesPerSecond) {
    double factor = bytesPerSecond / memoryBytesPerSecond;
    Map<String, Rates> scaled = new TreeMap<>();
    formats.forEach(
        (name, r) -> scaled.put(name, new Rates(r.decode * Math.min(1, factor), r.prefill)));
    return new Machine(
        processor, kernels, workers, bytesPerSecond, diskBytesPerSecond, attention, scaled);
  }

  /** This machine with a disk of another speed, as measured again. */
  Machine withDisk(double bytesPerSecond) {
    return new Machine(
        processor, kernels, workers, memoryBytesPerSecond, bytesPerSecond, attention, formats);
  }
}

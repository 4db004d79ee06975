package dev.knapsack.planner;

import dev.knapsack.os.CommandLine;
import dev.knapsack.os.Footprint;

/**
 * The JVM's share of a budget that bounds a whole process: what is resident now, and what will
 * still become resident.
 *
 * @param resident resident bytes when planning, class archive and libraries included
 * @param heap growth of the Java heap: objects that a run makes
 * @param code compiled code and the compiler's working memory, not yet resident
 * @param other class metadata, thread stacks, buffers: not yet resident
 */
public record JvmShare(long resident, long heap, long code, long other) {
  /**
   * Bytes that compiled code and the compiler's arenas, which come and go, add to what a JVM holds
   * that has started and read a model's header, where {@link #LIMIT} says that one method may take
   * 8 MiB. Over runs of 20,000 tokens: 7 to 11 MiB with vectors of 256 bits, 12 to 18 of 512, and 3
   * more where kernels are loops that the compiler has to find vectors for.
   */
  private static final long LIMITED_CODE = 18L << 20;

  /**
   * Bytes of compiled code and of the compiler's arenas where it has no limit: sooner or later the
   * compiler puts a whole step into each frame above it, which takes 28 to 36 MiB for a moment.
   */
  private static final long UNLIMITED_CODE = 40L << 20;

  /** The flag that the launcher gives. */
  private static final String LIMIT = "-XX:CompileCommand=MemLimit,";

  /**
   * Bytes of the heap that a run fills beyond what planning used, where it may grow so far: the
   * young generation once over, and little that stays.
   */
  private static final long HEAP_GROWTH = 7L << 20;

  /**
   * The same for a server, whose callers fill all that there is, as what outlives a young
   * collection is collected when the heap is full: the largest heap that the launcher gives. A JVM
   * that may have more of the machine's memory, as one without {@code -Xmx}, does not need it.
   */
  private static final long SERVING_HEAP = 256L << 20;

  /**
   * Bytes that one start of a JVM may hold more than another of the same program. Over ten starts
   * each of planning and of running, with three models, the least budget lay within 1.4 to 2.5 MiB,
   * and a run wanted at most 1.9 MiB more than planning alone had said.
   */
  static final long VARIES = 3L << 20;

  /**
   * Bytes that measuring leaves resident: 3 to 4 MiB, and 9 to 12 where the JVM compiles kernels.
   */
  private static final long MEASURING = 5L << 20;

  private static final long MEASURING_LOOPS = 14L << 20;

  private static final long METADATA_GROWTH = 4L << 20;

  /**
   * Bytes of compiled code and of the compiler's arenas that a server adds to those of one run:
   * measured with 16 requests at a time, of all kinds, for as long as it grew.
   */
  private static final long SERVING_CODE = 2L << 20;

  /** The same for classes, connections, and what malloc holds between requests. */
  private static final long SERVING = 8L << 20;

  private static final long STACK = 128L << 10;

  public JvmShare {
    if (resident < 0 || heap < 0 || code < 0 || other < 0) {
      throw new IllegalArgumentException(
          "A share cannot be negative: %,d, %,d, %,d, %,d bytes"
              .formatted(resident, heap, code, other));
    }
  }

  /**
   * The part of a run's share that so few steps do not reach, in bytes: half of what compiling adds
   * comes with the first step, the rest within a hundred. Measured: the peaks of runs of 2 and of
   * 100 tokens differ by 2 to 4 MiB beyond what is leased, those of 100 and of 1000 hardly.
   */
  public static long unreached(int steps) {
    return Math.max(0, LIMITED_CODE / 2 - LIMITED_CODE / 200 * steps);
  }

  /** Bytes by which this share may be larger at another start; none for a guest. */
  long varies() {
    return resident > 0 ? VARIES : 0;
  }

  /**
   * The share once a machine has been measured: what that compiles and loads stays.
   *
   * @param machineCode whether kernels need not be compiled
   */
  public JvmShare withMeasuring(boolean machineCode) {
    long more = machineCode ? MEASURING : MEASURING_LOOPS;
    return resident == 0 ? this : new JvmShare(resident + more, heap, code, other);
  }

  public long bytes() {
    return resident + heap + code + other;
  }

  /**
   * The share of this process, for a budget that bounds all of it: measured now, with what a run
   * adds.
   *
   * @param threads threads that will be started
   * @param leased bytes of what is resident that the budget counts as something else
   * @param serving whether many callers come at once
   */
  public static JvmShare ofThisProcess(int threads, long leased, boolean serving) {
    Runtime runtime = Runtime.getRuntime();
    long usedHeap = runtime.totalMemory() - runtime.freeMemory();
    long resident = Footprint.now().map(Footprint::resident).orElse(usedHeap);
    return new JvmShare(
        Math.max(0, resident - leased),
        Math.clamp(runtime.maxMemory() - usedHeap, 0, serving ? SERVING_HEAP : HEAP_GROWTH),
        compiled() + (serving ? SERVING_CODE : 0),
        METADATA_GROWTH + (serving ? SERVING : 0) + threads * STACK);
  }

  /**
   * The share of a guest in a larger program, whose budget bounds what the guest leases and not the
   * program's own heap: what opening a model adds to the JVM.
   *
   * @param threads threads that will be started
   */
  public static JvmShare ofGuest(int threads) {
    return new JvmShare(0, 0, compiled(), threads * STACK);
  }

  private static long compiled() {
    boolean limited = CommandLine.words().stream().anyMatch(word -> word.startsWith(LIMIT));
    return limited ? LIMITED_CODE : UNLIMITED_CODE;
  }
}

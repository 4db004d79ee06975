package dev.knapsack.os;

import java.util.Optional;
import java.util.OptionalLong;

/**
 * The memory of a process's container, and what of it is the program's own: a Java heap as large as
 * it may become, what is resident beside it, and a margin. In bytes.
 *
 * @param limit of the memory cgroup; what the process holds and the machine has free, if that is
 *     less or there is no limit
 * @param heap the most that the Java heap may become ({@code -Xmx})
 * @param outside the resident set now without the part of the heap that is in use: class metadata,
 *     compiled code, threads, direct buffers, mapped files, the JVM itself; and what of the heap is
 *     resident and not in use, which is counted twice
 * @param margin a tenth of the limit, as in {@link Footprint#defaultBudget}, for what grows later
 */
public record ContainerShare(long limit, long heap, long outside, long margin) {
  /** The share of this process now; empty where the operating system does not say. */
  public static Optional<ContainerShare> now() {
    Optional<Footprint> footprint = Footprint.now();
    OptionalLong available = Footprint.available();
    if (footprint.isEmpty() || available.isEmpty()) {
      return Optional.empty();
    }
    Runtime runtime = Runtime.getRuntime();
    long used = runtime.totalMemory() - runtime.freeMemory();
    long resident = footprint.get().resident();
    return Optional.of(
        of(
            Cgroup.ofThisProcess().flatMap(Cgroup::limit),
            resident + available.getAsLong(),
            runtime.maxMemory(),
            Math.max(0, resident - used)));
  }

  static ContainerShare of(Optional<Long> limit, long machine, long heap, long outside) {
    long most = Math.min(limit.orElse(Long.MAX_VALUE), machine);
    return new ContainerShare(most, heap, outside, Footprint.margin(most));
  }

  /** Bytes that are left for a guest; less than 0 if the program may take more than there is. */
  public long left() {
    return limit - heap - outside - margin;
  }
}

package dev.knapsack.os;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;

/**
 * The machine's memory that this process holds, as the kernel counts it, in bytes.
 *
 * @param resident the resident set
 * @param peak the most that the resident set ever was
 * @param anonymous the part of the resident set that no file backs: heap, stacks, leases
 * @param file the part that maps files: code of the JVM, class archives
 * @param shared the part that is shared memory
 */
public record Footprint(long resident, long peak, long anonymous, long file, long shared) {
  /** The least margin that {@link #defaultBudget} leaves free, unless that is more than half. */
  public static final long LEAST_MARGIN = 64L << 20;

  private static final Path PROC = Path.of("/proc");

  /** The footprint of this process now; empty where the operating system has no {@code /proc}. */
  public static Optional<Footprint> now() {
    return of(PROC.resolve("self/status"));
  }

  static Optional<Footprint> of(Path status) {
    Map<String, Long> fields = kilobytes(status);
    if (!fields.containsKey("VmRSS")) {
      return Optional.empty();
    }
    long resident = fields.get("VmRSS");
    return Optional.of(
        new Footprint(
            resident,
            Math.max(resident, fields.getOrDefault("VmHWM", resident)),
            fields.getOrDefault("RssAnon", 0L),
            fields.getOrDefault("RssFile", 0L),
            fields.getOrDefault("RssShmem", 0L)));
  }

  /**
   * Bytes that the machine could give to a process without swapping; empty where it does not say.
   */
  public static OptionalLong available() {
    return available(PROC.resolve("meminfo"));
  }

  static OptionalLong available(Path meminfo) {
    Long bytes = kilobytes(meminfo).get("MemAvailable");
    return bytes == null ? OptionalLong.empty() : OptionalLong.of(bytes);
  }

  /**
   * The budget of a process whose user named none: the limit of its memory cgroup, or what it holds
   * and the machine has free if that is less, without a margin of a tenth of that (64 MiB at least,
   * half of it at most) for the kernel's own use and for others.
   */
  public static long defaultBudget() {
    long held = now().map(Footprint::resident).orElse(0L);
    OptionalLong free = available();
    long machine =
        free.isPresent() ? held + free.getAsLong() : Runtime.getRuntime().maxMemory() / 2;
    return defaultBudget(Cgroup.ofThisProcess().flatMap(Cgroup::limit), machine);
  }

  static long defaultBudget(Optional<Long> limit, long machine) {
    long most = Math.min(limit.orElse(Long.MAX_VALUE), machine);
    return most - margin(most);
  }

  /** Bytes of so many that are left to the kernel's own use and to others. */
  static long margin(long most) {
    return Math.min(most / 2, Math.max(most / 10, LEAST_MARGIN));
  }

  /** The lines {@code Name: 123 kB} of a file, in bytes. */
  private static Map<String, Long> kilobytes(Path file) {
    Map<String, Long> fields = new TreeMap<>();
    try {
      for (String line : Files.readAllLines(file)) {
        int colon = line.indexOf(':');
        if (colon > 0 && line.endsWith(" kB")) {
          String number = line.substring(colon + 1, line.length() - 3).strip();
          fields.put(line.substring(0, colon), Long.parseLong(number) * 1024);
        }
      }
    } catch (IOException | NumberFormatException notThisSystem) {
      return Map.of();
    }
    return fields;
  }
}

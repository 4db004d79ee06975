package dev.knapsack.os;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

/**
 * The memory cgroup of this process: how many bytes the kernel lets it and its siblings use.
 *
 * <p>Cgroups nest, and the smallest limit on the way up counts. See the kernel's {@code
 * admin-guide/cgroup-v1/memory} and {@code admin-guide/cgroup-v2}.
 *
 * @param version 1 or 2
 * @param directory where the cgroup's files are
 * @param limit bytes, if there is a limit
 * @param usage bytes in use now, page cache included
 */
record Cgroup(int version, Path directory, Optional<Long> limit, long usage) {
  /** Version 1 says "no limit" with the largest multiple of a page that fits 63 bits. */
  private static final long NO_LIMIT = 1L << 60;

  private static final Pattern OCTAL = Pattern.compile("\\\\([0-7]{3})");

  /** A mount of a hierarchy: its place, and which of the cgroups it shows as its top. */
  private record Mount(String root, Path point) {}

  /** The memory cgroup of this process; empty where there is none. */
  static Optional<Cgroup> ofThisProcess() {
    return of(Path.of("/proc/self"), Path.of("/"));
  }

  /**
   * The memory cgroup of a process.
   *
   * @param process its directory under {@code /proc}
   * @param root what mount points are resolved against
   */
  static Optional<Cgroup> of(Path process, Path root) {
    try {
      List<String> mounts = Files.readAllLines(process.resolve("mountinfo"));
      Optional<Cgroup> second = Optional.empty();
      for (String line : Files.readAllLines(process.resolve("cgroup"))) {
        String[] fields = line.split(":", 3); // hierarchy:controllers:path
        if (fields.length < 3) {
          continue;
        }
        if (List.of(fields[1].split(",")).contains("memory")) {
          Optional<Cgroup> first =
              mount(mounts, "cgroup", "memory", root).flatMap(m -> read(1, m, fields[2]));
          if (first.isPresent()) {
            return first;
          }
        } else if (fields[0].equals("0") && fields[1].isEmpty()) {
          second = mount(mounts, "cgroup2", "", root).flatMap(m -> read(2, m, fields[2]));
        }
      }
      return second;
    } catch (IOException notThisSystem) {
      return Optional.empty();
    }
  }

  private static Optional<Mount> mount(
      List<String> mounts, String type, String controller, Path root) {
    for (String line : mounts) {
      // 36 35 98:0 /root /point options [tags...] - type source super-options
      String[] halves = line.split(" - ", 2);
      if (halves.length < 2) {
        continue;
      }
      String[] left = halves[0].split(" ", -1);
      String[] right = halves[1].split(" ", -1);
      if (left.length >= 5
          && right.length >= 3
          && right[0].equals(type)
          && (controller.isEmpty() || List.of(right[2].split(",")).contains(controller))) {
        String point = unescape(left[4]);
        return Optional.of(new Mount(unescape(left[3]), root.resolve(point.substring(1))));
      }
    }
    return Optional.empty();
  }

  private static String unescape(String field) {
    return OCTAL.matcher(field).replaceAll(Cgroup::octal);
  }

  private static String octal(MatchResult m) {
    return java.util.regex.Matcher.quoteReplacement(
        String.valueOf((char) Integer.parseInt(m.group(1), 8)));
  }

  private static Optional<Cgroup> read(int version, Mount mount, String path) {
    String below = path;
    if (!mount.root.equals("/")) {
      below = path.startsWith(mount.root) ? path.substring(mount.root.length()) : "";
    }
    Path top = mount.point.normalize();
    Path leaf = top.resolve(below.replaceFirst("^/+", "")).normalize();
    // A container may name a path of the host that its own mount does not show.
    if (!leaf.startsWith(top) || !Files.isDirectory(leaf)) {
      leaf = top;
    }
    String usageFile = version == 1 ? "memory.usage_in_bytes" : "memory.current";
    Optional<Long> usage = number(leaf.resolve(usageFile));
    Optional<Long> limit = version == 1 ? hierarchicalLimit(leaf) : Optional.empty();
    boolean controlled = usage.isPresent() || limit.isPresent();
    for (Path at = leaf; at != null && at.startsWith(top); at = at.getParent()) {
      if (version == 1) {
        limit = smaller(limit, number(at.resolve("memory.limit_in_bytes")));
      } else {
        limit = smaller(limit, number(at.resolve("memory.max")));
        // Above this one the kernel does not kill, but slows the process down to a crawl.
        limit = smaller(limit, number(at.resolve("memory.high")));
      }
    }
    return controlled || limit.isPresent()
        ? Optional.of(new Cgroup(version, leaf, limit, usage.orElse(0L)))
        : Optional.empty();
  }

  /** Version 1 tells the smallest limit of all ancestors, those outside a container too. */
  private static Optional<Long> hierarchicalLimit(Path leaf) {
    try {
      for (String line : Files.readAllLines(leaf.resolve("memory.stat"))) {
        if (line.startsWith("hierarchical_memory_limit ")) {
          return parse(line.substring(line.indexOf(' ') + 1));
        }
      }
    } catch (IOException absent) {
      return Optional.empty();
    }
    return Optional.empty();
  }

  private static Optional<Long> smaller(Optional<Long> a, Optional<Long> b) {
    return a.isEmpty() ? b : b.isEmpty() ? a : Optional.of(Math.min(a.get(), b.get()));
  }

  private static Optional<Long> number(Path file) {
    try {
      return parse(Files.readString(file));
    } catch (IOException absent) {
      return Optional.empty();
    }
  }

  /** A number of bytes; empty for {@code max} and for what version 1 says in its place. */
  private static Optional<Long> parse(String text) {
    try {
      long value = Long.parseLong(text.strip());
      return value >= NO_LIMIT ? Optional.empty() : Optional.of(value);
    } catch (NumberFormatException max) {
      return Optional.empty();
    }
  }
}

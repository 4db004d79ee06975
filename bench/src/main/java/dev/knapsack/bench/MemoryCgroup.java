package dev.knapsack.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A memory cgroup with a limit, version 1 or 2, in which a command is run. Only root can make one.
 */
final class MemoryCgroup implements AutoCloseable {
  private static final Path V1 = Path.of("/sys/fs/cgroup/memory");
  private static final Path V2 = Path.of("/sys/fs/cgroup");

  private final Path directory;
  private final boolean v2;

  private MemoryCgroup(Path directory, boolean v2) {
    this.directory = directory;
    this.v2 = v2;
  }

  /**
   * Makes a cgroup whose limit is {@code bytes}.
   *
   * @throws IOException if this machine or this user cannot make one
   */
  static MemoryCgroup create(long bytes) throws IOException {
    boolean v2 = Files.exists(V2.resolve("cgroup.controllers"));
    Path directory = (v2 ? V2 : V1).resolve("knapsack-" + ProcessHandle.current().pid());
    Files.createDirectory(directory);
    MemoryCgroup cgroup = new MemoryCgroup(directory, v2);
    try {
      Files.writeString(
          directory.resolve(v2 ? "memory.max" : "memory.limit_in_bytes"), Long.toString(bytes));
    } catch (IOException e) {
      cgroup.close();
      throw e;
    }
    return cgroup;
  }

  /**
   * The command line that runs {@code command} inside this cgroup from its first instruction on.
   */
  List<String> inside(List<String> command) {
    List<String> line =
        new ArrayList<>(
            List.of(
                "sh",
                "-c",
                "echo $$ > \"$0\" && exec \"$@\"",
                directory.resolve("cgroup.procs").toString()));
    line.addAll(command);
    return line;
  }

  /** The number of times that the kernel killed a process because the limit was reached. */
  long kills() throws IOException {
    String events =
        Files.readString(directory.resolve(v2 ? "memory.events" : "memory.oom_control"));
    return events
        .lines()
        .filter(line -> line.startsWith("oom_kill "))
        .mapToLong(line -> Long.parseLong(line.substring("oom_kill ".length()).strip()))
        .sum();
  }

  @Override
  public void close() throws IOException {
    Files.delete(directory);
  }
}

package dev.knapsack.os;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** The words that this process was started with. */
public final class CommandLine {
  private static final Path OWN = Path.of("/proc/self/cmdline");

  private CommandLine() {}

  /**
   * The words after the program's name: the JVM's flags, its main class, and that one's arguments;
   * none where the operating system does not say.
   *
   * <p>Linux is asked itself: {@link ProcessHandle.Info#arguments} says nothing of a command line
   * longer than a page of memory, as one with a long class path is.
   */
  public static List<String> words() {
    return words(OWN);
  }

  static List<String> words(Path file) {
    try {
      List<String> all = List.of(Files.readString(file, StandardCharsets.ISO_8859_1).split("\0"));
      return all.subList(1, all.size());
    } catch (IOException notThisSystem) {
      return ProcessHandle.current().info().arguments().map(List::of).orElse(List.of());
    }
  }
}

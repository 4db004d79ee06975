package dev.knapsack.cli;

import java.nio.file.Path;

/** Where Knapsack keeps files of its own, as the XDG base directory specification says. */
final class Directories {
  private Directories() {}

  /** What can be made again: the embedded model unpacked, the machine's measured speed. */
  static Path cache() {
    return base("XDG_CACHE_HOME", ".cache");
  }

  /** What was downloaded or typed: models, the chat's history. */
  static Path data() {
    return base("XDG_DATA_HOME", ".local/share");
  }

  private static Path base(String variable, String otherwise) {
    String value = System.getenv(variable);
    Path base =
        value != null && !value.isBlank()
            ? Path.of(value)
            : Path.of(System.getProperty("user.home")).resolve(otherwise);
    return base.resolve("knapsack");
  }
}

package dev.knapsack.eval;

import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import java.nio.file.Files;
import java.nio.file.Path;

/** Finds the shared models and texts, as the tests of the other modules do. */
final class Data {
  private Data() {}

  /** A host in this budget; the measured speed of this machine is kept for all tests. */
  static Host host(Budget budget) {
    Path cache = Path.of("target/eval-cache").toAbsolutePath();
    return new Host(budget, Host.Options.usual().withCache(cache));
  }

  /** A file of the shared data; a test is skipped where it is not there, and fails under CI. */
  static Path path(String name) {
    String variable = System.getenv("KNAPSACK_DATA");
    Path root =
        Path.of(
            variable != null ? variable : System.getProperty("knapsack.data", "../../shared/data"));
    Path path = root.resolve(name);
    if (!Files.exists(path)) {
      if (System.getenv("CI") != null) {
        fail("CI needs the shared test data, and " + path + " is not there; set KNAPSACK_DATA");
      }
      assumeTrue(false, "no shared test data at " + path);
    }
    return path;
  }
}

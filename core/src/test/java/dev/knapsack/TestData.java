package dev.knapsack;

import static org.assertj.core.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Finds the shared models, tokenizers and reference vectors: by the system property {@code
 * knapsack.data} or the variable {@code KNAPSACK_DATA}, by default {@code ../shared/data} beside
 * the repository.
 *
 * <p>A test that asks for a folder that is not there is skipped; under CI (variable {@code CI} set)
 * it fails.
 */
public final class TestData {
  private TestData() {}

  /**
   * A folder or file of the shared data, such as {@code quant} or {@code models/stories260K.gguf}.
   */
  public static Path path(String name) {
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

  /** A folder that tests share as all runs on a machine do, where its measured speed is kept. */
  public static Path cache() {
    return Path.of("target/test-cache").toAbsolutePath();
  }

  /** The root of the repository. */
  public static Path repository() {
    return Path.of(System.getProperty("knapsack.root", "..")).normalize();
  }
}

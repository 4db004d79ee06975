package dev.knapsack.bench;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.googlejavaformat.java.Formatter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Every source file is formatted by google-java-format. {@code -Dformat=apply} rewrites the files
 * instead of failing. It is a test because Maven may run on a Java too old for the formatter; tests
 * always run on the JDK that builds.
 */
class FormatTest {
  /** All that have sources. */
  static final List<String> MODULES =
      List.of("core", "eval", "serve", "langchain4j", "cli", "bench");

  @Test
  void sourcesAreFormatted() throws Exception {
    Path root = Path.of(System.getProperty("knapsack.root")).normalize();
    boolean apply = "apply".equals(System.getProperty("format"));
    Formatter formatter = new Formatter();
    List<Path> unformatted = new ArrayList<>();
    for (String module : MODULES) {
      try (Stream<Path> files = Files.walk(root.resolve(module).resolve("src"))) {
        for (Path file : files.filter(f -> f.toString().endsWith(".java")).toList()) {
          String source = Files.readString(file);
          String formatted = formatter.formatSourceAndFixImports(source);
          if (!source.equals(formatted)) {
            unformatted.add(root.relativize(file));
            if (apply) {
              Files.writeString(file, formatted);
            }
          }
        }
      }
    }
    if (!apply) {
      assertThat(unformatted)
          .as(
              "run: mvn test -pl bench -am -Dtest=FormatTest"
                  + " -Dsurefire.failIfNoSpecifiedTests=false -Dformat=apply")
          .isEmpty();
    }
  }
}

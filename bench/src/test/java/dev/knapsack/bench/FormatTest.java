package dev.knapsack.bench;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.googlejavaformat.java.Formatter;
import com.google.googlejavaformat.java.FormatterException;
import java.io.IOException;
import java.io.UncheckedIOException;
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
    List<Path> sources = new ArrayList<>();
    for (String module : MODULES) {
      try (Stream<Path> files = Files.walk(root.resolve(module).resolve("src"))) {
        files.filter(f -> f.toString().endsWith(".java")).forEach(sources::add);
      }
    }
    List<Path> unformatted =
        sources.parallelStream()
            .filter(file -> isUnformatted(file, apply))
            .map(root::relativize)
            .toList();
    if (!apply) {
      assertThat(unformatted)
          .as(
              "run: mvn test -pl bench -am -Dtest=FormatTest"
                  + " -Dsurefire.failIfNoSpecifiedTests=false -Dformat=apply")
          .isEmpty();
    }
  }

  private static boolean isUnformatted(Path file, boolean apply) {
    try {
      String source = Files.readString(file);
      String formatted = new Formatter().formatSourceAndFixImports(source);
      boolean differs = !source.equals(formatted);
      if (differs && apply) {
        Files.writeString(file, formatted);
      }
      return differs;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (FormatterException e) {
      throw new AssertionError(file + " cannot be read", e);
    }
  }
}

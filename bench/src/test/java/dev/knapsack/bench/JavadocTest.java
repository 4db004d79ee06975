package dev.knapsack.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The first sentence of a Javadoc comment names the thing, or says what it does. */
class JavadocTest {
  private static final Pattern QUESTION =
      Pattern.compile("/\\*\\*[\\s*]*(What|How|Where|Whether|When|Which|Who|Whose|Why)\\b[^\n]*");

  @Test
  void javadocDoesNotBeginWithAQuestion() throws Exception {
    Path root = Path.of(System.getProperty("knapsack.root")).normalize();
    List<String> found = new ArrayList<>();
    for (String module : FormatTest.MODULES) {
      Path sources = root.resolve(module).resolve("src/main/java");
      try (Stream<Path> files = Files.walk(sources)) {
        for (Path file : files.filter(f -> f.toString().endsWith(".java")).toList()) {
          String source = Files.readString(file);
          for (Matcher comment = QUESTION.matcher(source); comment.find(); ) {
            long line =
                source.substring(0, comment.start()).chars().filter(c -> c == '\n').count() + 1;
            found.add(root.relativize(file) + ":" + line + ": " + comment.group().strip());
          }
        }
      }
    }
    assertThat(found).as("first sentences that begin with a question word").isEmpty();
  }
}

package dev.knapsack;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.StringWriter;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the README shows to Java users is Java. */
class ReadmeTest {
  private static final Pattern EXAMPLE = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL);

  @TempDir Path classes;

  @Test
  void itsExamplesCompile() throws Exception {
    List<String> examples =
        EXAMPLE
            .matcher(Files.readString(TestData.repository().resolve("README.md")))
            .results()
            .map(example -> example.group(1))
            .toList();
    assertThat(examples).hasSize(4);
    String source =
        """
        import dev.knapsack.Chat;
        import dev.knapsack.Embedder;
        import dev.knapsack.Embedding;
        import dev.knapsack.Generation;
        import dev.knapsack.GenerationRequest;
        import dev.knapsack.Knapsack;
        import dev.knapsack.memory.Budget;
        import dev.knapsack.message.*;
        import java.nio.file.Path;
        import java.util.List;
        import java.util.Optional;

        class Example {
          public static void main(String[] args) {
            %s
          }

          static void answer(Knapsack model) {
            %s
          }

          static void structure(Knapsack model) {
            %s
          }

          static void embed() {
            %s
          }
        }
        """
            .formatted(examples.toArray());
    JavaFileObject file =
        new SimpleJavaFileObject(URI.create("string:///Example.java"), JavaFileObject.Kind.SOURCE) {
          @Override
          public CharSequence getCharContent(boolean ignoreEncodingErrors) {
            return source;
          }
        };
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    StringWriter messages = new StringWriter();
    List<String> options =
        List.of(
            "-classpath",
            System.getProperty("java.class.path"),
            "-d",
            classes.toString(),
            "-proc:none");
    boolean compiled = compiler.getTask(messages, null, null, options, null, List.of(file)).call();
    assertThat(compiled).as(messages.toString()).isTrue();
  }
}

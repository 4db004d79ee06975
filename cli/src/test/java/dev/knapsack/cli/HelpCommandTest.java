package dev.knapsack.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.policy.Method;
import dev.knapsack.cache.policy.Recipe;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Predicate;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HelpCommandTest {
  @TempDir Path home;
  private Shell shell;

  @BeforeEach
  void open() {
    shell = new Shell(home);
  }

  /** What stands in the table's first column can be given to {@code --kv} as it is. */
  @Test
  void everyRecipeIsInTheTableAsItCanBeGiven() {
    List<String> rows =
        shell
            .run("help", "kv")
            .succeeded()
            .out()
            .lines()
            .dropWhile(line -> !line.startsWith("RECIPE"))
            .skip(1)
            .takeWhile(line -> !line.isEmpty())
            .toList();
    assertThat(rows).hasSize(1 + Recipe.PUBLISHED.size());
    assertThat(rows.getFirst()).matches("full +every token +100% +37");
    for (int i = 0; i < Recipe.PUBLISHED.size(); i++) {
      Method method = Recipe.PUBLISHED.get(i);
      String row = rows.get(i + 1);
      assertThat(row).startsWith(method.usual() + " ").endsWith(" " + method.source());
      KvPolicy given = Recipe.of(row.split(" ", 2)[0]);
      if (first().test(method)) {
        assertThat(given).isEqualTo(Recipe.of(method.name()));
      }
    }
    assertThat(row(rows, "snapkv")).contains(" once read ", " 25%     12 ");
    assertThat(row(rows, "duo")).contains(" while read ", " kv.json ");
    assertThat(row(rows, "trim-kv")).contains(" trim-kv.gguf ").doesNotContain("%");
  }

  private static String row(List<String> rows, String recipe) {
    return rows.stream().filter(row -> row.startsWith(recipe + "(")).findFirst().orElseThrow();
  }

  @Test
  void formsAreInTheTableWithWhatTheyLose() {
    assertThat(shell.run("help", "kv").out())
        .containsPattern("\nF16 +0\\.0000")
        .containsPattern("\nQ4_0, rotated, last 64 in F16 +0\\.000839\n");
  }

  /** The page of methods says of each what the table does, and perhaps more. */
  @Test
  void thePageOfPapersAgrees() throws IOException {
    Path page = Path.of(System.getProperty("knapsack.root")).resolve("docs/papers.md");
    List<String> lines = Files.readAllLines(page);
    for (Method method : Recipe.PUBLISHED.stream().filter(first()).toList()) {
      String[] cells =
          lines.stream()
              .filter(line -> line.startsWith("| `" + method.name() + "` |"))
              .map(line -> line.split(" \\| "))
              .findFirst()
              .orElseThrow(() -> new AssertionError(method.name()));
      assertThat(cells[1]).startsWith(method.keeps());
      assertThat(cells[2]).startsWith(method.source());
      switch (method.measured().percent()) {
        case 0 -> assertThat(cells[4]).isEqualTo("not measured");
        case 25 -> assertThat(cells[4] + " ").startsWith(method.measured().right() + " ");
        default -> {
          assertThat(cells[4]).isEqualTo(method.measured().percent() + " %");
          assertThat(cells[5]).isEqualTo(method.measured().right() + "");
        }
      }
    }
  }

  /** Not the other forms of a method that has several. */
  private static Predicate<Method> first() {
    return method ->
        Recipe.PUBLISHED.stream()
                .filter(other -> other.name().equals(method.name()))
                .findFirst()
                .orElseThrow()
            == method;
  }

  @Test
  void commandsHaveTheirOwnHelp() {
    assertThat(shell.run("help", "eval", "kv").succeeded().out())
        .isEqualTo(shell.run("eval", "kv", "--help").succeeded().out())
        .startsWith("Usage: knapsack eval kv");
    assertThat(shell.run("help").succeeded().out()).startsWith("Usage: knapsack ");
    shell.run("help", "rum").failed(2, "There is no command 'rum'.", "The commands are run, serve");
  }

  /** It stands in one line, and the manual page has what it points to. */
  @Test
  void theOptionOfRecipesPointsToTheTable() {
    assertThat(shell.run("plan", "--help").succeeded().out())
        .contains("--kv=RECIPE ", "Tokens that are kept: 'help kv' (default: full).\n");
    assertThat(shell.run("man-page").succeeded().out())
        .contains(".SS knapsack help\n", "\npyramidkv(1024) ");
  }
}

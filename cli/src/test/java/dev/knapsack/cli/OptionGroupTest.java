package dev.knapsack.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;
import picocli.CommandLine.Model.OptionSpec;

class OptionGroupTest {
  @TempDir Path home;

  @ParameterizedTest
  @ValueSource(strings = {"run", "plan", "serve"})
  void helpHasHeadingsAndEveryOptionOnce(String command) {
    String help = new Shell(home).run(command, "--help").succeeded().out();
    assertThat(help)
        .containsSubsequence("\nBudget and plan:\n", "--memory", "\nKV cache:\n", "--kv-format")
        .containsSubsequence("\nComputing:\n", "--threads");
    CommandLine line =
        Main.commandLine(new Environment(StandardStreams.ofThisProcess(), Map.of(), home))
            .getSubcommands()
            .get(command);
    for (OptionSpec option : line.getCommandSpec().options()) {
      assertThat(
              help.lines()
                  .filter(text -> text.matches(" {2,6}(-., )?(--[\\w-]+, )*" + pattern(option))))
          .as(option.longestName())
          .hasSize(1);
    }
  }

  private static String pattern(OptionSpec option) {
    String name = option.longestName();
    return (option.negatable() ? name.replace("--", "--(\\[no-])?") : name) + "([ =,\\[].*)?";
  }
}

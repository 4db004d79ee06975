package dev.knapsack.cli;

import java.util.Iterator;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;

/** {@code knapsack help}: what {@code --help} prints, and a table that is too long for it. */
@Command(
    name = "help",
    description = "Says what a command takes; 'help kv' has the recipes and forms of the KV cache.")
final class HelpCommand implements Callable<Integer> {
  private static final String TABLE = "kv";

  private final Environment environment;
  private final CommandLine all;

  @Parameters(
      paramLabel = "COMMAND",
      arity = "0..*",
      completionCandidates = Tables.class,
      description = "The command, such as run or eval kv, or kv alone (default: all commands).")
  private List<String> words = List.of();

  /**
   * @param all the command with all subcommands
   */
  HelpCommand(Environment environment, CommandLine all) {
    this.environment = environment;
    this.all = all;
  }

  @Override
  public Integer call() {
    if (words.equals(List.of(TABLE))) {
      KvTable.text().forEach(environment.streams().out()::println);
      return 0;
    }
    CommandLine command = all;
    for (String word : words) {
      CommandLine next = command.getSubcommands().get(word);
      if (next == null) {
        throw new ParameterException(
            command, "There is no command '%s'.".formatted(String.join(" ", words)));
      }
      command = next;
    }
    command.usage(environment.streams().out());
    return 0;
  }

  /** Words that follow it beside commands. */
  static final class Tables implements Iterable<String> {
    @Override
    public Iterator<String> iterator() {
      return List.of(TABLE).iterator();
    }
  }
}

package dev.knapsack.cli;

import dev.knapsack.file.ModelStore;
import dev.knapsack.file.StoredModel;
import dev.knapsack.memory.Budget;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** {@code knapsack rm}: deletes models from the local store. */
@Command(
    name = "rm",
    description = "Deletes models from the local store.",
    footer = {"", "  knapsack rm hf:OWNER/REPO"})
final class RemoveCommand implements Callable<Integer> {
  private final Environment environment;

  @Parameters(
      paramLabel = "NAME",
      arity = "1..*",
      description = "Names as 'list' shows them, or a part that means one.")
  private List<String> names = List.of();

  RemoveCommand(Environment environment) {
    this.environment = environment;
  }

  @Override
  public Integer call() throws IOException {
    ModelStore store = environment.store();
    for (String name : names) {
      StoredModel removed = store.remove(name);
      environment
          .streams()
          .err()
          .printf("removed %s (%s)%n", removed.name(), Budget.formatSize(removed.bytes()));
    }
    return 0;
  }
}

package dev.knapsack.cli;

import dev.knapsack.file.ModelStore;
import dev.knapsack.file.StoredModel;
import dev.knapsack.memory.Budget;
import java.time.ZoneId;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;

/** {@code knapsack list}: the models in the local store. */
@Command(
    name = "list",
    description = "Lists the models in the local store: names, bytes, and when they were fetched.",
    footer = {
      "",
      "The store is $KNAPSACK_MODELS, or else knapsack/models in $XDG_DATA_HOME or ~/.local/share.",
    })
final class ListCommand implements Callable<Integer> {
  private final Environment environment;

  ListCommand(Environment environment) {
    this.environment = environment;
  }

  @Override
  public Integer call() {
    ModelStore store = environment.store();
    List<StoredModel> models = store.list();
    for (StoredModel model : models) {
      environment
          .streams()
          .out()
          .printf(
              "%-64s %10s  %s%n",
              model.name(),
              Budget.formatSize(model.bytes()),
              model.fetched().atZone(ZoneId.systemDefault()).toLocalDate());
    }
    if (models.isEmpty()) {
      environment
          .streams()
          .err()
          .println(
              "No models in "
                  + store.settings().directory()
                  + " yet. Fetch one: knapsack pull hf:OWNER/REPO");
    }
    return 0;
  }
}

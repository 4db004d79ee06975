package dev.knapsack.cli;

import dev.knapsack.file.ModelStore;
import dev.knapsack.file.StoreSettings;
import dev.knapsack.file.StoredModel;
import dev.knapsack.plan.PlanTable;
import java.time.ZoneId;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;

/** {@code knapsack list}: the models in the local store. */
@Command(name = "list", description = "Lists the models in the local store.")
final class ListCommand implements Callable<Integer> {
  @Override
  public Integer call() {
    ModelStore store = new ModelStore(StoreSettings.fromEnvironment());
    List<StoredModel> models = store.list();
    for (StoredModel model : models) {
      System.out.printf(
          "%-64s %10s  %s%n",
          model.name(),
          PlanTable.size(model.bytes()),
          model.fetched().atZone(ZoneId.systemDefault()).toLocalDate());
    }
    if (models.isEmpty()) {
      System.err.println(
          "No models in "
              + store.settings().directory()
              + " yet. Fetch one: knapsack pull hf:OWNER/REPO");
    }
    return 0;
  }
}

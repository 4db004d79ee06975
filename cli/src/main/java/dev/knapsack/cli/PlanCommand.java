package dev.knapsack.cli;

import dev.knapsack.plan.Plan;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * {@code knapsack plan}: what gets which bytes, and what speed to expect, before anything is
 * loaded.
 */
@Command(
    name = "plan",
    sortOptions = false,
    description =
        "Says what fits a budget: bytes by account, choices and their alternatives, the speed to"
            + " expect. Reads the header alone.",
    footer = {
      "",
      "Exits with 3 when nothing fits, and says how many bytes are missing and what would fit.",
      "",
      "  knapsack plan model.gguf --memory 1GiB --ctx 8192",
      "  knapsack plan model.gguf --memory 1GiB --save plan.json",
      "  knapsack run model.gguf --plan plan.json",
    })
final class PlanCommand implements Callable<Integer> {
  private final Environment environment;
  @Mixin private final ModelArgument model;
  @Mixin private final EngineOptions engine;

  @Option(names = "--json", description = "Print the plan as JSON.")
  private boolean json;

  @Option(
      names = "--save",
      paramLabel = "FILE",
      description = "Write the plan to a file, for 'run --plan FILE'; it may be edited.")
  private @Nullable Path save;

  PlanCommand(Environment environment) {
    this.environment = environment;
    this.model = new ModelArgument(environment);
    this.engine = new EngineOptions(environment);
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    Plan plan = engine.plan(engine.path(model));
    if (save != null) {
      Files.writeString(save, plan.toJson());
    }
    environment.streams().out().print(json ? plan.toJson() : plan.toString());
    return 0;
  }
}

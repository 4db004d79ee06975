package dev.knapsack.cli;

import dev.knapsack.file.ModelStore;
import dev.knapsack.file.StoreSettings;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code knapsack pull}: fetches a model into the local store. */
@Command(
    name = "pull",
    description =
        "Fetches a model into the local store; a broken download goes on where it stopped.",
    footer = {
      "",
      "HF_TOKEN is sent to the hub for models that need it; HF_ENDPOINT names another hub.",
    })
final class PullCommand implements Callable<Integer> {
  @Parameters(
      paramLabel = "ADDRESS",
      description = "hf:OWNER/REPO, hf:OWNER/REPO:FILE, or an https: address.")
  private String address = "";

  @Option(names = "--sha256", paramLabel = "HEX", description = "What the file's SHA-256 must be.")
  private @Nullable String sha256;

  @Override
  public Integer call() throws InterruptedException {
    ModelStore store = new ModelStore(StoreSettings.fromEnvironment());
    System.out.println(ModelArgument.pull(store, address, Optional.ofNullable(sha256)));
    return 0;
  }
}

package dev.knapsack.cli;

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
      "The path of the model goes to standard output. Of several files of a repository the usual"
          + " one is taken; FILE says which: a file's name, or its label, such as Q4_K_M. Of a"
          + " model in several files all are fetched, whichever is named.",
      "HF_TOKEN is sent to the hub for models that need it; HF_ENDPOINT names another hub;"
          + " KNAPSACK_MODELS names another store.",
      "",
      "  knapsack pull hf:OWNER/REPO:Q4_0",
      "  knapsack run hf:OWNER/REPO:Q4_0             does the same, then chats",
    })
final class PullCommand implements Callable<Integer> {
  private final Environment environment;

  @Parameters(
      paramLabel = "ADDRESS",
      description = "hf:OWNER/REPO, hf:OWNER/REPO:FILE, or an https: address.")
  private String address = "";

  @Option(
      names = "--sha256",
      paramLabel = "HEX",
      description = "What the file's SHA-256 must be, also of one that is here.")
  private @Nullable String sha256;

  PullCommand(Environment environment) {
    this.environment = environment;
  }

  @Override
  public Integer call() throws InterruptedException {
    environment
        .streams()
        .out()
        .println(ModelArgument.pull(environment, address, Optional.ofNullable(sha256)));
    return 0;
  }
}

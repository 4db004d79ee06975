package dev.knapsack.cli;

import picocli.CommandLine;
import picocli.CommandLine.Command;

/** {@code knapsack eval}: what a choice costs in quality. */
@Command(
    name = "eval",
    sortOptions = false,
    synopsisSubcommandLabel = "MEASUREMENT",
    description = "Measures quality: perplexity, and what recipes and forms of the KV cache cost.",
    footer = {
      "",
      "  knapsack eval perplexity model.gguf text.txt",
      "  knapsack eval kv --recipes 'snapkv;streaming' --budgets 25%%",
      "  knapsack eval kv-formats",
    })
final class EvalCommand {
  private EvalCommand() {}

  /** The command with its measurements. */
  static CommandLine commandLine(Environment environment) {
    return new CommandLine(new EvalCommand())
        .addSubcommand(new EvalPerplexityCommand(environment))
        .addSubcommand(new EvalKvCommand(environment))
        .addSubcommand(new EvalKvFormatsCommand(environment));
  }
}

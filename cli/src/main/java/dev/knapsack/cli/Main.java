package dev.knapsack.cli;

import dev.knapsack.file.ModelFileException;
import dev.knapsack.memory.BudgetExceededException;
import dev.knapsack.plan.PlanDoesNotFitException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ScopeType;

/** The {@code knapsack} command. */
@Command(
    name = "knapsack",
    version = "knapsack 0.1.0",
    mixinStandardHelpOptions = true,
    scope = ScopeType.INHERIT,
    description = "Runs language models inside one memory budget that you name.",
    synopsisSubcommandLabel = "COMMAND",
    subcommands = {
      RunCommand.class,
      PlanCommand.class,
      InspectCommand.class,
      TokenizeCommand.class,
      LogitsCommand.class,
      BenchCommand.class,
      SynthCommand.class,
      QuantizeCommand.class,
      PullCommand.class,
      ListCommand.class,
      RemoveCommand.class,
    },
    sortOptions = false,
    usageHelpAutoWidth = true,
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {
      "0:done",
      "1:an error that Knapsack did not expect",
      "2:the command line is wrong",
      "3:the model does not fit the budget; nothing was loaded",
      "4:a file cannot be used: missing, damaged, or of a kind that is not supported",
      "5:a download failed",
      "130:interrupted",
    })
public final class Main {
  static final int DOES_NOT_FIT = 3;
  static final int BAD_FILE = 4;
  static final int DOWNLOAD_FAILED = 5;
  static final int INTERRUPTED = 130;

  private Main() {}

  public static void main(String[] args) {
    System.exit(commandLine().execute(args));
  }

  static CommandLine commandLine() {
    return new CommandLine(new Main())
        .setOut(new PrintWriter(System.out, true, StandardCharsets.UTF_8))
        .setErr(new PrintWriter(System.err, true, StandardCharsets.UTF_8))
        .setCaseInsensitiveEnumValuesAllowed(true)
        .setExecutionExceptionHandler((e, command, parsed) -> report(e, command));
  }

  /** Says what went wrong in one paragraph; a stack trace only for what nobody expected. */
  private static int report(Exception e, CommandLine command) {
    PrintWriter err = command.getErr();
    int code = exitCode(e);
    if (code == 1) {
      e.printStackTrace(err);
    } else {
      String message = e.getMessage();
      err.println("knapsack: " + (message == null ? e.toString() : message));
    }
    err.flush();
    return code;
  }

  private static int exitCode(Exception e) {
    return switch (e) {
      case PlanDoesNotFitException _, BudgetExceededException _ -> DOES_NOT_FIT;
      case ModelFileException _, NoSuchModelException _, java.nio.file.FileSystemException _ ->
          BAD_FILE;
      case dev.knapsack.file.DownloadException _ -> DOWNLOAD_FAILED;
      case IllegalArgumentException _ -> CommandLine.ExitCode.USAGE;
      case InterruptedException _ -> INTERRUPTED;
      default -> CommandLine.ExitCode.SOFTWARE;
    };
  }
}

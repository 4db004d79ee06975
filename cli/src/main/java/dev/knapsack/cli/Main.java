package dev.knapsack.cli;

import dev.knapsack.error.KnapsackException;
import dev.knapsack.error.TemplateException;
import dev.knapsack.error.UnsupportedFormatException;
import dev.knapsack.eval.CacheForm;
import dev.knapsack.memory.Budget;
import dev.knapsack.plan.KvChoice;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import picocli.AutoComplete;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.UsageMessageSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.TypeConversionException;
import picocli.CommandLine.UnmatchedArgumentException;

/** The {@code knapsack} command. */
@Command(
    name = "knapsack",
    version = "knapsack 0.1.0",
    mixinStandardHelpOptions = true,
    scope = ScopeType.INHERIT,
    description = "Runs language models inside one memory budget that you name.",
    synopsisSubcommandLabel = "COMMAND",
    sortOptions = false,
    usageHelpAutoWidth = true,
    abbreviateSynopsis = true,
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {
      "0:done",
      "1:an error that Knapsack did not expect",
      "2:the command line is wrong",
      "3:the model does not fit the budget; nothing was loaded",
      "4:a file cannot be used: missing, damaged, of a kind that is not supported, or not to be"
          + " written",
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
    System.exit(run(Environment.ofThisProcess(), args));
  }

  /**
   * Runs one command.
   *
   * @return the exit code
   */
  static int run(Environment environment, String... args) {
    StandardStreams streams = environment.streams();
    try {
      int code = commandLine(environment).execute(args);
      String lost = code == 0 ? streams.lostOutput() : null;
      if (lost == null) {
        return code;
      }
      streams.err().println("knapsack: standard output cannot be written: " + lost);
      return BAD_FILE;
    } finally {
      streams.out().flush();
      streams.err().flush();
    }
  }

  /** The command with all that can follow it. */
  static CommandLine commandLine(Environment environment) {
    CommandLine line = new CommandLine(new Main());
    List.of(
            new RunCommand(environment),
            new ServeCommand(environment),
            new BatchCommand(environment),
            new EmbedCommand(environment),
            new RerankCommand(environment),
            new PlanCommand(environment),
            new InspectCommand(environment),
            new TokenizeCommand(environment),
            new LogitsCommand(environment),
            new BenchCommand(environment),
            new SynthCommand(environment),
            new QuantizeCommand(environment),
            new CalibrateCommand(environment),
            new PullCommand(environment),
            new ListCommand(environment),
            new RemoveCommand(environment),
            new SessionsCommand(environment))
        .forEach(line::addSubcommand);
    line.addSubcommand(EvalCommand.commandLine(environment));
    line.addSubcommand(new HelpCommand(environment, line));
    line.addSubcommand(new ManPageCommand(environment, line));
    CommandLine completion = new CommandLine(new AutoComplete.GenerateCompletion());
    completion.getCommandSpec().usageMessage().hidden(true);
    line.addSubcommand(completion);
    groupOptions(line);
    return line.setOut(writer(environment.streams().out()))
        .setErr(writer(environment.streams().err()))
        .registerConverter(Budget.class, said(Budget::of))
        .registerConverter(CacheForm.class, said(CacheForm::of))
        .registerConverter(Format.class, said(Formats::byName))
        .registerConverter(KvChoice.class, said(KvChoice::parse))
        .registerConverter(KvRecipe.class, said(KvRecipe::of))
        .setCaseInsensitiveEnumValuesAllowed(true)
        .setHelpSectionKeys(helpSections(line.getHelpSectionKeys()))
        .setParameterExceptionHandler((e, _) -> reportUsage(e))
        .setExecutionExceptionHandler((e, command, _) -> report(e, command.getErr()));
  }

  private static PrintWriter writer(PrintStream stream) {
    return new PrintWriter(stream, true, stream.charset());
  }

  private static void groupOptions(CommandLine command) {
    command.getHelpSectionMap().put(UsageMessageSpec.SECTION_KEY_OPTION_LIST, OptionGroup::list);
    command.getSubcommands().values().forEach(Main::groupOptions);
  }

  /** Examples first, exit codes last. */
  private static List<String> helpSections(List<String> usual) {
    List<String> sections = new ArrayList<>(usual);
    List<String> codes =
        List.of(
            UsageMessageSpec.SECTION_KEY_EXIT_CODE_LIST_HEADING,
            UsageMessageSpec.SECTION_KEY_EXIT_CODE_LIST);
    sections.removeAll(codes);
    sections.addAll(codes);
    return sections;
  }

  /** A conversion whose own words say why a value is none. */
  private static <T> ITypeConverter<T> said(ITypeConverter<T> conversion) {
    return value -> {
      try {
        return conversion.convert(value);
      } catch (IllegalArgumentException | UnsupportedFormatException e) {
        throw new TypeConversionException(e.getMessage());
      }
    };
  }

  private static int reportUsage(ParameterException e) {
    PrintWriter err = e.getCommandLine().getErr();
    err.println("knapsack: " + e.getMessage());
    UnmatchedArgumentException.printSuggestions(e, err);
    CommandLine line = e.getCommandLine();
    String command = line.getCommandSpec().qualifiedName();
    err.println(
        line.getSubcommands().isEmpty()
            ? "'%s --help' says what can be given.".formatted(command)
            : "The commands are %s; '%s --help' says what they do."
                .formatted(String.join(", ", shown(line)), command));
    return CommandLine.ExitCode.USAGE;
  }

  /** The names of commands that are for people. */
  private static List<String> shown(CommandLine line) {
    return line.getSubcommands().values().stream()
        .filter(command -> !command.getCommandSpec().usageMessage().hidden())
        .map(CommandLine::getCommandName)
        .toList();
  }

  /** Says what went wrong in one paragraph; a stack trace only for what nobody expected. */
  private static int report(Exception thrown, PrintWriter err) {
    Exception e =
        thrown instanceof UncheckedIOException unchecked
            ? Objects.requireNonNull(unchecked.getCause())
            : thrown;
    int code = exitCode(e);
    if (code == CommandLine.ExitCode.SOFTWARE) {
      thrown.printStackTrace(err);
    } else {
      err.println("knapsack: " + message(e));
    }
    return code;
  }

  private static int exitCode(Exception e) {
    return switch (e) {
      case KnapsackException ours ->
          switch (ours.kind()) {
            case MEMORY -> DOES_NOT_FIT;
            case FILE -> BAD_FILE;
            case DOWNLOAD -> DOWNLOAD_FAILED;
            case REQUEST -> CommandLine.ExitCode.USAGE;
            case INTERRUPTED -> INTERRUPTED;
            case BUSY, CLOSED -> CommandLine.ExitCode.SOFTWARE;
          };
      case IOException _ -> BAD_FILE;
      case IllegalArgumentException _ -> CommandLine.ExitCode.USAGE;
      case InterruptedException _ -> INTERRUPTED;
      default -> CommandLine.ExitCode.SOFTWARE;
    };
  }

  private static String message(Exception e) {
    return switch (e) {
      // Of these the message is the path alone.
      case NoSuchFileException missing -> missing.getFile() + ": there is no such file or folder";
      case AccessDeniedException denied -> denied.getFile() + ": access is denied";
      case FileAlreadyExistsException there -> there.getFile() + ": is there already";
      case FileSystemException other when other.getReason() == null ->
          other.getFile() + ": cannot be used (" + other.getClass().getSimpleName() + ")";
      case InterruptedException _ -> "interrupted";
      case TemplateException _ -> e.getMessage() + "\n--raw takes a prompt without a template.";
      default -> e.getMessage() == null ? e.toString() : e.getMessage();
    };
  }
}

package dev.knapsack.cli;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.UsageMessageSpec;

/** {@code knapsack man-page}: all commands and options as a manual page, for packages. */
@Command(
    name = "man-page",
    hidden = true,
    description = "Prints the manual page, as 'man' reads it.")
final class ManPageCommand implements Runnable {
  private final Environment environment;
  private final CommandLine line;

  /**
   * @param line the command with all subcommands
   */
  ManPageCommand(Environment environment, CommandLine line) {
    this.environment = environment;
    this.line = line;
  }

  @Override
  public void run() {
    CommandSpec spec = line.getCommandSpec();
    StringBuilder page = new StringBuilder();
    page.append(".TH KNAPSACK 1 \"\" \"").append(spec.version()[0]).append("\"\n");
    page.append(".SH NAME\nknapsack \\- language models inside one memory budget\n");
    page.append(".SH SYNOPSIS\n.B knapsack\nCOMMAND [OPTION]... [ARGUMENT]...\n");
    page.append(".SH DESCRIPTION\n");
    paragraph(page, spec.usageMessage().description());
    page.append(".SH COMMANDS\n");
    commands(page, line, "knapsack");
    page.append(".SH THE KV CACHE\n.nf\n");
    KvTable.text().forEach(text -> page.append(line(text)).append('\n'));
    page.append(".fi\n");
    page.append(".SH EXIT STATUS\n");
    spec.usageMessage()
        .exitCodeList()
        .forEach((code, meaning) -> entry(page, "\\fB" + code + "\\fR", meaning));
    environment.streams().out().print(page);
  }

  private static void commands(StringBuilder page, CommandLine of, String name) {
    for (CommandLine command : of.getSubcommands().values()) {
      UsageMessageSpec usage = command.getCommandSpec().usageMessage();
      if (usage.hidden()) {
        continue;
      }
      String full = name + " " + command.getCommandName();
      page.append(".SS ").append(text(full)).append('\n');
      paragraph(page, usage.description());
      command
          .getCommandSpec()
          .positionalParameters()
          .forEach(p -> entry(page, "\\fI" + text(p.paramLabel()) + "\\fR", p.description()));
      command.getCommandSpec().options().stream()
          .filter(option -> !option.inherited() && !option.hidden())
          .forEach(option -> entry(page, names(option), option.description()));
      if (usage.footer().length > 0) {
        page.append(".PP\n.nf\n");
        Stream.of(usage.footer()).forEach(text -> page.append(line(plain(text))).append('\n'));
        page.append(".fi\n");
      }
      commands(page, command, full);
    }
  }

  private static String names(OptionSpec option) {
    String names =
        Arrays.stream(option.names())
            .map(name -> "\\fB" + text(name) + "\\fR")
            .collect(Collectors.joining(", "));
    return option.arity().max() == 0 ? names : names + " \\fI" + text(option.paramLabel()) + "\\fR";
  }

  private static void entry(StringBuilder page, String term, String... description) {
    page.append(".TP\n").append(term).append('\n');
    description(page, description);
  }

  private static void paragraph(StringBuilder page, String... description) {
    page.append(".PP\n");
    description(page, description);
  }

  private static void description(StringBuilder page, String... description) {
    List<String> lines = Stream.of(description).flatMap(text -> plain(text).lines()).toList();
    lines.forEach(text -> page.append(line(text)).append('\n'));
  }

  /** A description as it is shown: in picocli it is a format. */
  private static String plain(String format) {
    return format.replace("%n", "\n").replace("%%", "%");
  }

  /** A line of text: one that begins like a request is none. */
  private static String line(String text) {
    String escaped = text(text);
    return escaped.startsWith(".") || escaped.startsWith("'") ? "\\&" + escaped : escaped;
  }

  private static String text(String text) {
    return text.replace("\\", "\\e").replace("-", "\\-");
  }
}

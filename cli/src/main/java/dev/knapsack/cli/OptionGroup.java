package dev.knapsack.cli;

import java.lang.reflect.Member;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import picocli.CommandLine.Help;
import picocli.CommandLine.Help.IParamLabelRenderer;
import picocli.CommandLine.Help.Layout;
import picocli.CommandLine.Model.OptionSpec;

/** A group of options under one heading in a command's help; a command's own come first. */
enum OptionGroup {
  OWN(""),
  FORM("Form of the answer:"),
  TOKENS("Choice of tokens:"),
  PLAN("Budget and plan:"),
  CACHE("KV cache:"),
  COMPUTING("Computing:");

  private static final Set<String> PLANNED =
      Set.of("--memory", "--context", "--sequences", "--plan");
  private static final Set<String> CACHED =
      Set.of("--no-prefix-cache", "--cache-dir", "--cache-disk");

  private final String heading;

  OptionGroup(String heading) {
    this.heading = heading;
  }

  /** The options of a command, group by group. */
  static String list(Help help) {
    List<OptionSpec> options =
        help.commandSpec().options().stream().filter(option -> !option.hidden()).toList();
    return Arrays.stream(values())
        .map(group -> group.list(help, options))
        .collect(Collectors.joining());
  }

  private String list(Help help, List<OptionSpec> all) {
    List<OptionSpec> options = all.stream().filter(option -> of(option) == this).toList();
    if (options.isEmpty()) {
      return "";
    }
    Layout layout = help.createDefaultLayout();
    IParamLabelRenderer labels = help.parameterLabelRenderer();
    options.forEach(option -> layout.addOption(option, labels));
    String above = heading.isEmpty() ? "" : "%n%s%n".formatted(heading);
    return above + layout;
  }

  private static OptionGroup of(OptionSpec option) {
    if (!(option.userObject() instanceof Member member)) {
      return OWN;
    }
    Class<?> owner = member.getDeclaringClass();
    if (owner == ConstraintOptions.class) {
      return FORM;
    }
    if (owner == SamplingOptions.class) {
      return TOKENS;
    }
    if (owner != EngineOptions.class) {
      return OWN;
    }
    String name = option.longestName();
    if (PLANNED.contains(name)) {
      return PLAN;
    }
    return name.startsWith("--kv") || CACHED.contains(name) ? CACHE : COMPUTING;
  }
}

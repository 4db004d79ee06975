package dev.knapsack.cli;

import dev.knapsack.memory.Budget;
import java.io.IOException;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code knapsack sessions}: the chats that have names. */
@Command(
    name = "sessions",
    description = "Lists the chats that 'run --session NAME' keeps, or removes some.",
    footer = {
      "",
      "What was said is kept in knapsack/sessions in $XDG_DATA_HOME or ~/.local/share; what the",
      "model had cached of it in knapsack/sessions in $XDG_CACHE_HOME or ~/.cache. All caches",
      "together have at most 4 GiB, or $KNAPSACK_SESSIONS_MAX: those that were used longest ago",
      "are deleted first, and such a chat is read again when it goes on.",
    })
final class SessionsCommand implements Callable<Integer> {
  private final Environment environment;

  @Option(
      names = "--remove",
      paramLabel = "NAME",
      arity = "1..*",
      description = "Remove these chats, and what was cached of them.")
  private List<String> removed = new ArrayList<>();

  SessionsCommand(Environment environment) {
    this.environment = environment;
  }

  @Override
  public Integer call() throws IOException {
    SavedChats chats = new SavedChats(environment);
    return removed.isEmpty() ? list(chats) : remove(chats);
  }

  private int remove(SavedChats chats) throws IOException {
    List<String> missing = new ArrayList<>();
    for (String name : removed) {
      if (chats.remove(name)) {
        environment.streams().err().println("removed " + name);
      } else {
        missing.add(name);
      }
    }
    if (!missing.isEmpty()) {
      throw new UnusableFileException(
          "There is no session '%s' in %s; 'knapsack sessions' shows those that are."
              .formatted(String.join("' or '", missing), chats.directory()));
    }
    return 0;
  }

  private int list(SavedChats chats) throws IOException {
    SavedChats.Listing all = chats.list();
    for (SavedChats.Entry chat : all.chats()) {
      environment
          .streams()
          .out()
          .printf(
              "%-32s %6d messages %10s cached  %s%n",
              chat.name(),
              chat.messages(),
              Budget.formatSize(chat.cached()),
              chat.used().atZone(ZoneId.systemDefault()).toLocalDate());
    }
    for (SavedChats.Other other : all.others()) {
      environment
          .streams()
          .out()
          .printf("%s (%s): %s%n", other.file(), Budget.formatSize(other.bytes()), other.problem());
    }
    if (all.chats().isEmpty()) {
      environment
          .streams()
          .err()
          .println("No sessions yet. Begin one: knapsack run MODEL --session NAME");
    }
    return 0;
  }
}

package dev.knapsack.cli;

import dev.knapsack.Chat;
import dev.knapsack.Knapsack;
import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.error.CacheFileException;
import dev.knapsack.error.CacheFileException.Problem;
import dev.knapsack.error.CacheNotSavedException;
import dev.knapsack.error.QueueFullException;
import dev.knapsack.memory.Budget;
import dev.knapsack.message.Conversation;
import dev.knapsack.message.Message;
import dev.knapsack.message.Role;
import dev.knapsack.message.Tool;
import java.io.IOException;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A chat that has a name: it goes on where it was left, and is left so that it can go on. */
final class NamedChat {
  private final String name;
  private final SavedChats saved;
  private final PrintStream notes;

  /**
   * @param notes is told what was taken up, what could not be, and what was saved
   */
  NamedChat(String name, SavedChats saved, PrintStream notes) {
    this.name = name;
    this.saved = saved;
    this.notes = notes;
  }

  /**
   * The chat, as it was left.
   *
   * @param system replaces the instructions that it began with, if given
   */
  Chat open(Knapsack knapsack, @Nullable String system, List<Tool> tools) throws IOException {
    List<Message> said = new ArrayList<>(saved.read(name));
    if (system != null) {
      said.removeIf(message -> message.role() == Role.SYSTEM);
      if (!system.isEmpty()) {
        said.addFirst(Message.system(system));
      }
    }
    Chat chat = knapsack.chat(Conversation.of(said).withTools(tools));
    if (said.stream().allMatch(message -> message.role() == Role.SYSTEM)) {
      notes.println("session '%s' is new".formatted(name));
      return chat;
    }
    String so = "session '%s' goes on after %,d messages".formatted(name, said.size());
    try {
      long begin = System.nanoTime();
      int tokens = chat.restore(saved.caches(), name);
      notes.println(
          "%s; %,d tokens restored in %.2f s"
              .formatted(so, tokens, (System.nanoTime() - begin) / 1e9));
    } catch (CacheFileException e) {
      String why = e.problem() == Problem.MISSING ? "" : " (" + e.getMessage() + ")";
      notes.println(so + ", which are read again" + why);
    } catch (BudgetExceededException | QueueFullException e) {
      notes.println(so + ", which are read again (" + e.getMessage() + ")");
    }
    return chat;
  }

  /** Keeps what was said, which takes no time worth speaking of. */
  void said(Chat chat) {
    try {
      saved.write(name, chat.conversation().messages());
    } catch (IOException e) {
      notes.println("session '%s' cannot be kept: %s".formatted(name, e));
    }
  }

  /** Keeps what was said, and what the model has cached of it. */
  void save(Chat chat) {
    said(chat);
    try {
      long begin = System.nanoTime();
      long bytes = chat.save(saved.caches(), name);
      if (bytes > 0) {
        notes.println(
            "session '%s' saved: %s in %.2f s"
                .formatted(name, Budget.formatSize(bytes), (System.nanoTime() - begin) / 1e9));
      }
    } catch (CacheNotSavedException e) {
      notes.println(e.getMessage() + " The conversation is kept, and read again next time.");
    }
  }
}

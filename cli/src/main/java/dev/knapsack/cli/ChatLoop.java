package dev.knapsack.cli;

import dev.knapsack.cli.Prompt.Input;
import dev.knapsack.cli.Talk.Answer;
import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.error.ContextExceededException;
import dev.knapsack.error.TemplateException;
import java.io.PrintStream;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * Talks with the user until they end: messages go to the conversation, lines that start with a
 * slash are commands.
 *
 * <p>Answers alone go to the answers stream (standard output), everything else to the notes
 * (standard error). Ctrl-C stops an answer; at the prompt it drops what was typed.
 */
final class ChatLoop {
  private static final String HELP =
      """
      /help             this list
      /system [PROMPT]  set the system prompt (none: remove it) and start over
      /clear            forget the conversation and start over
      /stats            figures of the last answer and of this run
      /exit             end (so does Ctrl-D)

      Ctrl-C stops an answer. Alt-Enter, or a \\ at the end of a line, starts a new line;
      \"\"\" starts and ends a message of several lines. A line that starts with // is sent
      with one slash.\
      """;

  private final Talk talk;
  private final Prompt prompt;
  private final AnswerStream answers;
  private final PrintStream notes;
  private @Nullable Answer last;

  /** The notes that were given of how the conversation is written. */
  private List<String> told = List.of();

  ChatLoop(Talk talk, Prompt prompt, AnswerStream answers, PrintStream notes) {
    this.talk = talk;
    this.prompt = prompt;
    this.answers = answers;
    this.notes = notes;
  }

  /** Returns when the user ends. */
  void run() {
    while (true) {
      switch (prompt.read()) {
        case Input.End() -> {
          return;
        }
        case Input.Cleared(boolean empty) -> {
          if (empty) {
            note("Ctrl-D or /exit ends.");
          }
        }
        case Input.Line(String text) -> {
          String message = text.strip();
          if (message.equals("/exit") || message.equals("/quit") || message.equals("/bye")) {
            return;
          }
          if (message.startsWith("//")) {
            answer(message.substring(1));
          } else if (message.startsWith("/")) {
            command(message);
          } else if (!message.isEmpty()) {
            answer(message);
          }
        }
      }
    }
  }

  private void command(String line) {
    String[] parts = line.split("\\s+", 2);
    String argument = parts.length > 1 ? parts[1] : "";
    switch (parts[0]) {
      case "/help", "/?" -> note(HELP);
      case "/clear" -> {
        talk.clear();
        note("Forgotten: this is a new talk.");
      }
      case "/system" -> {
        talk.system(argument);
        note(
            argument.isEmpty()
                ? "No system prompt; this is a new talk."
                : "System prompt set; this is a new talk.");
      }
      case "/stats" -> stats();
      default ->
          note(
              "There is no command "
                  + parts[0]
                  + "; /help lists them. To send a message that starts with a slash, write two.");
    }
  }

  private void stats() {
    if (last != null) {
      note(
          String.format(
              Locale.ROOT,
              "last answer: %d prompt tokens, %d answer tokens, first after %.2f s, %.1f tokens/s",
              last.promptTokens(),
              last.tokens(),
              last.untilFirst().toNanos() / 1e9,
              last.tokensPerSecond()));
    }
    String report = talk.report();
    note(report.isEmpty() && last == null ? "No answer yet." : report);
  }

  private void answer(String message) {
    AtomicBoolean stopped = new AtomicBoolean();
    try (Prompt.Interrupts _ = prompt.onInterrupt(() -> stopped.set(true))) {
      answers.begin();
      Answer answer = talk.send(message, answers::write, stopped::get);
      last = answer;
      answers.end();
      List<String> said = talk.notes();
      said.stream().filter(s -> !told.contains(s)).forEach(this::note);
      told = said;
      switch (answer.ending()) {
        case COMPLETE -> {}
        case STOPPED -> note("[stopped]");
        case LENGTH -> note("[the answer reached its limit of " + answer.tokens() + " tokens]");
        case CONTEXT_FULL ->
            note("[the context is full: /clear starts over, --ctx makes it longer]");
      }
    } catch (TemplateException e) {
      answers.end();
      note("The model's chat template refuses this conversation: " + e.getMessage());
      note("/clear starts over.");
    } catch (ContextExceededException e) {
      answers.end();
      note(e.getMessage());
      note("/clear starts over, --ctx makes the context longer.");
    } catch (BudgetExceededException e) {
      answers.end();
      note(e.getMessage());
      note("/clear frees what this conversation holds.");
    }
  }

  private void note(@Nullable String text) {
    if (text != null && !text.isEmpty()) {
      notes.println(text);
      notes.flush();
    }
  }
}

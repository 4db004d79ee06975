package dev.knapsack.cli;

import dev.knapsack.message.Part;
import java.time.Duration;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;

/** The partner of a user's talk: it remembers what was said until it is cleared. */
interface Talk {
  /**
   * Answers a message; both become part of the conversation, a stopped answer as far as it came.
   *
   * @param onPart takes the answer part by part, of text and reasoning never a part of a character
   * @param stopped asked before every token; once true, the answer ends
   */
  Answer send(String message, Consumer<Part> onPart, BooleanSupplier stopped);

  /** Forgets all that was said, but not the system prompt. */
  void clear();

  /** Sets the system prompt, and forgets all that was said; an empty one is none. */
  void system(String prompt);

  /** Sentences that the user should know of how the conversation is written. */
  List<String> notes();

  /** The figures for a user who asks for them: lines of text, predicted beside measured. */
  String report();

  /**
   * The course of an answer: tokens, times and its end.
   *
   * @param promptTokens tokens that were read for it
   * @param tokens tokens of the answer
   * @param untilFirst time until its first token
   * @param total time until its last token
   */
  record Answer(int promptTokens, int tokens, Duration untilFirst, Duration total, Ending ending) {
    /** Tokens a second after the first; 0 where there are fewer than two. */
    double tokensPerSecond() {
      double seconds = total.minus(untilFirst).toNanos() / 1e9;
      return tokens > 1 && seconds > 0 ? (tokens - 1) / seconds : 0;
    }
  }

  /** The reason for which an answer ended. */
  enum Ending {
    /** The model ended it. */
    COMPLETE,
    /** The user stopped it. */
    STOPPED,
    /** It reached the number of tokens that an answer may have. */
    LENGTH,
    /** The context has no room for another token. */
    CONTEXT_FULL
  }
}

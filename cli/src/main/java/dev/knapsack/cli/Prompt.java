package dev.knapsack.cli;

/** The source of a user's messages. */
interface Prompt extends AutoCloseable {
  /** The next thing that the user does. */
  Input read();

  /**
   * Runs the action on each Ctrl-C, in place of ending the program, until what is returned is
   * closed.
   */
  Interrupts onInterrupt(Runnable action);

  @Override
  void close();

  /** An action set by {@link #onInterrupt} that closing takes back. */
  @FunctionalInterface
  interface Interrupts extends AutoCloseable {
    @Override
    void close();
  }

  /** An act of a user at the prompt. */
  sealed interface Input {
    /** A message or command, of one line or several. */
    record Line(String text) implements Input {}

    /** Ctrl-C: what was typed is dropped; {@code empty} when nothing was. */
    record Cleared(boolean empty) implements Input {}

    /** Ctrl-D, or the end of the input. */
    record End() implements Input {}
  }
}

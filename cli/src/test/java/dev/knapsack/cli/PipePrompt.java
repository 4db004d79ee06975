package dev.knapsack.cli;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.util.Locale;

/**
 * Reads one message a line from an input that is no terminal, without prompts. Ctrl-C ends the
 * program, as it does every filter.
 */
final class PipePrompt implements Prompt {
  private final BufferedReader in;

  PipePrompt(Reader in) {
    this.in = new BufferedReader(in);
  }

  @Override
  public Input read() {
    try {
      StringBuilder message = new StringBuilder();
      String line = in.readLine();
      if (line == null) {
        return new Input.End();
      }
      while (line != null) {
        message.append(line);
        if (!MessageParser.isOpen(message)) {
          break;
        }
        message.append('\n');
        line = in.readLine();
      }
      return new Input.Line(MessageParser.message(message.toString()));
    } catch (IOException e) {
      throw new UncheckedIOException(
          String.format(Locale.ROOT, "standard input cannot be read: %s", e.getMessage()), e);
    }
  }

  @Override
  public Interrupts onInterrupt(Runnable action) {
    return () -> {};
  }

  @Override
  public void close() {}
}

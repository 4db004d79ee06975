package dev.knapsack.cli;

import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jline.terminal.Terminal;
import org.jline.terminal.TerminalBuilder;
import org.jline.terminal.spi.SystemStream;
import org.jline.terminal.spi.TerminalProvider;
import org.jspecify.annotations.Nullable;

/**
 * The standard streams of this process: which of them are a terminal, and the readers and writers
 * that fit.
 *
 * @param input standard input is a terminal
 * @param output standard output is a terminal
 * @param error standard error is a terminal
 */
record StandardStreams(boolean input, boolean output, boolean error) {
  private static final String PROVIDER = "ffm";

  static StandardStreams detect() {
    Path descriptors = Path.of("/proc/self/fd");
    if (Files.isDirectory(descriptors)) {
      // Asking the kernel's own list costs nothing; loading a terminal library takes a good part of
      // a short run.
      return new StandardStreams(
          isTerminal(descriptors.resolve("0")),
          isTerminal(descriptors.resolve("1")),
          isTerminal(descriptors.resolve("2")));
    }
    try {
      TerminalProvider provider = TerminalProvider.load(PROVIDER);
      return new StandardStreams(
          provider.isSystemStream(SystemStream.Input),
          provider.isSystemStream(SystemStream.Output),
          provider.isSystemStream(SystemStream.Error));
    } catch (IOException | LinkageError e) {
      // A system without terminals that we know: everything is a pipe.
      return new StandardStreams(false, false, false);
    }
  }

  private static boolean isTerminal(Path descriptor) {
    try {
      return Files.readSymbolicLink(descriptor).toString().matches("/dev/(pts/|tty|console).*");
    } catch (IOException closed) {
      return false;
    }
  }

  /** Whether a user sits at a terminal that can show them a prompt. */
  boolean isInteractive() {
    return input && (output || error);
  }

  /** UTF-8 where the system claims to know ASCII alone, as a container without a locale does. */
  static Charset charset() {
    Charset charset =
        Charset.forName(System.getProperty("native.encoding", "UTF-8"), StandardCharsets.UTF_8);
    return charset.equals(StandardCharsets.US_ASCII) ? StandardCharsets.UTF_8 : charset;
  }

  /** Standard output, for answers alone. */
  AnswerStream answers() {
    return new AnswerStream(print(FileDescriptor.out), output);
  }

  /** Standard error, for everything else. */
  PrintStream notes() {
    return print(FileDescriptor.err);
  }

  private static PrintStream print(FileDescriptor descriptor) {
    return new PrintStream(new FileOutputStream(descriptor), false, charset());
  }

  /** Standard input as text. */
  static Reader text() {
    return new InputStreamReader(new FileInputStream(FileDescriptor.in), charset());
  }

  /**
   * The prompt that fits: on a terminal one with editing and history, else plain lines.
   *
   * <p>It shows itself on standard error where that is a terminal, so that standard output holds
   * answers alone.
   */
  Prompt prompt(@Nullable Path history) {
    if (!isInteractive()) {
      return new PipePrompt(text());
    }
    try {
      Terminal terminal =
          TerminalBuilder.builder()
              .provider(PROVIDER)
              .systemOutput(TerminalBuilder.SystemOutput.SysErrOrSysOut)
              .encoding(charset())
              .dumb(true) // what cannot be a real terminal becomes a plain one, without a warning
              .build();
      return new TerminalPrompt(terminal, history);
    } catch (IOException e) {
      throw new UncheckedIOException("the terminal cannot be used: " + e.getMessage(), e);
    }
  }
}
